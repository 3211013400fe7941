"""A decision told rule by rule: what holds, whose each failure is, and what would have changed it."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime

import pytest

from ci_scripts.history.records import OtherFailure
from ci_scripts.verdict.decide import RULES, decide
from ci_scripts.verdict.explanation import Sighting, asked_at, differences, explain, explain_test
from ci_scripts.verdict.gate_runs import Case, GateRun
from ci_scripts.verdict.trial_plan import next_trial
from ci_scripts.verdict.verdict import Facts
from tests.verdict.made_cases import (
    A,
    B,
    alone,
    beside,
    change,
    control,
    facts,
    named,
    report,
    round_of,
    stage,
    the_run,
    with_stages,
)

COMMAND = "ci-run-gate --control --workspace '/a run'"
FAILED = the_run({"a": "passed", "b": "failed"}, rounds=(alone(b="failed"),))
PASSED_ON_CONTROL = control("alone", alone(b="passed"))
FAILED_ON_CONTROL = control("alone", alone(b="failed"))
FAILED_AGAIN = change("alone", alone(b="failed"))
PASSED_NOW = change("alone", alone(b="passed"))
NO_KEYSTONE = stage("start-gate", 3, reason="keystone did not start")
BROKEN_CONTROL = control("alone", stages=with_stages(NO_KEYSTONE))
SEEN_ONCE = the_run(
    {"a": "passed", "b": "failed"}, rounds=(alone(b="passed"), *beside(*[{"a": "passed", "b": "passed"}] * 3))
)
PASSED = facts(the_run())
BLAMED = facts(FAILED, PASSED_ON_CONTROL, FAILED_AGAIN)


@pytest.mark.parametrize("found", [PASSED, BLAMED, facts(FAILED), facts(SEEN_ONCE), facts(the_run({}, stages=()))])
def test_every_rule_is_told_in_order_and_the_one_that_decides_is_marked(found: Facts) -> None:
    told = explain(found, workspace="/run")
    names = [rule.name for rule in told.rules]
    place = names.index(decide(found).rule)

    assert names == [rule.name for rule in RULES]
    assert [rule.state for rule in told.rules] == (
        ["does not hold"] * place + ["decides"] + ["not asked"] * (len(names) - place - 1)
    )
    assert told.rules[place].reasons == told.verdict.reasons == decide(found).reasons
    assert not any(rule.reasons or rule.evidence for rule in told.rules if rule.state != "decides")


CASES: list[tuple[str, tuple[GateRun, ...], str, str]] = [
    ("no trial yet", (FAILED,), "unknown", f"a control run of the failed tests, alone: {COMMAND}"),
    ("blamed", (FAILED, PASSED_ON_CONTROL, FAILED_AGAIN), "change", "control run 1 showing it too"),
    ("acquitted", (FAILED, FAILED_ON_CONTROL), "ci", "control run 1 not showing it; then a fresh gate"),
    ("half a pair", (FAILED, PASSED_ON_CONTROL), "unknown", "a fresh gate with the change of the failed tests, alone"),
    ("broken control", (FAILED, BROKEN_CONTROL), "unknown", "a trial that can tell in the place of control run 1"),
    ("flaky", (SEEN_ONCE,), "flaky", "one more failure"),
    (
        "not run again",
        (the_run({"a": "failed", "b": "failed"}, rounds=(alone(a="failed"),)),),
        "unknown",
        "verdict.most_reruns",
    ),
    ("on a node", (the_run({"b": "failed"}, run={"gate": {"kind": "devstack"}}),), "unknown", "a newer control run"),
]


@pytest.mark.parametrize(("runs", "whose", "would_change"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_what_would_have_changed_it_is_said_of_each_symptom(runs, whose: str, would_change: str) -> None:
    told = explain(facts(*runs), workspace="/a run")
    found = next(symptom for symptom in told.symptoms if symptom.name == B)

    assert (found.kind, found.whose) == ("test", whose) and found.why
    assert any(text.startswith(would_change) for text in found.would_change)
    assert told.symptoms_asked and told.verdict.otherwise


def test_the_command_that_is_told_runs_the_trial_that_is_wanted() -> None:
    wanted = next_trial(facts(FAILED).case)
    (symptom,) = explain(facts(FAILED), workspace="/a run").symptoms

    assert wanted is not None and symptom.wants == (wanted.role, wanted.mode)
    assert shlex.split(symptom.would_change[0].partition(": ")[2])[-1] == "/a run"


def test_a_failure_that_a_fresh_gate_does_not_show_names_that_gate() -> None:
    whole = round_of("all", named({"a": "passed", "b": "passed"}))
    trials = (PASSED_ON_CONTROL, PASSED_NOW, control("all", whole, number=3), change("all", whole, number=4))
    told = explain(facts(FAILED, *trials), workspace="/run")

    assert told.verdict.rule == "not-reproduced"
    assert told.symptoms[0].would_change == ("trial 4 with the change showing it again",)


def test_nothing_is_asked_for_a_failure_beside_one_that_is_the_changes() -> None:
    rounds = (alone(a="passed", b="failed"), *beside({"a": "failed"}))
    run = the_run({"a": "failed", "b": "failed"}, rounds=rounds)
    told = explain(facts(run, PASSED_ON_CONTROL, FAILED_AGAIN), workspace="/run")
    other = next(symptom for symptom in told.symptoms if symptom.name == A)

    assert told.verdict.blame == "change" and other.wants == ("control", "neighbours")
    assert other.would_change == ("nothing more is run for it: something else is the change's already",)
    assert next_trial(Case(run, (PASSED_ON_CONTROL, FAILED_AGAIN))) is None


def test_symptoms_are_not_asked_where_a_rule_of_the_run_decides() -> None:
    told = explain(facts(the_run({"b": "failed"}, stages=with_stages(stage("run-gate", 143)))), workspace="/run")

    assert told.verdict.rule == "aborted" and not told.symptoms_asked
    assert B in [symptom.name for symptom in told.symptoms]


def test_where_a_test_was_seen_is_told_gate_by_gate() -> None:
    (answer,) = explain_test(BLAMED, B, workspace="/run")

    assert answer.seen == (
        Sighting("the run", ".", "", "failed"),
        Sighting("the run", ".", "alone", "failed"),
        Sighting("control run 1", "trials/1-control", "alone", "passed"),
        Sighting("trial 2 with the change", "trials/2-change", "alone", "failed"),
    )
    assert answer.symptom is not None and answer.symptom.whose == "change"


def test_a_test_that_passed_has_nothing_to_explain_and_one_that_is_not_there_no_answer() -> None:
    (answer,) = explain_test(BLAMED, A, workspace="/run")

    assert answer.symptom is None and answer.seen[0].seen == "passed" and answer.seen[-1].seen == "not run"
    assert explain_test(BLAMED, "no.such.test", workspace="/run") == ()


def test_a_test_is_found_without_its_attributes() -> None:
    found = facts(the_run({"m.C.test_x[id-1,smoke]": "passed", "m.C.test_xy[id-2]": "passed"}))
    (answer,) = explain_test(found, "m.C.test_x", workspace="/run")

    assert answer.id == "m.C.test_x[id-1,smoke]"


def test_a_test_whose_class_was_not_set_up_says_so() -> None:
    fixture = "setUpClass (m.First)"
    found = facts(the_run(tests=report({fixture: "failed"}, missing=[A])))
    (answer,) = explain_test(found, A, workspace="/run")

    assert answer.seen == (Sighting("the run", ".", "", f"not run: {fixture}"),)


def test_a_stage_is_shown_or_absent_on_each_gate() -> None:
    broken = with_stages(stage("start-gate", 3, reason="neutron died"), stage("run-gate", 3, reason="gate_hook"))
    run = the_run({}, stages=broken, tests=report({}, missing=[A]))
    told = explain(facts(run, control("start"), change("start", stages=broken)), workspace="/run")

    assert told.verdict.blame == "change" and told.symptoms[0].kind == "stage"
    assert [sighting.seen for sighting in told.symptoms[0].seen] == ["shown", "absent", "shown"]


def test_failures_elsewhere_are_told_with_the_change_they_were_seen_on() -> None:
    then = datetime(2026, 1, 31, tzinfo=UTC)
    others = (
        OtherFailure("run-0", then, "change", "openstack/neutron", "900", "1", "ERROR", "unknown", False),
        OtherFailure("run-9", then, "control", "openstack/neutron", None, None, "SUCCESS", "nobody", False),
    )
    told = explain(facts(FAILED, elsewhere={B: others}), workspace="/run")

    assert told.symptoms[0].elsewhere == ("openstack/neutron 900 in run run-0", "a control run in run run-9")


def test_another_verdict_in_the_file_is_told_key_by_key() -> None:
    verdict = decide(BLAMED)
    written = json.loads(json.dumps(verdict.as_json()))

    assert differences(verdict, written) == ()
    lines = differences(verdict, {**written, "outcome": "SUCCESS\x1b[31m", "exit_code": 0, "made": "later"})
    assert [line.partition(":")[0] for line in lines] == ["outcome", "exit_code"]
    assert not any("\x1b" in line for line in lines) and "'FAILURE'" in lines[0]
    assert len(differences(verdict, {})) >= 5


@pytest.mark.parametrize(
    ("made", "hour"),
    [("2026-01-31T09:00:00.000Z", 9), ("2026-02-01T09:00:00Z", 12), ("0001-01-01T00:00:00Z", 12), (None, 12), (7, 12)],
)
def test_the_history_is_asked_for_the_time_of_the_verdict(made: object, hour: int) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)

    assert asked_at({"made": made}, noon) == noon.replace(hour=hour)
    assert asked_at({}, noon) == noon


def test_json_is_plain_and_holds_all_of_it() -> None:
    told = explain(BLAMED, workspace="/run")
    data = json.loads(json.dumps(told.as_json()))

    assert (data["schema"], data["run_id"], data["rule"]) == (1, "run-1", "fails-only-with-the-change")
    assert len(data["rules"]) == len(RULES) and data["symptoms_asked"] and data["symptoms_left_out"] == 0
    assert data["symptoms"][0]["name"] == B and data["symptoms"][0]["seen"][0]["gate"] == "the run"


def test_of_very_many_symptoms_the_first_are_told_and_the_rest_counted() -> None:
    run = the_run({f"m.C.test_{number}": "failed" for number in range(230)})
    told = explain(facts(run), workspace="/run")

    assert len(told.symptoms) == 200 and told.left_out == 30


def test_the_same_facts_are_explained_alike() -> None:
    assert explain(BLAMED, workspace="/run") == explain(BLAMED, workspace="/run")
