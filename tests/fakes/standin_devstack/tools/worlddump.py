"""Stands in for DevStack's worlddump.py: a file with the state of the node."""

import sys
from datetime import UTC, datetime
from pathlib import Path

name = f"worlddump-{datetime.now(UTC):%Y-%m-%d-%H%M%S}.txt"
Path(sys.argv[sys.argv.index("-d") + 1], name).write_text("Processes\n=========\n")
