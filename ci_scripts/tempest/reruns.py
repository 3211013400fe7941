"""Failed tests once more on the same gate: alone, and what passes then with its neighbours again."""

from __future__ import annotations

from collections.abc import Sequence

from ci_scripts.gates.access import read_access
from ci_scripts.gates.context import GateContext
from ci_scripts.tempest.checks import PREFIX
from ci_scripts.tempest.neighbours import alone, with_neighbours
from ci_scripts.tempest.rounds import RoundPlan, run_round
from ci_scripts.tempest.runners import Runner
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.rerun_facts import passed_in
from ci_scripts.verdict.tests_file import TestsReport

# A test that failed because nobody answered took its client's whole time-out; it may take that again.
LEAST_SECONDS = 60.0
TIMES_AS_LONG = 3.0


def rerun_failed(
    context: GateContext,
    report: TestsReport,
    selected: Sequence[str],
    *,
    watched: bool,
    runner: Runner | None = None,
) -> None:
    """Rounds ``alone`` and ``neighbours-1`` and so on, as verdict.rerun, .replays and .most_reruns of ci.yaml say.

    Of very many failed tests a part is run again, taken evenly: enough to tell a broken change from a bad day.

    Raises InfrastructureError when the gate breaks.
    """
    wanted = context.settings.verdict
    failed = _taken_evenly(
        [test for test in report.with_status("failed") if not test.id.startswith(PREFIX)], wanted.most_reruns
    )
    shards = len(read_access(context.workspace))
    parts = alone(failed, selected, shards)
    if not wanted.rerun or not parts:
        return
    plan = RoundPlan("alone", "alone", parts, seconds_for(failed), one_at_a_time=True)
    again = run_round(context, plan, watched=watched, runner=runner)
    passed = [test for test in failed if passed_in(again, test.id)]
    if not passed:
        return
    beside = with_neighbours([test.id for test in passed], report.tests, selected, shards)
    for number in range(1, wanted.replays + 1):
        plan = RoundPlan(f"neighbours-{number}", "neighbours", beside, seconds_for(report.tests))
        run_round(context, plan, watched=watched, runner=runner)


def seconds_for(tests: Sequence[TestOutcome]) -> float:
    """The most that a round of these may take: as long as they took, three times, and a minute."""
    return LEAST_SECONDS + TIMES_AS_LONG * sum(test.seconds or 0.0 for test in tests)


def _taken_evenly(tests: Sequence[TestOutcome], most: int) -> list[TestOutcome]:
    if len(tests) <= most:
        return list(tests)
    return [tests[number * len(tests) // most] for number in range(most)]
