"""What counts as a symptom of a run, what reruns make of it, and whether a trial shows it."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from ci_scripts.verdict.gate_runs import GateRun
from ci_scripts.verdict.symptoms import Symptom, is_fit, seen_in, symptoms_of
from tests.verdict.made_cases import (
    CHECK,
    END,
    HEALTHY,
    NODE,
    START,
    A,
    B,
    C,
    alone,
    beside,
    change,
    control,
    left,
    red,
    report,
    round_of,
    service,
    stage,
    text,
    the_run,
    with_stages,
)

TEST = Symptom("test", A, f"{A} failed")


def brief(run: GateRun) -> list[tuple[str, str]]:
    return [(symptom.kind, symptom.name) for symptom in symptoms_of(run)]


def test_a_good_run_has_none() -> None:
    assert symptoms_of(the_run()) == ()


@pytest.mark.parametrize(
    ("rounds", "again", "returned"),
    [
        ((), "not-rerun", 0),
        ((alone(a="failed"),), "persistent", 0),
        ((alone(a="skipped"),), "not-rerun", 0),
        ((alone(b="failed"),), "not-rerun", 0),
        ((alone(a="passed"),), "not-rerun", 0),
        ((alone(a="passed"), *beside({"a": "passed"}, {"a": "passed"}, {"a": "passed"})), "flaky", 0),
        ((alone(a="passed"), *beside({"a": "passed"}, {"a": "failed"}, {"a": "passed"})), "returned", 1),
        ((alone(a="passed"), *beside({"a": "failed"}, {"a": "failed"}, {"a": "failed"})), "returned", 3),
        ((alone(a="passed"), *beside({"a": "passed"}, {"a": "skipped"})), "not-rerun", 0),
        ((alone(a="passed"), *beside({"a": "passed"}, {"b": "passed"})), "not-rerun", 0),
        ((alone(a="passed"), round_of("neighbours", {A: "passed"}, ended=None)), "not-rerun", 0),
        (beside({"a": "passed"}, {"a": "passed"}), "not-rerun", 0),
    ],
)
def test_what_the_reruns_of_a_failed_test_show(rounds, again: str, returned: int) -> None:
    (symptom,) = symptoms_of(the_run({"a": "failed", "b": "passed"}, rounds=rounds))

    assert (symptom.kind, symptom.name, symptom.again, symptom.returned) == ("test", A, again, returned)


def test_a_test_that_did_not_end_alone_failed_again() -> None:
    again = round_of("alone", {}, hung=[A])

    assert symptoms_of(the_run({"a": "failed"}, rounds=[again]))[0].again == "persistent"


def test_a_test_that_no_round_came_to_was_not_run_again() -> None:
    """Its round was stopped before: a slow node says nothing about the test."""
    cut = round_of("alone", {B: "failed"}, missing=[A], problem="the tests were stopped: their time was up")
    found = {
        symptom.name: symptom.again for symptom in symptoms_of(the_run({"a": "failed", "b": "failed"}, rounds=[cut]))
    }

    assert found == {A: "not-rerun", B: "persistent"}


def test_the_most_telling_tests_come_first_and_checks_last() -> None:
    rounds = [alone(a="passed", b="passed", c="failed"), *beside({"a": "passed", "b": "failed"})]
    run = the_run({"check": "failed", "a": "failed", "b": "failed", "c": "failed"}, rounds=rounds)

    assert [symptom.name for symptom in symptoms_of(run)] == [C, B, A, CHECK]
    assert [symptom.again for symptom in symptoms_of(run)] == ["persistent", "returned", "flaky", "not-rerun"]


def test_a_test_under_way_when_a_stage_failed_hung_and_one_that_never_began_did_not() -> None:
    tests = report({B: "passed"}, hung=[A], missing=[C])
    broken = with_stages(stage("run-tempest", 3, "TIMED_OUT", "their time was up"), stage("run-gate", 3))
    found = symptoms_of(the_run(tests=tests, stages=broken))

    assert [(symptom.kind, symptom.name) for symptom in found] == [("test", A), ("time-out", "run-tempest")]
    assert found[0].text == f"{A} did not end"
    assert found[1].text == "the tests were not done in their time: their time was up"
    assert symptoms_of(the_run(tests=tests)) == ()


@pytest.mark.parametrize("name", ["install-driver", "start-gate", "run-tempest"])
def test_the_stage_in_the_hook_tells_more_than_run_gate(name: str) -> None:
    run = the_run(stages=with_stages(stage(name, 3), stage("run-gate", 3, reason="a hook failed")))

    assert brief(run) == [("stage", name)]
    assert symptoms_of(run)[0].text.endswith("no reason given")


@pytest.mark.parametrize("name", ["prepare-gate", "run-gate"])
def test_a_stage_that_failed_before_anything_of_the_change_ran_is_no_symptom(name: str) -> None:
    assert symptoms_of(the_run(stages=with_stages(stage(name, 3, with_change=False)))) == ()
    assert brief(the_run(stages=with_stages(stage(name, 3)))) == [("stage", name)]


def test_a_service_lost_before_anything_of_the_change_ran_is_no_symptom() -> None:
    """Fresh gates would only cost time: the verdict is known."""
    before = with_stages(stage("run-gate", 3, with_change=False))

    assert symptoms_of(the_run(stages=before, services=[service("controller", "died")])) == ()


def test_failed_tests_are_no_failure_of_run_tempest_and_no_end_is_one() -> None:
    assert symptoms_of(the_run(stages=with_stages(stage("run-tempest", 1)))) == ()
    assert brief(the_run(stages=with_stages(stage("run-tempest", None)))) == [("stage", "run-tempest")]


def test_lost_services_are_told_once_by_name() -> None:
    services = [service("neutron", "died", shard="0"), service("neutron", "hung", shard="1"), service("keystone")]
    run = the_run(services=services)

    assert brief(run) == [("service", "neutron")]
    assert symptoms_of(run)[0].text == "neutron died"


def test_a_service_that_never_became_ready_is_lost_only_where_a_stage_failed() -> None:
    services = [service("neutron", "starting")]

    assert brief(the_run(services=services)) == []
    failed = with_stages(stage("start-gate", 3))
    assert brief(the_run(services=services, stages=failed)) == [("service", "neutron"), ("stage", "start-gate")]


def test_probes_that_were_red_after_the_tests_stand_for_run_gate() -> None:
    run = the_run(stages=with_stages(stage("run-gate", 3)), probes=[red("after"), red("after", line=2)])
    assert brief(run) == [("probe", "controller")]
    assert symptoms_of(the_run(probes=[red("during")])) == ()


def test_leftovers_count_where_all_tests_passed() -> None:
    leftovers = [left("neutron", 2, "0"), left("neutron", 1, "1"), left("controller", 0, None)]
    run = the_run(leftovers=leftovers)

    assert [symptom.text for symptom in symptoms_of(run)] == ["the tests left 3 things in neutron"]
    assert brief(the_run({"a": "failed", "b": "passed"}, leftovers=leftovers)) == [("test", A)]
    broken = the_run(leftovers=leftovers, stages=with_stages(stage("run-tempest", 3)))
    assert brief(broken) == [("stage", "run-tempest")]


@pytest.mark.parametrize(
    ("rounds", "seen"),
    [
        ((), "unknown"),
        ((alone(a="failed"),), "shown"),
        ((alone(a="passed"),), "absent"),
        ((alone(a="skipped"),), "unknown"),
        ((alone(b="passed"),), "unknown"),
        (beside({"a": "passed"}, {"a": "failed"}), "shown"),
        (beside({"a": "passed"}, {"a": "passed"}), "absent"),
        (beside({"a": "passed"}, {"b": "passed"}), "unknown"),
        ((round_of("alone", {}, hung=[A]),), "shown"),
    ],
)
def test_whether_a_trial_shows_a_failed_test(rounds, seen: str) -> None:
    assert seen_in(control("alone", *rounds), TEST) == seen
    assert seen_in(change("alone", *rounds), TEST) == seen


def test_a_trial_that_never_came_to_a_test_does_not_show_its_failure() -> None:
    """A worker that died, a gate that broke, or time that was up before it: the CI's failure, no second one of it."""
    never = round_of("alone", {B: "failed"}, missing=[A], problem="the tests were stopped: their time was up")

    assert seen_in(change("alone", never), TEST) == "unknown"


def test_a_class_that_cannot_be_set_up_fails_its_tests_and_one_that_can_be_passes() -> None:
    fixture = Symptom("test", "setUpClass (m.First)", "it failed")
    broken = round_of("alone", {"setUpClass (m.First)": "failed"}, missing=[A, B])
    set_up = round_of("alone", {A: "passed", B: "failed"})

    assert seen_in(change("alone", broken), fixture) == seen_in(change("alone", broken), TEST) == "shown"
    assert seen_in(control("alone", set_up), fixture) == "absent"


def test_a_module_that_can_be_set_up_passes() -> None:
    fixture = Symptom("test", "setUpModule (m)", "it failed")

    assert seen_in(control("alone", round_of("alone", {A: "passed", C: "passed"})), fixture) == "absent"


STAGE = Symptom("stage", "start-gate", "it failed")


def test_whether_a_trial_shows_a_failed_stage() -> None:
    failed, before = with_stages(stage("start-gate", 3)), with_stages(stage("install-driver", 3))
    not_reached = tuple(entry for entry in before if entry.name not in ("start-gate", "run-tempest"))

    assert seen_in(change("start", stages=failed), STAGE) == "shown"
    assert seen_in(control("start"), STAGE) == "absent"
    assert seen_in(control("start", stages=not_reached), STAGE) == "unknown"
    assert seen_in(control("start", stages=with_stages(stage("start-gate", None))), STAGE) == "unknown"


def test_a_trial_that_failed_before_the_change_had_a_part_shows_nothing() -> None:
    symptom = Symptom("stage", "prepare-gate", "it failed")
    mine = with_stages(stage("prepare-gate", 3, with_change=False))

    assert seen_in(change("start", stages=mine), symptom) == "unknown"


def test_failed_tests_in_a_trial_are_no_failure_of_its_stage() -> None:
    symptom = Symptom("stage", "run-tempest", "it failed")

    assert seen_in(control("all", stages=with_stages(stage("run-tempest", 1))), symptom) == "absent"
    assert seen_in(change("all", stages=with_stages(stage("run-tempest", 3))), symptom) == "shown"


CUT_SHORT = with_stages(stage("run-tempest", 3), stage("run-gate", 3))


@pytest.mark.parametrize(
    ("kind", "name", "showing"),
    [
        ("service", "neutron", {"services": [service("neutron", "died")]}),
        ("service", "neutron", {"services": [service("neutron", "hung")]}),
        ("probe", "controller", {"probes": [red("after")]}),
        ("leak", "neutron", {"leftovers": [left("neutron", 2)]}),
    ],
)
def test_whether_a_trial_shows_what_was_lost_red_or_left(kind, name: str, showing) -> None:
    symptom = Symptom(kind, name, "it is there")
    clean = {"leftovers": [left("neutron", 0)]}

    assert seen_in(change("all", **showing), symptom) == "shown"
    assert seen_in(control("all", **clean), symptom) == "absent"
    assert seen_in(control("all", **clean, stages=CUT_SHORT), symptom) == "unknown"


@pytest.mark.parametrize("leftovers", [[], [left("neutron", 0)]])
def test_an_inventory_that_could_not_be_asked_says_nothing_about_leaks(leftovers) -> None:
    symptom = Symptom("leak", "controller", "the tests left 3 things in controller")

    assert seen_in(control("all", leftovers=leftovers), symptom) == "unknown"


def test_a_control_is_fit_when_it_was_taken_to_its_end_on_a_healthy_gate() -> None:
    assert is_fit(control("alone", alone(a="passed")))
    assert is_fit(control("alone", alone(a="failed"), stages=with_stages(stage("run-tempest", 1))))
    assert not is_fit(change("alone", alone(a="passed")))


@pytest.mark.parametrize("name", NODE)
@pytest.mark.parametrize("code", [2, 3, 70, 143, None])
def test_a_control_with_a_failed_stage_is_not_fit(name: str, code: int | None) -> None:
    assert not is_fit(control("alone", alone(a="passed"), stages=with_stages(stage(name, code))))


def test_a_control_that_was_never_run_is_not_fit() -> None:
    assert not is_fit(control("alone", stages=()))


@pytest.mark.parametrize("state", ["died", "hung"])
def test_a_control_that_lost_a_service_is_not_fit(state: str) -> None:
    assert not is_fit(control("alone", alone(a="passed"), services=[*HEALTHY, service("controller", state)]))


@pytest.mark.parametrize("phase", ["before", "during", "after"])
@pytest.mark.parametrize("moment", [START - timedelta(seconds=14), START, END, END + timedelta(seconds=14)])
def test_a_control_with_a_red_probe_is_not_fit(phase: str, moment) -> None:
    assert not is_fit(control("alone", alone(a="passed"), probes=[red(phase, moment=moment)]))


@pytest.mark.parametrize("minutes", [3, -53], ids=["before it jumped", "after"])
def test_a_control_whose_clock_jumped_back_while_it_ran_is_not_fit_with_a_red_probe(minutes: int) -> None:
    """Begun at 12:00, set back an hour at 12:05, ended at 11:10: nothing happened between the end and the start."""
    jumped = dataclasses.replace(stage("run-gate"), ended=text(START - timedelta(minutes=50)))
    probes = [red(moment=START + timedelta(minutes=minutes))]

    assert not is_fit(control("alone", alone(a="passed"), stages=with_stages(jumped), probes=probes))


@pytest.mark.parametrize("how", [{"problem": "the tests were stopped: their time was up"}, {"ended": None}])
def test_a_control_with_a_round_that_was_cut_short_is_not_fit(how) -> None:
    cut = round_of("all", {A: "passed"}, missing=[B], **how)

    assert not is_fit(control("all", cut))
