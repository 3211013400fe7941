"""One run of Tempest on a gate that is up: list, choose, split, run, watch, and the checks at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import ConfigurationError, InfrastructureError, TestsFailed
from ci_scripts.gates import gate_of
from ci_scripts.gates.access import ShardAccess, read_access
from ci_scripts.gates.context import GateContext
from ci_scripts.run_command import Background
from ci_scripts.tempest import checks, workers
from ci_scripts.tempest.crew import Crew, GateWatch, TimeIsUp
from ci_scripts.tempest.durations import read_durations
from ci_scripts.tempest.partition import split
from ci_scripts.tempest.progress import Progress
from ci_scripts.tempest.runners import Runner, TempestRunner
from ci_scripts.tempest.selection import Selection
from ci_scripts.tempest.stream_writer import StreamWriter
from ci_scripts.verdict.tests_file import TestsReport
from ci_scripts.workspace import write_text_atomically

LIST_SECONDS = 300.0
AUTO_WORKERS_PER_SHARD = 2


@dataclass(frozen=True)
class Plan:
    """What is asked for: which tests, how many workers per shard, for how many seconds at most, checks or not.

    ``runner`` is whose tests, Tempest's by default.
    """

    selection: Selection
    concurrency: int | None
    seconds: float
    with_checks: bool
    watched: bool
    runner: Runner | None = None


def run_tempest(context: GateContext, plan: Plan) -> None:
    """Leave the stream in logs/testrepository.subunit. Failed tests are no error here.

    Raises ConfigurationError when nothing is selected, InfrastructureError when the gate or Tempest itself fails or
    the time is up; what was collected until then is in the stream.
    """
    run = _Run(context, plan)
    try:
        # Between a process's start and its entry in our list nothing may be raised: nobody would end it.
        with aborts.deferred():
            run.start()
        run.go()
    except TimeIsUp:
        context.record.outcome = "TIMED_OUT"
        raise
    finally:
        with aborts.deferred():
            run.stop()


class _Run:
    def __init__(self, context: GateContext, plan: Plan) -> None:
        self.context = context
        self.plan = plan
        self.shards: list[ShardAccess] = read_access(context.workspace)
        self.runner = plan.runner or TempestRunner(context)
        self.folder = context.workspace.logs / self.runner.section.replace("_", "-")
        self.deadline = time.monotonic() + plan.seconds
        self.watch = GateWatch(context)
        self.crew = Crew(self.runner, self.folder, self.deadline, self.watch)
        self.listing: Background | None = None

    def start(self) -> None:
        """The listing process and all workers, discovering side by side."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Old results must not pass for those of this run when it is stopped early.
        for old in (self.context.workspace.stream, self.context.workspace.selected_tests):
            old.unlink(missing_ok=True)
        self.listing = workers.start_listing(self.runner, self.shards[0], self.folder)
        per_shard = self.plan.concurrency or AUTO_WORKERS_PER_SHARD
        # Neighbours on different shards: worker 0 on shard 0, worker 1 on shard 1, and so on.
        count = per_shard * len(self.shards)
        self.crew.start([(f"worker-{number}", self.shards[number % len(self.shards)]) for number in range(count)])

    def go(self) -> None:
        """Choose, hand out, follow until all workers have ended; then the checks."""
        assert self.listing is not None
        limit = min(self.deadline, time.monotonic() + LIST_SECONDS)
        with self.context.record.step("list the tests"):
            found = workers.list_tests(self.runner, self.listing, limit, self.watch)
        chosen = self.plan.selection.choose(found)
        check_ids = checks.check_ids(self.context, self.shards) if self.plan.with_checks else []
        selected = [*chosen, *check_ids]
        write_text_atomically(self.context.workspace.selected_tests, "".join(f"{name}\n" for name in selected))
        count = len(self.crew.workers)
        durations = read_durations(self.context.settings.cache_dir, self.runner.section)
        parts = split(chosen, count, durations, self.runner.group)
        say = self.context.record.say
        say(f"{len(chosen)} of {len(found)} tests on {count} workers, {len(self.shards)} shards")
        with (
            Progress(len(selected), say, watched=self.plan.watched) as progress,
            StreamWriter(self.context.workspace.stream, progress.ended) as writer,
        ):
            with self.context.record.step("run the tests"):
                self.crew.run(parts, writer, progress)
            if self.plan.with_checks:
                checks.run_checks(self.context, self.shards, writer)

    def stop(self) -> None:
        """End all processes; safe to call twice."""
        if self.listing is not None and self.listing.exit_code() is None:
            self.listing.stop(1.0)
        self.crew.stop()


def require_gate(context: GateContext) -> None:
    """Raises InfrastructureError when the gate is not healthy, ConfigurationError when there is none."""
    read_access(context.workspace)
    problem = gate_of(context.settings.gate.kind).problem(context)
    if problem is not None:
        raise InfrastructureError(f"the gate is not healthy: {problem}", next_step="ci-stop-gate, then ci-start-gate.")


def selection_of(context: GateContext, regex: str | None, include: Path | None, exclude: Path | None) -> Selection:
    """What ci.yaml says, less what was given by hand. Raises ConfigurationError for a bad regex."""
    wanted = context.settings.tempest
    chosen = checked_regex(regex) if regex else wanted.regex
    return Selection(chosen, include or wanted.include_list, exclude or wanted.exclude_list)


def checked_regex(regex: str) -> str:
    """A regex that was given by hand. Raises ConfigurationError for one that is none."""
    import re

    try:
        re.compile(regex)
    except re.error as error:
        raise ConfigurationError(f"--regex {regex!r} is not a regular expression: {error}.") from error
    return regex


def raise_unless_passed(report: TestsReport, log: Path) -> None:
    """Raises TestsFailed, or InfrastructureError naming ``log`` where selected tests have no outcome."""
    if report.counts["failed"]:
        raise TestsFailed(
            f"{report.counts['failed']} tests failed.", next_step="ci-summarize-results says who is to blame."
        )
    if report.counts["incomplete"]:
        raise InfrastructureError(f"{report.counts['incomplete']} selected tests have no outcome.", log=log)
