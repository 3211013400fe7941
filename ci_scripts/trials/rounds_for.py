"""What a trial runs: the tests of the run that are in question, on the workers and shards that they had."""

from __future__ import annotations

from collections.abc import Sequence

from ci_scripts.tempest.neighbours import alone, as_it_was, with_neighbours
from ci_scripts.tempest.reruns import seconds_for
from ci_scripts.tempest.rounds import RoundPlan
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.tests_file import TestsReport
from ci_scripts.verdict.trial_plan import WantedTrial


def rounds_for(
    wanted: WantedTrial, tests: TestsReport, selected: Sequence[str], shards: int, tempest_seconds: float
) -> list[RoundPlan]:
    """The rounds of a trial; none for one that only has to come up."""
    suspects = [test for test in tests.tests if test.id in set(wanted.suspects)]
    if wanted.mode == "alone":
        parts = alone(suspects, selected, shards)
        return [RoundPlan("alone", "alone", parts, _seconds(suspects), one_at_a_time=True)] if parts else []
    if wanted.mode == "neighbours":
        parts = with_neighbours(wanted.suspects, tests.tests, selected, shards)
        return [
            RoundPlan(f"neighbours-{number}", "neighbours", parts, _seconds(tests.tests))
            for number in range(1, wanted.rounds + 1)
            if parts
        ]
    if wanted.mode == "all":
        parts = as_it_was(tests.tests, selected, shards)
        return [RoundPlan("all", "all", parts, tempest_seconds, with_checks=True)] if parts else []
    return []


def _seconds(tests: Sequence[TestOutcome]) -> float:
    # A test that never ended tells nothing about its time: Tempest's clients give up after 60 s.
    hung = sum(1 for test in tests if test.status == "incomplete")
    return seconds_for(tests) + 60.0 * hung
