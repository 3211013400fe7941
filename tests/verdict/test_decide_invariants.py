"""What holds of every verdict, whatever the evidence is."""

from __future__ import annotations

import copy
from datetime import datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci_scripts.verdict.decide import decide
from ci_scripts.verdict.gate_runs import Case, GateRun
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.trial_plan import judge, next_trial
from ci_scripts.verdict.verdict import Facts
from tests.verdict.made_cases import (
    PROVED,
    A,
    B,
    alone,
    beside,
    left,
    report,
    round_of,
    stage,
    the_run,
    trial,
    with_stages,
)
from tests.verdict.random_cases import all_facts, answer, cases, convicting, runs

MOST_TRIALS = 20
OUTCOMES = {
    "nobody": {0, 4, 130, 143},
    "change": {1},
    "ci": {3},
    "unknown": {3},
}
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
anything = all_facts() | convicting()


def healthy(gate: GateRun, *, by_hand: bool = False) -> bool:
    """All stages well, run-gate among them, nothing lost, and no probe red while it ran; said in other words.

    ``by_hand``: start-gate, run-tempest and stop-gate were called one by one, without run-gate.
    """
    stages = {
        entry.name: entry.exit_code for entry in gate.facts.stages if entry.name not in ("stop-gate", "control-runs")
    }
    well = all(code == 0 or (code == 1 and name == "run-tempest") for name, code in stages.items())
    lost = [entry for entry in gate.facts.services or () if entry.state in ("died", "hung")]
    return well and (by_hand or "run-gate" in stages) and not lost and not _red(gate)


def _red(gate: GateRun) -> bool:
    outer = gate.facts.stage("run-gate")
    if outer is None or outer.started is None or outer.ended is None:
        return any(fact.red for fact in gate.probes)
    begun, ended = datetime.fromisoformat(outer.started), datetime.fromisoformat(outer.ended)
    near = [
        fact for fact in gate.probes if (begun - fact.time).total_seconds() <= 15 >= (fact.time - ended).total_seconds()
    ]
    return any(fact.red for fact in near)


def ran(gate: GateRun, test_id: str) -> set[str]:
    """What became of a test there; a test that never began is not among them."""
    found: set[TestOutcome] = {test for one in gate.rounds for test in one.tests.tests if test.id == test_id}
    return {str(test.status) for test in found if test.status != "incomplete" or test.started is not None}


@many
@given(anything)
def test_a_change_is_never_blamed_without_a_healthy_control_that_passed_and_a_second_gate_that_failed(
    facts: Facts,
) -> None:
    verdict = decide(facts)
    if verdict.blame != "change":
        return
    pairs = [
        (judgement, without, again)
        for judgement in facts.judgements
        if judgement.whose == "change"
        for without in judgement.trials
        for again in judgement.trials
        if without.role == "control" and again.role == "change"
    ]
    assert pairs
    assert all(healthy(without) for _, without, _ in pairs)
    for judgement, without, again in pairs:
        if judgement.symptom.kind == "test" and not judgement.symptom.name.startswith("setUpClass"):
            assert "failed" not in ran(without, judgement.symptom.name)
            assert ran(again, judgement.symptom.name) & {"failed", "incomplete"} or any(
                not_run.id == judgement.symptom.name or not_run.fixture == "setUpClass (m.First)"
                for one in again.rounds
                for not_run in one.tests.not_run
            )


@many
@given(anything)
def test_without_trials_no_change_is_blamed(facts: Facts) -> None:
    alone_ = Facts(Case(facts.case.run), facts.proof, facts.signatures, facts.resources, elsewhere=facts.elsewhere)
    assert decide(alone_).blame != "change"


@many
@given(anything)
def test_a_control_with_a_red_probe_never_leads_to_blame(facts: Facts) -> None:
    controls = [gate for gate in facts.case.trials if gate.role == "control"]
    if all(gate.probes and _red(gate) for gate in controls):
        assert decide(facts).blame != "change"


@many
@given(anything)
def test_what_every_control_shows_is_never_the_changes(facts: Facts) -> None:
    for judgement in facts.judgements:
        shown = [
            gate
            for gate in facts.case.trials
            if gate.role == "control" and "failed" in ran(gate, judgement.symptom.name)
        ]
        controls = [gate for gate in facts.case.trials if gate.role == "control"]
        if controls and shown == controls:
            assert judgement.whose != "change"


@many
@given(anything)
def test_the_files_of_another_change_or_half_of_them_are_held_for_or_against_nobody(facts: Facts) -> None:
    verdict = decide(facts)
    if facts.asked_for is not None and facts.asked_for.differences(facts.run.run):
        assert (verdict.rule, verdict.outcome, verdict.blame) == ("other-change", "ERROR", "ci")
    if facts.missing:
        assert verdict.blame != "change" and verdict.outcome != "SUCCESS"


@some
@given(anything)
def test_the_same_facts_give_the_same_verdict(facts: Facts) -> None:
    assert decide(facts) == decide(copy.deepcopy(facts)) == decide(facts)


@many
@given(anything)
def test_words_blame_and_exit_code_belong_together(facts: Facts) -> None:
    verdict = decide(facts)

    assert verdict.exit_code in OUTCOMES[verdict.blame]
    assert (verdict.outcome == "FAILURE") is (verdict.exit_code == 1) is (verdict.blame == "change")
    assert (verdict.outcome == "SUCCESS") is (verdict.exit_code == 0)
    assert (verdict.outcome == "ABORTED") is (verdict.exit_code in (130, 143))
    assert verdict.reasons and verdict.rule and verdict.sentence
    assert verdict.as_json()["schema"] == 1


@many
@given(anything)
def test_a_pass_is_proved_complete_and_healthy(facts: Facts) -> None:
    verdict = decide(facts)
    if verdict.outcome != "SUCCESS":
        return
    run = facts.case.run
    assert facts.proof.complete and run.facts.services and not run.facts.problems
    assert run.tests.selected is not None and not run.tests.stream.truncated
    assert not run.tests.with_status("incomplete")
    assert {test.id for test in run.tests.with_status("failed")} <= set(verdict.flaky)
    assert healthy(run, by_hand=True) or _red(run)
    assert any(test.status == "passed" for test in run.tests.tests) or verdict.flaky


@st.composite
def played(draw: st.DrawFn) -> tuple[Case, int, bool]:
    """A run, and trials as they are wanted, with any answer; how many there were, and whether it came to an end."""
    case = Case(draw(runs()))
    always = draw(st.booleans())
    for count in range(MOST_TRIALS + 1):
        wanted = next_trial(case, replays=draw(st.integers(1, 3)), always=always)
        if wanted is None:
            return case, count, True
        assert wanted.number == count + 1
        case = Case(case.run, (*case.trials, answer(draw, wanted)))
    return case, MOST_TRIALS + 1, False


@many
@given(played())
def test_trials_come_to_an_end(game: tuple[Case, int, bool]) -> None:
    case, count, ended = game

    assert ended and count == len(case.trials) <= MOST_TRIALS


@some
@given(all_facts(played().map(lambda game: game[0])))
def test_after_all_trials_a_change_is_blamed_only_as_before(facts: Facts) -> None:
    verdict = decide(facts)
    if verdict.blame == "change":
        roles = {gate.role for judgement in facts.judged("change") for gate in judgement.trials}
        assert roles == {"control", "change"}


@some
@given(cases)
def test_what_is_known_wants_no_more(case: Case) -> None:
    for judgement in judge(case):
        assert judgement.wants is None or judgement.whose == "unknown"
        assert judgement.why


def play(run: GateRun, kinds: dict[str, dict[str, object]]) -> Facts:
    """All trials as they are wanted, on gates that behave in the same way each time, by role."""
    case = Case(run)
    while (wanted := next_trial(case)) is not None:
        assert len(case.trials) < MOST_TRIALS
        how = dict(kinds[wanted.role])
        names = dict.fromkeys(wanted.suspects or (A, B), "passed")
        names |= {name: status for name, status in how.pop("tests", {}).items() if name in names}  # type: ignore[attr-defined]
        count = {"start": 0, "neighbours": wanted.rounds}.get(wanted.mode, 1)
        made = [round_of(wanted.mode, names, number) for number in range(1, count + 1)]
        case = Case(case.run, (*case.trials, trial(wanted.number, wanted.role, wanted.mode, *made, **how)))
    return Facts(case, PROVED)


FAILED = {"tests": {A: "failed"}}
NO_START = {"stages": with_stages(stage("start-gate", 3), stage("run-gate", 3))}
RUNS_AND_WAYS: list[tuple[GateRun, dict[str, object]]] = [
    (the_run({"a": "failed", "b": "passed"}, rounds=[alone(a="failed")]), FAILED),
    (
        the_run({"a": "failed", "b": "passed"}, rounds=[alone(a="passed"), *beside({"a": "failed"}, {"a": "passed"})]),
        FAILED,
    ),
    (the_run({"a": "failed", "b": "passed"}), FAILED),
    (the_run(tests=report({}), **NO_START), NO_START),
    (the_run(leftovers=[left("neutron", 2)]), {"leftovers": [left("neutron", 2)]}),
]


def test_a_regression_that_is_there_each_time_is_blamed() -> None:
    for run, way in RUNS_AND_WAYS:
        clean: dict[str, object] = {"leftovers": [left("neutron", 0)]}
        verdict = decide(play(run, {"control": clean, "change": way}))
        assert (verdict.rule, verdict.exit_code) == ("fails-only-with-the-change", 1), run


def test_what_is_there_with_and_without_the_change_is_never_blamed_on_it() -> None:
    for run, way in RUNS_AND_WAYS:
        verdict = decide(play(run, {"control": way, "change": way}))
        assert verdict.blame != "change", run


def test_what_came_once_and_never_again_is_never_blamed() -> None:
    for run, _ in RUNS_AND_WAYS:
        clean: dict[str, object] = {"leftovers": [left("neutron", 0)]}
        verdict = decide(play(run, {"control": clean, "change": clean}))
        assert verdict.blame != "change" and verdict.exit_code == 3, run
