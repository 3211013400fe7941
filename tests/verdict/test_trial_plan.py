"""Which trial is wanted next, and whose a symptom is by the trials so far."""

from __future__ import annotations

import pytest

from ci_scripts.verdict.gate_runs import Case, GateRun
from ci_scripts.verdict.rerun_facts import RoundFact
from ci_scripts.verdict.symptoms import symptoms_of
from ci_scripts.verdict.trial_plan import MOST_SUSPECTS, Judgement, WantedTrial, judge, next_trial, why_unfit
from tests.verdict.made_cases import (
    CHECK,
    A,
    B,
    C,
    alone,
    beside,
    case_of,
    change,
    control,
    left,
    red,
    report,
    round_of,
    service,
    stage,
    the_run,
    with_stages,
)

AGAIN = the_run({"a": "failed", "b": "passed"}, rounds=[alone(a="failed")])
FAILS, PASSES = alone(a="failed"), alone(a="passed")
HUNG = the_run(tests=report({B: "passed"}, hung=[A]), stages=with_stages(stage("run-tempest", 3), stage("run-gate", 3)))
NO_START = the_run(tests=report({}), stages=with_stages(stage("start-gate", 3), stage("run-gate", 3)))
START_FAILS = with_stages(stage("start-gate", 3), stage("run-gate", 3))


def returned(*rounds: str) -> GateRun:
    """Failed, passed alone, and with its neighbours it went as ``rounds`` say."""
    return the_run(
        {"a": "failed", "b": "passed"}, rounds=[PASSES, *beside(*({"a": status, "b": "passed"} for status in rounds))]
    )


def only(case: Case) -> Judgement:
    (judgement,) = judge(case)
    return judgement


def wanted(case: Case, **how: object) -> tuple[str, str] | None:
    found = next_trial(case, **how)  # type: ignore[arg-type]
    return (found.role, found.mode) if found is not None else None


def test_a_good_run_wants_none_and_always_wants_a_control_of_all() -> None:
    good = case_of(the_run())
    assert next_trial(good) is None
    found = next_trial(good, always=True)
    assert found == WantedTrial(1, "control", "all", (), 1, "control runs are asked for always")
    assert next_trial(case_of(the_run(), control("all", round_of("all", {A: "failed"}))), always=True) is None
    assert next_trial(case_of(the_run(tests=report({}))), always=True) is None


def test_a_flaky_test_wants_no_trial() -> None:
    case = case_of(returned("passed", "passed", "passed"))
    assert only(case).whose == "flaky"
    assert next_trial(case) is None
    assert wanted(case, always=True) == ("control", "all")


def test_a_test_that_failed_again_is_asked_alone_first_without_the_change_then_with_it() -> None:
    first = next_trial(case_of(AGAIN))
    assert first == WantedTrial(1, "control", "alone", (A,), 1, "is it there without the change?")
    second = next_trial(case_of(AGAIN, control("alone", PASSES)))
    assert second == WantedTrial(2, "change", "alone", (A,), 1, "is it there again with the change?")


def test_the_change_is_to_blame_when_it_fails_each_time_with_it_and_not_without() -> None:
    case = case_of(AGAIN, control("alone", PASSES), change("alone", FAILS))
    judgement = only(case)
    assert judgement.whose == "change"
    assert [trial.label for trial in judgement.trials] == ["control run 1", "trial 2 with the change"]
    assert next_trial(case) is None


def test_what_fails_without_the_change_too_is_not_the_changes_and_needs_no_second_gate() -> None:
    case = case_of(AGAIN, control("alone", FAILS))
    assert only(case).whose == "ci"
    assert only(case).why == "control run 1 shows it too, without the change"
    assert next_trial(case) is None


def test_what_is_not_there_on_a_second_gate_is_looked_for_among_all_tests() -> None:
    trials = [control("alone", PASSES), change("alone", PASSES)]
    case = case_of(AGAIN, *trials)
    assert (only(case).whose, only(case).why) == ("unknown", "is it there without the change?")
    assert wanted(case) == ("control", "all")
    everything = round_of("all", {A: "passed", B: "passed"})
    again = [*trials, control("all", everything, number=3)]
    assert wanted(case_of(AGAIN, *again)) == ("change", "all")
    shown = case_of(AGAIN, *again, change("all", round_of("all", {A: "failed"}), number=4))
    assert only(shown).whose == "change"
    absent = case_of(AGAIN, *again, change("all", everything, number=4))
    assert only(absent).whose == "not-reproduced"
    assert next_trial(shown) is None and next_trial(absent) is None


@pytest.mark.parametrize(
    ("trials", "why"),
    [
        ([control("alone", PASSES, stages=with_stages(stage("start-gate", 3, reason="no port")))], "no port"),
        ([control("alone", PASSES, probes=[red()])], "the probe controller was red: refused"),
        ([control("alone", PASSES, stages=())], "it did not come to its end"),
        ([control("alone", alone(a="skipped"))], "it has no outcome"),
        ([control("alone", PASSES), change("alone", alone(b="failed"))], "it has no outcome"),
        ([control("alone", PASSES), change("alone", stages=with_stages(stage("run-gate", 3)))], "run-gate failed"),
    ],
)
def test_a_trial_that_cannot_tell_leaves_it_unknown_and_no_other_is_wanted(trials: list[GateRun], why: str) -> None:
    case = case_of(AGAIN, *trials)
    assert only(case).whose == "unknown"
    assert why in only(case).why and only(case).trials == (trials[-1],)
    assert next_trial(case) is None


def test_red_probes_ask_for_everything_twice() -> None:
    run = the_run({"a": "failed"}, rounds=[FAILS], probes=[red()])
    trials: list[GateRun] = []
    expected = [("control", "alone"), ("change", "alone"), ("control", "alone"), ("change", "alone")]
    for number, (role, mode) in enumerate(expected, 1):
        assert only(case_of(run, *trials)).whose == "unknown"
        assert wanted(case_of(run, *trials)) == (role, mode)
        trials.append(control(mode, PASSES, number=number) if role == "control" else change(mode, FAILS, number=number))
    assert only(case_of(run, *trials)).whose == "change"
    assert len(only(case_of(run, *trials)).trials) == 4


def test_a_probe_that_is_red_on_the_second_gate_only_asks_for_a_second_pair_too() -> None:
    case = case_of(AGAIN, control("alone", PASSES), change("alone", FAILS, probes=[red()]))
    assert only(case).whose == "unknown"
    assert wanted(case) == ("control", "alone")


def test_a_controller_that_came_back_by_itself_is_not_the_changes() -> None:
    run = the_run({"a": "failed"}, rounds=[FAILS], probes=[red()])
    trials = [control("alone", PASSES), change("alone", FAILS), control("alone", FAILS, number=3)]
    assert only(case_of(run, *trials)).whose == "ci"


def test_the_rarer_a_test_failed_the_oftener_a_control_has_to_pass() -> None:
    rounds = {}
    for count in (1, 2, 3):
        run = returned(*["failed"] * count, *["passed"] * (3 - count))
        first = next_trial(case_of(run))
        assert first is not None and (first.role, first.mode, first.suspects) == ("control", "neighbours", (A,))
        rounds[count] = first.rounds
        second = next_trial(case_of(run, control("neighbours", *beside({"a": "passed"}))))
        assert second is not None and (second.role, second.mode, second.rounds) == ("change", "neighbours", 3)
    assert rounds == {1: 9, 2: 6, 3: 3}


def others(*rounds: str) -> list[RoundFact]:
    """With its neighbours the test passes each time, and another one goes as ``rounds`` say."""
    return list(beside(*({"a": "passed", "b": status} for status in rounds)))


@pytest.mark.parametrize(
    ("rounds", "returned_in"), [(["failed", "passed", "passed"], 0), (["failed", "passed", "failed"], 2)]
)
def test_what_hits_another_test_each_time_has_come_back_from_the_second_time_on(
    rounds: list[str], returned_in: int
) -> None:
    (symptom,) = symptoms_of(the_run({"a": "failed", "b": "passed"}, rounds=[PASSES, *others(*rounds)]))
    assert (symptom.name, symptom.again) == (A, "returned" if returned_in else "flaky")
    assert symptom.returned == returned_in and symptom.beside is bool(returned_in)


def test_a_neighbour_that_fails_by_itself_is_no_trouble_in_another_place() -> None:
    run = the_run({"a": "failed", "b": "failed"}, rounds=[alone(a="passed", b="failed"), *others(*["failed"] * 3)])
    assert {symptom.name: symptom.again for symptom in symptoms_of(run)} == {A: "flaky", B: "persistent"}


@pytest.mark.parametrize(
    ("without", "again", "whose"),
    [
        (None, None, "unknown"),
        (["passed"] * 3, None, "unknown"),
        (["passed", "passed", "failed"], None, "ci"),
        (["passed"] * 3, ["passed"] * 3, "not-reproduced"),
        (["passed"] * 3, ["failed", "passed", "passed"], "not-reproduced"),
        (["passed"] * 3, ["failed", "passed", "failed"], "change"),
    ],
)
def test_whose_a_failure_is_that_hits_another_test_each_time(
    without: list[str] | None, again: list[str] | None, whose: str
) -> None:
    run = the_run({"a": "failed", "b": "passed"}, rounds=[PASSES, *others(*["failed"] * 3)])
    given = ((control, without), (change, again))
    trials = [make("neighbours", *others(*statuses)) for make, statuses in given if statuses is not None]
    found = only(case_of(run, *trials))
    assert found.whose == whose and "others in its place" in found.symptom.text


@pytest.mark.parametrize(
    ("without", "again", "whose"),
    [
        (None, None, "unknown"),
        (["passed", "failed"], None, "ci"),
        (["passed"], ["passed"], "not-reproduced"),
        (["passed"], ["passed", "failed"], "change"),
    ],
)
def test_whose_a_failure_under_concurrency_is(without: list[str] | None, again: list[str] | None, whose: str) -> None:
    trials = [
        make("neighbours", *beside(*({"a": status} for status in statuses)))
        for make, statuses in ((control, without), (change, again))
        if statuses is not None
    ]
    assert only(case_of(returned("passed", "failed", "passed"), *trials)).whose == whose


def test_a_test_that_did_not_end_is_tried_with_its_neighbours_and_its_stage_with_it() -> None:
    first = next_trial(case_of(HUNG))
    assert first is not None
    assert (first.role, first.mode, first.suspects) == ("control", "neighbours", (A,))
    hangs = round_of("neighbours", {B: "passed"}, hung=[A], problem="their time was up")
    good = control("neighbours", *beside({"a": "passed"}))
    case = case_of(HUNG, good, change("neighbours", hangs))
    assert {judgement.symptom.name: judgement.whose for judgement in judge(case)}[A] == "change"


def test_a_gate_that_did_not_start_is_tried_without_any_test() -> None:
    first = next_trial(case_of(NO_START))
    assert first == WantedTrial(1, "control", "start", (), 1, "is it there without the change?")
    good, broken = control("start"), change("start", stages=START_FAILS)
    assert wanted(case_of(NO_START, good)) == ("change", "start")
    assert only(case_of(NO_START, good, broken)).whose == "change"
    assert only(case_of(NO_START, control("start", stages=START_FAILS))).whose == "ci"
    other = control("start", stages=with_stages(stage("install-driver", 3))[:3])
    assert only(case_of(NO_START, other)).whose == "unknown"


def test_a_service_that_died_while_the_gate_started_is_tried_without_any_test() -> None:
    run = the_run(tests=report({}), services=[service("neutron", "died")], stages=START_FAILS)
    assert wanted(case_of(run)) == ("control", "start")


@pytest.mark.parametrize(
    "run",
    [
        the_run({"a": "passed", "check": "failed"}),
        the_run(services=[service("controller", "died")]),
        the_run(stages=with_stages(stage("run-gate", 3)), probes=[red("after")]),
        the_run(leftovers=[left("neutron", 3)]),
        the_run(tests=report({A: "passed"}, missing=[B]), stages=with_stages(stage("run-tempest", 3))),
    ],
    ids=["check", "service", "probe", "leak", "stage"],
)
def test_what_no_single_test_shows_is_tried_with_all_of_them(run: GateRun) -> None:
    first = next_trial(case_of(run))
    assert first is not None
    assert (first.role, first.mode, first.suspects) == ("control", "all", ())


def test_what_no_probe_answers_after_the_tests_is_the_changes_when_it_happens_each_time_with_it() -> None:
    run = the_run(stages=with_stages(stage("run-gate", 3)), probes=[red("after")])
    broken = {"stages": with_stages(stage("run-gate", 3)), "probes": [red("after")]}
    everything = round_of("all", {A: "passed"})
    trials = [control("all", everything), change("all", everything, **broken)]
    assert only(case_of(run, *trials)).whose == "unknown"
    trials += [control("all", everything, number=3), change("all", everything, number=4, **broken)]
    assert only(case_of(run, *trials)).whose == "change"


LEAKS = the_run(leftovers=[left("neutron", 3)])


@pytest.mark.parametrize(
    ("without", "again", "whose"),
    [(0, 3, "change"), (2, 3, "change"), (0, 1, "change"), (0, 0, "not-reproduced")],
)
def test_only_a_leak_that_is_larger_with_the_change_is_the_changes(without: int, again: int, whose: str) -> None:
    everything = round_of("all", {A: "passed"})
    trials = [
        control("all", everything, leftovers=[left("neutron", without)]),
        change("all", everything, leftovers=[left("neutron", again)]),
    ]
    assert wanted(case_of(LEAKS, trials[0])) == ("change", "all")
    assert only(case_of(LEAKS, *trials)).whose == whose


@pytest.mark.parametrize("without", [3, 4])
def test_a_leak_that_is_as_large_without_the_change_is_not_the_changes(without: int) -> None:
    trial = control("all", round_of("all", {A: "passed"}), leftovers=[left("neutron", without)])
    assert only(case_of(LEAKS, trial)).whose != "change"
    assert next_trial(case_of(LEAKS, trial)) is None


def test_a_control_whose_inventory_could_not_be_asked_says_nothing_about_a_leak() -> None:
    trials = [control("all", round_of("all", {A: "passed"})), change("all", leftovers=[left("neutron", 3)])]
    assert only(case_of(LEAKS, *trials)).whose == "unknown"


def test_a_control_that_could_be_asked_in_one_shard_only_says_nothing_about_a_leak_in_two() -> None:
    both = [left("neutron", 2, "0"), left("neutron", 2, "1")]
    everything = round_of("all", {A: "passed"})
    trials = [control("all", everything, leftovers=both[:1]), change("all", everything, leftovers=both)]
    assert only(case_of(the_run(leftovers=both), *trials)).whose == "unknown"


def test_one_symptom_that_is_the_changes_is_enough() -> None:
    run = the_run({"a": "failed", "b": "failed", "check": "failed"}, rounds=[alone(a="failed", b="failed")])
    first = next_trial(case_of(run))
    assert first is not None and first.suspects == (A, B)
    trials = [control("alone", alone(a="passed", b="failed")), change("alone", alone(a="failed", b="failed"))]
    found = {judgement.symptom.name: judgement.whose for judgement in judge(case_of(run, *trials))}
    assert found == {A: "change", B: "ci", CHECK: "unknown"}
    assert next_trial(case_of(run, *trials)) is None


def test_while_one_symptom_is_open_trials_go_on() -> None:
    run = the_run({"a": "failed", "check": "failed"}, rounds=[alone(a="failed")])
    trials = [control("alone", alone(a="failed"))]
    found = next_trial(case_of(run, *trials))
    assert found is not None and (found.number, found.role, found.mode) == (2, "control", "all")


def test_of_very_many_failed_tests_some_are_tried_taken_evenly() -> None:
    names = [f"m.C{number // 10}.test_{number:03}" for number in range(100)]
    tests = report(dict.fromkeys(names, "failed"))
    again = round_of("alone", dict.fromkeys(names, "failed"))
    first = next_trial(case_of(the_run(tests=tests, rounds=[again])))
    assert first is not None and len(first.suspects) == MOST_SUSPECTS
    assert first.suspects == tuple(names[::5])


def test_failed_tests_that_were_not_among_those_run_again_stay_unknown() -> None:
    run = the_run({"a": "failed", "b": "failed"}, rounds=[alone(a="failed")])
    found = {judgement.symptom.name: judgement for judgement in judge(case_of(run))}
    assert found[B].whose == "unknown" and "too many" in found[B].why and found[B].wants is None
    first = next_trial(case_of(run))
    assert first is not None and first.suspects == (A,)


def test_without_any_rerun_a_failed_test_is_tried_alone() -> None:
    assert wanted(case_of(the_run({"a": "failed", "c": "passed"}))) == ("control", "alone")


def test_trials_of_another_mode_say_nothing() -> None:
    case = case_of(
        AGAIN, control("neighbours", *beside({"a": "passed"})), change("neighbours", *beside({"a": "failed"}))
    )
    assert only(case).whose == "unknown"
    assert wanted(case) == ("control", "alone")


def test_a_failure_that_any_control_showed_is_not_the_changes() -> None:
    """Whatever it was made for: the change was not there."""
    trials = [control("all", round_of("all", {A: "failed", C: "passed"}), number=1)]
    trials += [control("alone", PASSES, number=2), change("alone", FAILS, number=3)]
    assert only(case_of(AGAIN, *trials)).whose != "change"


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (control("alone", stages=with_stages(stage("start-gate", 3, reason="no port is left"))), "no port is left"),
        (control("alone", stages=with_stages(stage("start-gate", None))), "start-gate failed: no reason given"),
        (control("alone", PASSES, probes=[red()]), "the probe controller was red: refused"),
        (control("alone", stages=with_stages()[:1]), "it did not come to its end"),
        (control("alone"), "it has no outcome"),
    ],
)
def test_why_a_trial_cannot_tell(trial: GateRun, why: str) -> None:
    assert why in why_unfit(trial)


def test_tests_that_together_take_too_long_are_tried_with_all_of_them() -> None:
    """Each of them passes when it is tried: only all together show that the change makes everything slow."""
    stages = with_stages(stage("run-tempest", 3, "TIMED_OUT", "their time was up"), stage("run-gate", 3))
    run = the_run(tests=report({B: "passed"}, hung=[A]), stages=stages)
    passes = round_of("neighbours", {A: "passed", B: "passed"})
    trials = [control("neighbours", passes, number=1), change("neighbours", passes, number=2)]
    assert wanted(case_of(run)) == ("control", "neighbours")
    assert wanted(case_of(run, *trials)) == ("control", "all")
    in_time = round_of("all", {A: "passed", B: "passed"})
    too_long = round_of("all", {B: "passed"}, hung=[A], problem="the tests were stopped: their time was up")
    trials += [control("all", in_time, number=3), change("all", too_long, number=4)]
    found = {entry.symptom.kind: entry.whose for entry in judge(case_of(run, *trials))}
    assert found == {"test": "not-reproduced", "time-out": "change"}
    slow_node = [*trials[:2], control("all", too_long, number=3)]
    assert {entry.whose for entry in judge(case_of(run, *slow_node)) if entry.symptom.kind == "time-out"} == {"ci"}
