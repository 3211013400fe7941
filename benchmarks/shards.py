r"""All of ^tempest\.api\.network on one shard and on one for each core, in turn; and wall time against CPU seconds."""

import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from measuring import BIN, machine, prepared_run, report, shards_variable, timed

from ci_scripts.process_tree import cpu_seconds

SPEED_AIM = 1.35
WAIT_AIM = 1.15
REGEX = r"^tempest\.api\.network"


@dataclass(frozen=True)
class Whole:
    """A run of the whole set: wall seconds, CPU seconds of the command and of the gate, and the tests' outcomes."""

    wall: float
    command_cpu: float
    gate_cpu: dict[str, float]
    counts: dict[str, int]

    @property
    def cpu(self) -> float:
        return self.command_cpu + sum(self.gate_cpu.values())


def cpu_of_services(workspace: Path) -> dict[str, float]:
    """CPU seconds so far, by service."""
    status = json.loads((workspace / "logs" / "gate" / "gate-status.json").read_text())
    found: dict[str, float] = {}
    for service in status["services"]:
        found[service["name"]] = found.get(service["name"], 0.0) + cpu_seconds(service["pid"])
    return found


def measure(workspace: Path, shards: int) -> Whole:
    """Start a gate, run the set, stop the gate."""
    env = shards_variable(shards)
    timed([BIN / "ci-start-gate", "--workspace", workspace], env)
    try:
        before = cpu_of_services(workspace)
        sample = timed([BIN / "ci-run-tempest", "--workspace", workspace, "--no-checks", "--regex", REGEX], env)
        after = cpu_of_services(workspace)
    finally:
        timed([BIN / "ci-stop-gate", "--workspace", workspace], env)
    timed([BIN / "ci-summarize-results", "--workspace", workspace], env)
    counts = json.loads((workspace / "tests.json").read_text())["counts"]
    return Whole(sample.wall, sample.cpu, {name: after[name] - before[name] for name in after}, counts)


def show(label: str, whole: Whole) -> None:
    gate = ", ".join(f"{name} {seconds:.0f}" for name, seconds in whole.gate_cpu.items())
    print(
        f"{label}: {whole.wall:.1f} s; CPU seconds: tempest {whole.command_cpu:.0f}, {gate}; {whole.counts}", flush=True
    )


if __name__ == "__main__":
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cores = len(os.sched_getaffinity(0))
    print(machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        workspace = prepared_run(Path(name) / "run", cores)
        measured = []
        for _ in range(pairs):
            one, many = measure(workspace, 1), measure(workspace, cores)
            show("1 shard", one)
            show(f"{cores} shards", many)
            measured.append((one, many))
        speed = statistics.median(one.wall / many.wall for one, many in measured)
        waiting = statistics.median(many.wall / (many.cpu / cores) for _, many in measured)
        report("shards", f"{cores} shards against one, {pairs} pairs", speed, SPEED_AIM, at_least=True)
        report("shards", f"wall time against CPU seconds / {cores}", waiting, WAIT_AIM)
