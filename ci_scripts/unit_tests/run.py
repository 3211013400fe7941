"""The unit tests of a run: all that are selected, the failed ones again; and those that a trial asks for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.access import read_access
from ci_scripts.gates.context import GateContext
from ci_scripts.tempest import checks, tempest_run, workers
from ci_scripts.tempest.crew import GateWatch
from ci_scripts.tempest.durations import remember_durations
from ci_scripts.tempest.reruns import rerun_failed
from ci_scripts.tempest.rounds import forget_rounds, read_plans, run_round
from ci_scripts.tempest.selection import Selection
from ci_scripts.unit_tests.configuration import for_workers, unit_tests_of, workers_of
from ci_scripts.unit_tests.job import ready_for_tests
from ci_scripts.unit_tests.runner import UnitTestRunner, logs_folder
from ci_scripts.verdict.gate_runs import CHANGE
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.read_stream import read_stream
from ci_scripts.verdict.rerun_facts import status_in
from ci_scripts.verdict.symptoms import BAD
from ci_scripts.verdict.tests_file import compare, read_selection

TO_TRY = "stestr list '...' in the checkout, with stestr of the run's environments/unit-tests"
LEAST_SECONDS = 1.0


@dataclass(frozen=True)
class Asked:
    """What was asked for by hand; None is as ci.yaml says. ``seconds`` are for the tests, without their reruns."""

    regex: str | None = None
    include_list: Path | None = None
    exclude_list: Path | None = None
    concurrency: int | None = None
    seconds: float | None = None
    with_checks: bool = True
    rerun: bool = True
    watched: bool = False


def run_unit_tests(outer: GateContext, asked: Asked) -> None:
    """Take a prepared workspace through its unit tests; the stream is left in logs/testrepository.subunit.

    Raises TestsFailed; ConfigurationError when nothing is selected; InfrastructureError when a service, a probe, the
    environment or a worker fails, or the time is up: what was collected until then is in the stream.
    """
    context = for_workers(outer, workers_of(outer.settings, asked.concurrency))
    selection = _selection(context, asked)
    forget_rounds(context.workspace)
    with ready_for_tests(context) as runner:
        seconds = asked.seconds or 60.0 * unit_tests_of(context.settings).timeout_minutes
        # One worker for each shard: a worker has the services of its shard for itself.
        plan = tempest_run.Plan(selection, 1, seconds, asked.with_checks, asked.watched, runner)
        tempest_run.run_tempest(context, plan)
        selected = read_selection(context.workspace.selected_tests)
        report = compare(read_stream(context.workspace.stream), selected)
        remember_durations(context.settings.cache_dir, _measured(runner, report.stream.tests), runner.section)
        if report.counts["failed"] and asked.rerun:
            rerun_failed(context, report, selected or (), watched=asked.watched, runner=runner)
    tempest_run.raise_unless_passed(report, logs_folder(context))


def run_trial(outer: GateContext, seconds: float) -> None:
    """What the trial in the workspace of ``outer`` asks for, within so many seconds.

    Where the run came to no test, none is asked for: then only whether they can be loaded is looked at. What tests say
    is for the verdict; raises InfrastructureError as ``run_unit_tests`` does.
    """
    deadline = time.monotonic() + seconds
    plans = read_plans(outer.workspace)
    shards = [part.shard for plan in plans for part in plan.parts]
    context = for_workers(outer, 1 + max(shards, default=0))
    trial = context.run["trial"]
    with ready_for_tests(context) as runner:
        if not plans:
            with context.record.step("list the tests"):
                _require_loadable(context, runner, deadline)
        for plan in plans:
            left = max(LEAST_SECONDS, deadline - time.monotonic())
            within = plan if plan.seconds <= left else plan.with_seconds(left)
            report = run_round(context, within, watched=False, runner=runner)
            # With the change, once more is enough; without it, each round that passes says more than the one before.
            if trial["role"] == CHANGE and any(status_in(report, name) in BAD for name in trial["suspects"]):
                break


def _require_loadable(context: GateContext, runner: UnitTestRunner, deadline: float) -> None:
    shard = read_access(context.workspace)[0]
    with aborts.deferred():
        listing = workers.start_listing(runner, shard, logs_folder(context))
    try:
        limit = min(deadline, time.monotonic() + tempest_run.LIST_SECONDS)
        found = workers.list_tests(runner, listing, limit, GateWatch(context))
    finally:
        with aborts.deferred():
            listing.stop(1.0)
    if not found:
        raise InfrastructureError("the project has no unit tests.", log=listing.log)


def _selection(context: GateContext, asked: Asked) -> Selection:
    """Raises ConfigurationError for a bad regex."""
    wanted = unit_tests_of(context.settings)
    regex = wanted.regex if asked.regex is None else tempest_run.checked_regex(asked.regex)
    include, exclude = asked.include_list or wanted.include_list, asked.exclude_list or wanted.exclude_list
    return Selection(regex, include, exclude, section="unit_tests", to_try=TO_TRY)


def _measured(runner: UnitTestRunner, tests: Sequence[TestOutcome]) -> dict[str, float]:
    seconds: defaultdict[str, float] = defaultdict(float)
    for test in tests:
        if not test.id.startswith(checks.PREFIX):
            seconds[runner.group(test.id)] += test.seconds or 0.0
    return {group: round(total, 3) for group, total in seconds.items()}
