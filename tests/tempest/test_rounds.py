"""What a trial is told to run, and the rounds that are asked for: plans survive their file, damage is said."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.tempest.crew import Part
from ci_scripts.tempest.reruns import seconds_for
from ci_scripts.tempest.rounds import RoundPlan, forget_rounds, read_plans, rounds_folder, write_plans
from ci_scripts.trials.rounds_for import rounds_for
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.read_stream import StreamContent
from ci_scripts.verdict.tests_file import compare
from ci_scripts.verdict.trial_plan import WantedTrial
from ci_scripts.workspace import Workspace

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PARTS = (Part("worker-0", 0, ("m.A.a[id-1]", "m.A.b")), Part("worker-3", 1, ("m.B.ü",)))
PLANS = [
    RoundPlan("alone", "alone", PARTS, 61.5, one_at_a_time=True),
    RoundPlan("all", "all", PARTS[:1], 7200.0, with_checks=True),
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    place = Workspace(tmp_path / "run")
    place.make_folders()
    return place


@pytest.mark.parametrize("plans", [[], PLANS])
def test_plans_come_back_as_they_were_written(workspace: Workspace, plans: list[RoundPlan]) -> None:
    write_plans(workspace, plans)
    assert read_plans(workspace) == plans


PLAN = json.loads(json.dumps(PLANS[0].as_json()))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema": 1}',
        {"schema": 99, "rounds": []},
        {"schema": 1, "rounds": 7},
        {"schema": 1, "rounds": [7]},
        {"schema": 1, "rounds": [{}]},
        {"schema": 1, "rounds": [{**PLAN, "parts": [{"worker": "worker-0"}]}]},
        {"schema": 1, "rounds": [{**PLAN, "colour": "red"}]},
        {"schema": 1, "rounds": [{name: value for name, value in PLAN.items() if name != "seconds"}]},
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(workspace: Workspace, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (workspace.root / "rounds.json").write_text(text)
    with pytest.raises(InfrastructureError, match=r"rounds\.json") as caught:
        read_plans(workspace)
    assert caught.value.exit_code == 3


def test_a_missing_file_is_an_error_of_the_ci(workspace: Workspace) -> None:
    with pytest.raises(InfrastructureError, match=r"rounds\.json cannot be read"):
        read_plans(workspace)


def test_old_rounds_are_forgotten(workspace: Workspace) -> None:
    folder = rounds_folder(workspace)
    folder.mkdir()
    (folder / "reruns.json").write_text("{}")
    forget_rounds(workspace)
    assert not folder.exists()
    forget_rounds(workspace)
    assert workspace.logs.is_dir()


def outcome(name: str, status: str = "failed", worker: str = "worker-1", seconds: float | None = 2.0) -> TestOutcome:
    return TestOutcome(name, status, NOW, seconds, worker)  # type: ignore[arg-type]


TESTS = [outcome("m.A.a"), outcome("m.A.b", "passed"), outcome("m.B.c", "passed", "worker-0")]
SELECTED = ["m.A.a", "m.A.b", "m.B.c", "m.B.never", "checks.x"]
REPORT = compare(StreamContent(tests=TESTS), SELECTED[:3])


def wanted(mode: str, *suspects: str, rounds: int = 3) -> WantedTrial:
    return WantedTrial(1, "control", mode, suspects, rounds, "to see")


def test_a_trial_that_has_only_to_come_up_has_no_rounds() -> None:
    assert rounds_for(wanted("start"), REPORT, SELECTED, 2, 100.0) == []


def test_suspects_alone_run_one_at_a_time_for_three_times_as_long() -> None:
    (plan,) = rounds_for(wanted("alone", "m.A.a"), REPORT, SELECTED, 2, 100.0)
    assert plan == RoundPlan("alone", "alone", (Part("worker-1", 1, ("m.A.a",)),), 66.0, one_at_a_time=True)


def test_neighbours_run_as_often_as_is_wanted() -> None:
    plans = rounds_for(wanted("neighbours", "m.A.a", rounds=9), REPORT, SELECTED, 2, 100.0)
    assert [plan.name for plan in plans] == [f"neighbours-{number}" for number in range(1, 10)]
    assert {plan.parts for plan in plans} == {
        (Part("worker-0", 0, ("m.B.c",)), Part("worker-1", 1, ("m.A.a", "m.A.b"))),
    }
    assert not any(plan.one_at_a_time or plan.with_checks for plan in plans)


def test_all_tests_run_with_the_checks_and_the_time_of_the_run() -> None:
    (plan,) = rounds_for(wanted("all"), REPORT, SELECTED, 2, 100.0)
    assert (plan.name, plan.mode, plan.seconds, plan.with_checks) == ("all", "all", 100.0, True)
    assert {name for part in plan.parts for name in part.tests} == set(SELECTED[:4])


@pytest.mark.parametrize("mode", ["alone", "neighbours", "all"])
def test_nothing_to_run_gives_no_round(mode: str) -> None:
    assert rounds_for(wanted(mode, "m.Z.unknown"), compare(StreamContent(), []), [], 1, 100.0) == []


def test_a_round_may_take_three_times_as_long_as_its_tests_took_and_a_minute() -> None:
    assert seconds_for([]) == 60.0
    assert seconds_for([outcome("m.A.a", seconds=None), outcome("m.A.b", seconds=100.0)]) == 360.0


def test_a_test_that_did_not_end_gets_the_time_of_a_client_that_gives_up() -> None:
    tests = [outcome("m.A.a", "incomplete", seconds=None)]
    report = compare(StreamContent(tests=tests), ["m.A.a"])
    (plan,) = rounds_for(wanted("alone", "m.A.a"), report, ["m.A.a"], 1, 100.0)
    assert plan.seconds == 120.0
