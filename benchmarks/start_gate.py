"""ci-start-gate to ready, one shard, warm environment: a token was issued and used."""

import statistics
import tempfile
from pathlib import Path

from measuring import BIN, machine, prepared_run, report, shards_variable, timed

AIM = 8.0
RUNS = 5

if __name__ == "__main__":
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workspace = prepared_run(Path(folder) / "run", 1)
        seconds = []
        for _ in range(RUNS + 1):
            seconds.append(timed([BIN / "ci-start-gate", "--workspace", workspace], shards_variable(1)).wall)
            timed([BIN / "ci-stop-gate", "--workspace", workspace], shards_variable(1))
        shown = ", ".join(f"{value:.1f}" for value in seconds[1:])
        report("start_gate", f"seconds {shown}; median", statistics.median(seconds[1:]), AIM)
