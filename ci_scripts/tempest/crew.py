"""Workers of one run of tests: started side by side, handed their parts, followed until all have ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import InfrastructureError
from ci_scripts.gates import gate_of
from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.tempest import workers
from ci_scripts.tempest.progress import Progress
from ci_scripts.tempest.runners import Runner
from ci_scripts.tempest.stream_writer import StreamWriter

LOOK_SECONDS = 0.05
WATCH_SECONDS = 0.5


class TimeIsUp(InfrastructureError):
    """The tests took longer than they were given."""


@dataclass(frozen=True)
class Part:
    """What one worker runs, on one shard, in this order."""

    worker: str
    shard: int
    tests: tuple[str, ...]


class GateWatch:
    """Called often; asks for the gate's health twice a second and raises InfrastructureError when it broke."""

    def __init__(self, context: GateContext) -> None:
        self._context = context
        self._gate = gate_of(context.settings.gate.kind)
        self._next = 0.0

    def __call__(self, now: bool = False) -> None:
        if now or time.monotonic() >= self._next:
            self._next = time.monotonic() + WATCH_SECONDS
            problem = self._gate.problem(self._context)
            if problem is not None:
                raise InfrastructureError(
                    f"the gate broke while the tests ran: {problem}",
                    next_step="read that log; control runs say whether the change broke it.",
                )


class Crew:
    """``folder`` is where the workers leave their output; ``deadline`` is of time.monotonic()."""

    def __init__(self, runner: Runner, folder: Path, deadline: float, watch: GateWatch) -> None:
        self.runner = runner
        self.folder = folder
        self.deadline = deadline
        self.watch = watch
        self.workers: list[workers.Worker] = []
        self.threads: list[threading.Thread] = []

    def start(self, names_and_shards: Sequence[tuple[str, ShardAccess]]) -> None:
        """Start all workers; they discover side by side. To be called with aborts deferred."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, shard in names_and_shards:
            self.workers.append(workers.Worker(name, self.runner, shard, self.folder))

    def run(
        self, parts: Sequence[Sequence[str]], writer: StreamWriter, progress: Progress, *, one_at_a_time: bool = False
    ) -> None:
        """Hand out ``parts``, one for each worker, and copy what they say until all have ended.

        With ``one_at_a_time`` a worker gets its part when the one before it has ended.

        Raises TimeIsUp, or InfrastructureError when the gate breaks or a worker fails; the workers are stopped then.
        """
        try:
            self._follow(parts, writer, progress, one_at_a_time)
        finally:
            with aborts.deferred():
                self.stop()
        for worker in self.workers:
            worker.require_good()

    def _follow(
        self, parts: Sequence[Sequence[str]], writer: StreamWriter, progress: Progress, one_at_a_time: bool
    ) -> None:
        self.threads = [workers.follow(worker, writer) for worker in self.workers]
        while True:
            self.watch()
            progress.tick()
            for worker, part in zip(self.workers, parts, strict=True):
                worker.feed(part)
                worker.require_good()
                if one_at_a_time and worker.exit_code is None:
                    break
            if all(worker.exit_code is not None for worker in self.workers):
                break
            if time.monotonic() > self.deadline:
                raise TimeIsUp(
                    "the tests were stopped: their time was up; what ran is in the stream.",
                    log=self.folder,
                    next_step=f"a slow node wants a longer {self.runner.section}.timeout_minutes or more workers.",
                )
            time.sleep(LOOK_SECONDS)
        # A worker that died while the gate did is the gate's death, whichever was seen first.
        self.watch(now=True)

    def stop(self) -> None:
        """End all processes, then read what they still left; safe to call twice."""
        for worker in self.workers:
            worker.stop()
        for thread in self.threads:
            thread.join(timeout=10.0)
