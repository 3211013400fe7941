"""Fails as programs do that stack.sh calls."""

import sys

if sys.argv[1] == "pip":
    print("Collecting oslo.thing>=1")
    sys.exit("ERROR: Could not find a version that satisfies the requirement oslo.thing>=1 (from versions: none)")
raise RuntimeError("no table networks")
