# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""Print what the controller holds, one line for each document: "networks <id> <name>". An inventory for a CI run.

It is asked before the tests and after them; lines that only came were left behind. Standard library only.

Exit codes: 0 all is printed; 2 wrong usage; 3 it could not ask.
"""

import argparse
import sys

import api_clients
import comparison


def _arguments():
    parser = argparse.ArgumentParser(description="Print one line for each document that the controller holds.")
    parser.add_argument("--controller", required=True, metavar="URL", help="root URL of the controller")
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="SECONDS", help="per request (default: %(default)s)"
    )
    return parser.parse_args()


def lines_of(controller):
    """Every document as a line, kind by kind, in the order of their ids.

    :raises api_clients.CannotAsk: a list cannot be had.
    """
    lines = []
    for kind in comparison.KINDS:
        for key, document in sorted(controller.list(kind).items()):
            # A name may be anything that Neutron's users think of: it must not become two lines.
            name = " ".join(str(document.get("name", "")).split())
            lines.append(f"{kind} {key} {name}".rstrip())
    return lines


def main():
    """Returns the exit code."""
    arguments = _arguments()
    try:
        # All or nothing: half a list would look like things that went away.
        lines = lines_of(api_clients.Controller(arguments.controller, arguments.timeout))
    except api_clients.CannotAsk as error:
        print(f"cannot list: {error}", file=sys.stderr)
        return 3
    # A name may hold half of a surrogate pair, which no encoding can write.
    sys.stdout.reconfigure(errors="backslashreplace")
    print("".join(f"{line}\n" for line in lines), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
