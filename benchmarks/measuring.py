"""What the benchmarks share: timed commands in pairs, medians, and a prepared run of the example driver."""

from __future__ import annotations

import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
DEMO = ROOT / ".demo"
COMMAND_SECONDS = 3600


@dataclass(frozen=True)
class Sample:
    """One finished command: seconds of wall clock, and of user and system CPU of it and its children."""

    wall: float
    cpu: float
    exit_code: int


def timed(argv: Sequence[str | Path], env: dict[str, str] | None = None, cwd: Path = ROOT) -> Sample:
    """Run a command, its output thrown away unless it fails with a code that is no test result."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in argv],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 1):
        sys.exit(f"{argv[0]} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')[-4000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(wall, cpu, done.returncode)


def in_pairs(ours: Callable[[], Sample], peer: Callable[[], Sample], pairs: int) -> tuple[float, float, float]:
    """Both in turn, after one warm-up of each: median of ours, of the peer, and of the ratios pair by pair."""
    ours(), peer()
    samples = [(ours().wall, peer().wall) for _ in range(pairs)]
    ratio = statistics.median(mine / its for mine, its in samples)
    return statistics.median(s[0] for s in samples), statistics.median(s[1] for s in samples), ratio


def report(name: str, text: str, figure: float, aim: float, *, at_least: bool = False) -> None:
    """One line with the figure, the aim and whether it is met."""
    met = figure >= aim if at_least else figure <= aim
    wanted = f"aim {'at least' if at_least else 'at most'} {aim:g}"
    print(f"{name}: {text}; {figure:.2f}, {wanted}: {'met' if met else 'MISSED'}", flush=True)


def machine() -> str:
    """Processors and Python, for the record."""
    return f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {platform.machine()}"


def prepared_run(folder: Path, shards: int | str) -> Path:
    """A workspace of the example driver's change 1,1 with the driver installed; the gate is not started."""
    timed([sys.executable, ROOT / "examples" / "make_repositories.py", "--into", DEMO])
    flags = ["--change", "1,1", "--project", "example/networking-example", "--ref", "refs/changes/01/1/1"]
    url = DEMO / "networking-example.git"
    config = ROOT / "examples" / "ci.yaml"
    argv = [BIN / "ci-prepare-gate", "--config", config, "--workspace", folder, *flags, "--url", url]
    timed(argv, shards_variable(shards))
    timed([BIN / "ci-install-driver", "--workspace", folder])
    return folder


def shards_variable(shards: int | str) -> dict[str, str]:
    """gate.shards for the commands that start a gate."""
    return {"CI_GATE_SHARDS": str(shards)}
