"""The environments of a second run with the caches warm: resolved anew, copied, nothing shared."""

import json
import statistics
import tempfile
from pathlib import Path

from measuring import machine, prepared_run, report

AIM = 10.0
RUNS = 5


def seconds_of(workspace: Path) -> float:
    """What prepare-gate itself recorded for its two environment steps."""
    steps = json.loads((workspace / "stages" / "prepare-gate.json").read_text())["steps"]
    return sum(step["seconds"] for step in steps if "environment" in step["name"])


if __name__ == "__main__":
    print(machine())
    # All stay until the end: ext4 makes new files slowly for minutes after as many were deleted.
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        found = [seconds_of(prepared_run(Path(folder) / str(number), 1)) for number in range(RUNS + 1)]
    shown = ", ".join(f"{value:.1f}" for value in found[1:])
    report("environments", f"seconds {shown}; median", statistics.median(found[1:]), AIM)
