"""What a verdict rests on and says, and what evidence may not do."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ci_scripts.history.records import ControlRecord
from ci_scripts.verdict.decide import decide
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import GateRun
from ci_scripts.verdict.log_scan import SignatureHit
from ci_scripts.verdict.node_evidence import ResourceFact, resource_evidence
from tests.verdict.made_cases import (
    AGAIN,
    BEFORE,
    BLAMED,
    CHECK,
    ELSEWHERE,
    FLAKY,
    FLAKY_ROUNDS,
    NOT_REPRODUCED,
    PASSES,
    START,
    A,
    B,
    alone,
    beside,
    brief,
    change,
    control,
    elsewhere_than_local,
    facts,
    left,
    named,
    other,
    past,
    red,
    report,
    round_of,
    run_with,
    service,
    stage,
    the_run,
    with_stages,
)


def test_a_stage_that_run_gate_ended_was_not_aborted_by_anybody() -> None:
    ended = with_stages(stage("run-tempest", 143), stage("run-gate", 3, "TIMED_OUT", "its time was up"))
    verdict = decide(facts(run_with(stages=ended)))

    assert brief(verdict) == ("nobody-knows", "TIMED_OUT", "unknown", 3)


def test_tests_that_ran_overrule_a_forged_word_of_prepare_gate() -> None:
    forged = dataclasses.replace(AGAIN, facts=dataclasses.replace(AGAIN.facts, early_outcome="SKIPPED"))

    assert decide(facts(forged, *BLAMED)).blame == "change"


def test_a_failed_stop_gate_hides_no_test_without_an_outcome() -> None:
    """ci-stop-gate by hand failed; the stream is as incomplete as it was before."""
    stages = with_stages(stage("stop-gate", 3, reason="a service would not end"))

    assert decide(facts(the_run(tests=report({A: "passed"}, missing=[B]), stages=stages))).outcome != "SUCCESS"
    assert decide(facts(the_run(tests=report({A: "passed"}, truncated=True), stages=stages))).outcome != "SUCCESS"
    assert decide(facts(the_run(services=None, stages=stages))).outcome != "SUCCESS"
    assert decide(facts(the_run(tests=report({A: "passed"}, selected=False), stages=stages))).outcome != "SUCCESS"


@pytest.mark.parametrize("kind", ["local", None])
def test_the_history_does_not_stand_for_a_control_run_where_one_is_made_with_the_job(kind: str | None) -> None:
    run = run_with(run={"gate": {"kind": kind}} if kind else {"gate": "local"})

    assert decide(facts(run, past_control=past(passed=[A]))).blame != "change"


@pytest.mark.parametrize(
    ("run", "record"),
    [
        (AGAIN, past(passed=[A], probes_green=False)),
        (AGAIN, past(passed=[A], probes_green=None)),
        (AGAIN, past(passed=[B])),
        (the_run({"a": "failed"}), past(passed=[A])),
        (the_run({"check": "failed", "a": "passed"}), past(passed=[CHECK])),
    ],
    ids=["red probes", "nobody asked the probes", "another test", "not run again", "a check"],
)
def test_a_past_control_run_blames_only_what_failed_twice_and_passed_there_with_green_probes(
    run: GateRun, record: ControlRecord
) -> None:
    assert decide(facts(elsewhere_than_local(run), past_control=record)).blame == "unknown"


def test_a_test_that_failed_on_one_other_change_is_not_the_cis() -> None:
    assert decide(facts(AGAIN, elsewhere={A: (other("r1", "11"),)})).rule == "nobody-knows"
    assert decide(facts(AGAIN, elsewhere={B: ELSEWHERE[A]})).rule == "nobody-knows"


def test_failures_elsewhere_do_not_acquit_a_change_that_its_control_run_convicts() -> None:
    assert decide(facts(AGAIN, *BLAMED, elsewhere=ELSEWHERE)).blame == "change"


def test_flaky_tests_are_never_looked_for_elsewhere() -> None:
    assert decide(facts(FLAKY, elsewhere=ELSEWHERE)).rule == "passed-with-flaky-tests"


HIT = SignatureHit("git-down", "ci", "the git server is down", "mend it", "logs/git.log", 7, "refused", 2, None)


@pytest.mark.parametrize(
    ("more", "blame"),
    [
        ({}, "unknown"),
        ({"signatures": (HIT,)}, "ci"),
        ({"signatures": (dataclasses.replace(HIT, blame="unknown"),)}, "unknown"),
        ({"resources": (Evidence("resource", None, "12 MiB of disk were left for the workspace"),)}, "ci"),
    ],
)
def test_what_is_not_reproduced_is_the_cis_where_something_of_the_ci_was_seen(more: Any, blame: str) -> None:
    verdict = decide(facts(AGAIN, *NOT_REPRODUCED, **more))

    assert (verdict.rule, verdict.blame) == ("not-reproduced", blame)


def test_a_red_probe_in_the_run_explains_what_is_not_reproduced() -> None:
    verdict = decide(facts(run_with(probes=[red()]), *NOT_REPRODUCED))

    assert (verdict.rule, verdict.blame) == ("not-reproduced", "ci")
    assert any(entry.kind == "probe" for entry in verdict.evidence)


def test_a_signature_acquits_nobody_and_convicts_nobody_alone() -> None:
    assert decide(facts(AGAIN, signatures=(HIT,))).rule == "nobody-knows"
    assert decide(facts(the_run(), signatures=(HIT,))).rule == "passed"
    assert decide(facts(AGAIN, *BLAMED, signatures=(HIT,))).blame == "change"


def test_a_full_disk_is_named_after_what_the_node_measured() -> None:
    sample = ResourceFact(START, 12 * 1024 * 1024, None, None, None, None, 3)
    short = decide(facts(AGAIN, resources=resource_evidence([sample])))

    assert (short.outcome, short.blame) == ("DISK_FULL", "unknown")
    memory = ResourceFact(START, None, 1024, 1024**3, None, None, 3)
    assert decide(facts(AGAIN, resources=resource_evidence([memory]))).outcome == "ERROR"


def test_the_reasons_of_a_dead_service_tell_its_exit_status_and_time() -> None:
    lost = service("controller", "died", -9)
    verdict = decide(facts(the_run(stages=BEFORE, services=[lost])))

    assert verdict.reasons[-1] == "controller of shard 0 died with exit status -9 at 2026-01-31T12:10:00Z"
    assert verdict.evidence[-1].file == "logs/gate/shard0/controller.log"


def test_the_reasons_name_the_trial_that_is_missing_or_that_cannot_tell() -> None:
    assert "there is no control run (alone) to ask" in decide(facts(AGAIN)).reasons[-1]
    second = decide(facts(AGAIN, control("alone", PASSES)))
    assert "there is no second gate with the change (alone) to ask" in second.reasons[-1]
    sick = control("alone", PASSES, probes=[red()])
    unfit = decide(facts(AGAIN, sick))
    assert unfit.blame == "unknown"
    assert "control run 1 cannot tell: the probe controller was red: refused" in unfit.reasons[-1]
    assert [entry.file for entry in unfit.evidence if entry.kind == "control"] == ["trials/1-control/run.json"]


def test_the_evidence_of_a_blamed_change_names_the_test_and_both_trials() -> None:
    verdict = decide(facts(AGAIN, *BLAMED))

    assert [entry.kind for entry in verdict.evidence] == ["test", "control", "control"]
    assert verdict.evidence[0].text == f"{A} failed" and verdict.evidence[0].time == "2026-01-31T12:00:00.000000Z"
    assert verdict.reasons == (
        "1 of 2 tests failed",
        f"{A} failed: it is there each time with the change and never without",
    )
    assert "alone: 1 passed, 0 failed" in verdict.evidence[1].text
    assert "alone: 0 passed, 1 failed" in verdict.evidence[2].text


def test_flaky_tests_are_listed_with_any_verdict() -> None:
    verdict = decide(facts(FLAKY))
    assert verdict.flaky == (A,)
    assert verdict.reasons[0].startswith("1 test failed once and passed")
    assert any(entry.kind == "rerun" and A in entry.text for entry in verdict.evidence)
    both = the_run(
        {"a": "failed", "b": "failed"},
        rounds=[alone(a="passed", b="failed"), *beside({"a": "passed"})],
    )
    blamed = decide(facts(both, control("alone", alone(b="passed")), change("alone", alone(b="failed"))))
    assert (blamed.blame, blamed.flaky) == ("change", (A,))


def test_many_failures_are_counted_and_not_all_listed() -> None:
    names = [f"m.C.test_{number}" for number in range(500)]
    run = the_run(
        tests=report(dict.fromkeys(names, "failed")), rounds=[round_of("alone", dict.fromkeys(names[:20], "failed"))]
    )
    verdict = decide(facts(run))

    assert verdict.reasons[0] == "500 of 500 tests failed"
    assert len(verdict.reasons) == 21 and verdict.reasons[-1] == "and 481 more"
    assert len(verdict.evidence) == 20
    assert verdict.as_json()["counts"]["failed"] == 500


def test_what_moved_comes_first_in_the_context_and_what_decided_is_not_told_twice() -> None:
    moved = (Evidence("package", None, "oslo.db 18.1.1 -> 19.0.0 since run r, 2 days ago"),)
    run = run_with(leftovers=[left("neutron", 2)])
    verdict = decide(facts(run, *BLAMED, moved=moved, signatures=(HIT,), unread=("logs/x cannot be read",)))

    assert verdict.moved == (moved[0].text,)
    assert verdict.context[0] == moved[0]
    kinds = [entry.kind for entry in verdict.context]
    assert {"signature", "rerun", "leak", "file"} <= set(kinds) and "control" not in kinds
    assert not set(verdict.context) & set(verdict.evidence)


def test_a_leak_that_does_not_grow_is_told_and_is_no_failure() -> None:
    """A growing leak against the control is a failed check; one that is there without the change is not the run's."""
    leaks = the_run(leftovers=[left("neutron", 3)])
    same = control("all", round_of("all", named({"a": "passed", "b": "passed"})), leftovers=[left("neutron", 3)])
    verdict = decide(facts(leaks, same))

    assert verdict.outcome == "SUCCESS"
    assert any(entry.kind == "leak" for entry in verdict.context)


def test_a_leak_that_grows_with_the_change_is_the_changes() -> None:
    leaks = the_run(leftovers=[left("neutron", 3)])
    everything = round_of("all", named({"a": "passed", "b": "passed"}))
    none = control("all", everything, leftovers=[left("neutron", 0)])
    again = change("all", everything, leftovers=[left("neutron", 3)])
    verdict = decide(facts(leaks, none, again))

    assert brief(verdict) == ("fails-only-with-the-change", "FAILURE", "change", 1)


def test_what_a_check_missed_beside_a_flaky_test_is_explained_by_it_when_nothing_is_there_again() -> None:
    run = the_run({"a": "failed", "b": "passed", "check": "failed"}, rounds=FLAKY_ROUNDS)
    everything = round_of("all", named({"a": "passed", "b": "passed", "check": "passed"}))
    trials = (control("all", everything), change("all", everything))
    assert brief(decide(facts(run, *trials))) == ("passed-with-flaky-tests", "SUCCESS", "nobody", 0)
    assert decide(facts(run)).blame == "unknown"
    again = change("all", round_of("all", named({"a": "passed", "b": "passed", "check": "failed"})))
    assert decide(facts(run, trials[0], again)).blame == "change"


def test_the_verdict_is_told_as_json_with_all_that_was_asked_for() -> None:
    verdict = decide(facts(FLAKY), run_id="run-1", made="now", seconds=61.5)
    told = verdict.as_json()

    assert (told["run_id"], told["made"], told["seconds"], told["flaky"]) == ("run-1", "now", 61.5, [A])
    assert {"rule", "sentence", "otherwise", "reasons", "evidence", "context", "moved", "history"} <= set(told)
    assert told["evidence"][0].keys() == {"kind", "time", "text", "file", "line"}
