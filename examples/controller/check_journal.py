# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""Was the controller told what the driver should have told it, and did it understand? Asked after unit tests.

0: it refused nothing, and networks were created if Neutron was often started with the driver; 1: not so; 3: the
controller could not be asked.
"""

import argparse
import json
import sys
import urllib.request
from pathlib import Path

SECONDS = 30
# A test or two may create nothing.
OFTEN = 10


def starts_with_driver(log, driver):
    """How often the ML2 plug-in was started with the driver, by the lines that ci-run-unit-tests keeps."""
    if not log.exists():
        return 0
    return sum(f"'{driver}'" in line for line in log.read_text().splitlines())


def main():
    parser = argparse.ArgumentParser(description="Ask a controller for its journal.")
    parser.add_argument("--controller", required=True, metavar="URL")
    parser.add_argument("--loaded", required=True, type=Path, metavar="FILE", help="logs/unit-tests/neutron-N.log")
    parser.add_argument("--driver", default="example", metavar="NAME")
    arguments = parser.parse_args()
    url = f"{arguments.controller.rstrip('/')}/journal"
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            journal = json.load(answer)
    except (OSError, ValueError) as error:
        print(f"the controller could not be asked: {url}: {error}")
        return 3
    starts = starts_with_driver(arguments.loaded, arguments.driver)
    created = ", ".join(f"{count} {kind}" for kind, count in journal["created"].items())
    print(f"ML2 was started {starts} times with the driver; created: {created}; refused: {journal['refused']}")
    for refusal in journal["refusals"]:
        print(f"refused {refusal['method']} {refusal['path']}: {'; '.join(refusal['problems'])}")
    if starts >= OFTEN and not journal["created"]["networks"]:
        print("the driver was there and told the controller nothing")
        return 1
    return 1 if journal["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
