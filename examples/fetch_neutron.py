"""Fetch Neutron's source distribution of the version that the constraints pin, from the index that pip is set up for.

python examples/fetch_neutron.py --into .demo --constraints examples/constraints.txt
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

SECONDS = 600


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch Neutron's source distribution as neutron.tar.gz.")
    parser.add_argument("--into", type=Path, required=True, metavar="DIR")
    parser.add_argument("--constraints", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    pinned = re.search(r"^neutron==(\S+)$", arguments.constraints.read_text(), re.MULTILINE)
    if not pinned:
        sys.exit(f"{arguments.constraints} pins no neutron")
    folder = arguments.into / "sdist"
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "neutron"]
    argv += ["--dest", str(folder), f"neutron=={pinned[1]}"]
    subprocess.run(argv, check=True, timeout=SECONDS)
    found = folder / f"neutron-{pinned[1]}.tar.gz"
    found.replace(arguments.into / "neutron.tar.gz")


if __name__ == "__main__":
    main()
