"""All benchmarks, one after the other."""

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    for name in (
        "help",
        "log_scan",
        "verdict_memory",
        "prepare",
        "environments",
        "start_gate",
        "run_tempest",
        "shards",
        "failed_tests",
        "votes",
    ):
        subprocess.run([sys.executable, Path(__file__).with_name(f"{name}.py")], check=True)
