"""Which rule decides, in which order, and in which words."""

from __future__ import annotations

import dataclasses

import pytest

from ci_scripts.verdict.asked_for import AskedFor
from ci_scripts.verdict.decide import RULES, decide
from ci_scripts.verdict.gate_runs import GateRun
from ci_scripts.verdict.proof import Proof
from ci_scripts.verdict.run_facts import RunFacts
from ci_scripts.verdict.verdict import Facts
from tests.verdict.made_cases import (
    AGAIN,
    BEFORE,
    BLAMED,
    ELSEWHERE,
    FAILS,
    FLAKY,
    FLAKY_ROUNDS,
    HALF_PROVED,
    HEALTHY,
    NOT_REPRODUCED,
    OTHER_CODE,
    SHA,
    A,
    B,
    Expected,
    alone,
    brief,
    change,
    control,
    elsewhere_than_local,
    facts,
    named,
    other,
    past,
    report,
    round_of,
    run_with,
    service,
    stage,
    the_run,
    with_stages,
)

NO_LATER_STAGE = [stage("prepare-gate", 4, "MERGER_FAILURE", "it conflicts in a.py", with_change=False)]
CONFLICT = the_run(
    tests=report({}, selected=False), stages=NO_LATER_STAGE, early_outcome="MERGER_FAILURE", services=None
)


def broken(name: str, code: int | None = 3, outcome: str | None = None) -> GateRun:
    """A run with failed tests in which a stage failed as well."""
    return the_run({"a": "failed", "b": "passed"}, rounds=[FAILS], stages=with_stages(stage(name, code, outcome)))


ASKED = AskedFor("7", "2", "p", SHA)
OTHER_JSON = {"run_id": "run-1", "change": {"number": "7", "patchset": "1", "project": "p", "revision": SHA}}
OTHER_RUN = run_with(run=OTHER_JSON)
CUT = ("archive.tar.gz: the archive is cut: it ends without its end mark",)
NOTHING_CAME = dataclasses.replace(the_run(tests=report({})), facts=RunFacts({}, (), None))


CASES: list[tuple[str, Facts, Expected]] = [
    # what ends a case before anybody asks whose failure it is
    ("the files of another change", facts(OTHER_RUN, *BLAMED, asked_for=ASKED), ("other-change", "ERROR", "ci", 3)),
    ("no change", facts(AGAIN, *BLAMED, asked_for=ASKED), ("other-change", "ERROR", "ci", 3)),
    ("half a copy", facts(AGAIN, *BLAMED, missing=CUT), ("copy-incomplete", "ERROR", "ci", 3)),
    (
        "nothing came",
        facts(NOTHING_CAME, missing=CUT),
        ("copy-incomplete", "NODE_FAILURE", "ci", 3),
    ),
    (
        "half a copy of an aborted run",
        facts(broken("run-tempest", 143), missing=CUT),
        ("aborted", "ABORTED", "nobody", 143),
    ),
    ("merge conflict", facts(CONFLICT, proof=Proof()), ("nothing-to-test", "MERGER_FAILURE", "nobody", 4)),
    ("aborted", facts(broken("run-tempest", 143), *BLAMED), ("aborted", "ABORTED", "nobody", 143)),
    ("interrupted", facts(the_run(stages=with_stages(stage("run-gate", 130)))), ("aborted", "ABORTED", "nobody", 130)),
    (
        "publishing was aborted",
        facts(broken("publish-logs", 143), *BLAMED),
        ("fails-only-with-the-change", "FAILURE", "change", 1),
    ),
    (
        "aborted during a control run",
        facts(broken("control-runs", 143), *BLAMED),
        ("aborted", "ABORTED", "nobody", 143),
    ),
    (
        "regex",
        facts(the_run(stages=with_stages(stage("run-tempest", 2)))),
        ("configuration-wrong", "CONFIG_ERROR", "ci", 3),
    ),
    ("probe red before", facts(the_run(stages=BEFORE)), ("failed-before-the-change", "ERROR", "ci", 3)),
    (
        "service lost before",
        facts(the_run(stages=BEFORE, services=[service("controller", "died")])),
        ("failed-before-the-change", "NODE_FAILURE", "ci", 3),
    ),
    ("damaged", facts(the_run(damaged=["run.json cannot be read"])), ("facts-damaged", "ERROR", "ci", 3)),
    ("never ran", facts(the_run(stages=with_stages()[:1])), ("never-ran", "ERROR", "ci", 3)),
    ("no tests", facts(the_run(tests=report({}))), ("no-tests", "ERROR", "ci", 3)),
    ("only missing", facts(the_run(tests=report({}, missing=[A, B]))), ("no-tests", "ERROR", "ci", 3)),
    ("missing", facts(the_run(tests=report({A: "passed"}, missing=[B]))), ("incomplete", "ERROR", "ci", 3)),
    ("open", facts(the_run(tests=report({A: "passed"}, hung=[B]))), ("incomplete", "ERROR", "ci", 3)),
    ("cut", facts(the_run(tests=report({A: "passed"}, truncated=True))), ("incomplete", "ERROR", "ci", 3)),
    (
        "no selection",
        facts(the_run(tests=report({A: "failed"}, selected=False))),
        ("selection-unknown", "ERROR", "unknown", 3),
    ),
    ("no gate status", facts(the_run({"a": "failed"}, services=None)), ("gate-health-unknown", "ERROR", "unknown", 3)),
    ("empty gate status", facts(the_run({"a": "failed"}, services=[])), ("gate-health-unknown", "ERROR", "unknown", 3)),
    # whose failure it is
    ("other code", facts(AGAIN, *BLAMED, proof=OTHER_CODE), ("change-not-there", "ERROR", "ci", 3)),
    ("no change at all", facts(run_with(run={"control": True}), *BLAMED), ("control-run-failed", "ERROR", "ci", 3)),
    (
        "dependency left out",
        facts(the_run({"a": "failed"}, rounds=[FAILS], run={"left_out": ["9,1 of openstack/nova"]}), *BLAMED),
        ("dependency-left-out", "ERROR", "unknown", 3),
    ),
    ("fails only with the change", facts(AGAIN, *BLAMED), ("fails-only-with-the-change", "FAILURE", "change", 1)),
    (
        "a stage fails only with the change",
        facts(
            the_run(tests=report({A: "passed"}, missing=[B]), stages=with_stages(stage("run-tempest", 3))),
            control("all", round_of("all", named({"a": "passed", "b": "passed"}))),
            change("all", round_of("all", {A: "passed"}, missing=[B]), stages=with_stages(stage("run-tempest", 3))),
        ),
        ("fails-only-with-the-change", "FAILURE", "change", 1),
    ),
    (
        "the gate starts only without the change",
        facts(
            the_run(
                tests=report({}), stages=with_stages(stage("start-gate", 3)), services=[service("neutron", "died")]
            ),
            control("start"),
            change("start", stages=with_stages(stage("start-gate", 3))),
        ),
        ("fails-only-with-the-change", "FAILURE", "change", 1),
    ),
    ("fails without it too", facts(AGAIN, control("alone", FAILS)), ("fails-without-the-change-too", "ERROR", "ci", 3)),
    (
        "died without it too",
        facts(
            the_run(services=[*HEALTHY, service("controller", "died")]),
            control("all", round_of("all", named({"a": "passed"})), services=[service("controller", "died")]),
        ),
        ("fails-without-the-change-too", "NODE_FAILURE", "ci", 3),
    ),
    (
        "passed in the newest control run",
        facts(elsewhere_than_local(AGAIN), past_control=past(passed=[A])),
        ("newest-control-run", "FAILURE", "change", 1),
    ),
    (
        "failed in the newest control run",
        facts(elsewhere_than_local(AGAIN), past_control=past(failed=[A])),
        ("newest-control-run", "ERROR", "ci", 3),
    ),
    ("elsewhere", facts(AGAIN, elsewhere=ELSEWHERE), ("fails-on-other-changes-too", "ERROR", "ci", 3)),
    (
        "in a control run of late",
        facts(AGAIN, elsewhere={A: (other("r1", None),)}),
        ("fails-on-other-changes-too", "ERROR", "ci", 3),
    ),
    (
        "not reproduced",
        facts(AGAIN, *NOT_REPRODUCED),
        ("not-reproduced", "ERROR", "unknown", 3),
    ),
    ("no control", facts(AGAIN), ("nobody-knows", "ERROR", "unknown", 3)),
    (
        "a failed check and no control",
        facts(the_run({"a": "passed", "check": "failed"})),
        ("nobody-knows", "ERROR", "unknown", 3),
    ),
    (
        "time-out and no control",
        facts(broken("run-tempest", 3, "TIMED_OUT")),
        ("nobody-knows", "TIMED_OUT", "unknown", 3),
    ),
    (
        "disk full and no control",
        facts(broken("run-tempest", 3, "DISK_FULL")),
        ("nobody-knows", "DISK_FULL", "unknown", 3),
    ),
    ("a bug of ours", facts(broken("run-gate", 70)), ("nobody-knows", "ERROR", "unknown", 3)),
    ("no end", facts(broken("run-gate", None)), ("nobody-knows", "ERROR", "unknown", 3)),
    ("a stage says 1", facts(broken("run-gate", 1)), ("nobody-knows", "ERROR", "unknown", 3)),
    # what makes a pass
    ("all skipped", facts(the_run({"a": "skipped", "b": "skipped"})), ("nothing-passed", "ERROR", "ci", 3)),
    ("only a check passed", facts(the_run({"a": "skipped", "check": "passed"})), ("nothing-passed", "ERROR", "ci", 3)),
    ("no proof", facts(the_run(), proof=Proof()), ("unproved", "ERROR", "ci", 3)),
    ("half proved", facts(the_run(), proof=HALF_PROVED), ("unproved", "ERROR", "ci", 3)),
    ("other code passes", facts(the_run(), proof=OTHER_CODE), ("unproved", "ERROR", "ci", 3)),
    ("flaky", facts(FLAKY), ("passed-with-flaky-tests", "SUCCESS", "nobody", 0)),
    (
        "only a flaky test",
        facts(the_run({"a": "failed"}, rounds=FLAKY_ROUNDS)),
        ("passed-with-flaky-tests", "SUCCESS", "nobody", 0),
    ),
    ("good", facts(the_run()), ("passed", "SUCCESS", "nobody", 0)),
    (
        "good, and a control run that failed",
        facts(the_run(), control("all", FAILS)),
        ("passed", "SUCCESS", "nobody", 0),
    ),
]


@pytest.mark.parametrize(("found", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_rule_that_decides(found: Facts, expected: Expected) -> None:
    verdict = decide(found)

    assert brief(verdict) == expected
    assert verdict.reasons and all(verdict.reasons)
    assert verdict == decide(found)


def test_every_rule_has_a_case_a_name_of_its_own_and_sentences() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(names) == {case[2][0] for case in CASES}
    assert all(rule.sentence.endswith(".") and rule.otherwise.endswith(".") for rule in RULES)
    assert all(decide(found).sentence and decide(found).otherwise for _, found, _ in CASES)


LOST_BEFORE, WRONG = stage("run-gate", 3, with_change=False), stage("start-gate", 2)
# Facts in which two rules hold that stand beside each other; the first one decides.
BOTH: list[tuple[str, str, Facts]] = [
    (
        "other-change",
        "nothing-to-test",
        facts(
            dataclasses.replace(CONFLICT, facts=dataclasses.replace(CONFLICT.facts, run=OTHER_JSON)), asked_for=ASKED
        ),
    ),
    (
        "nothing-to-test",
        "aborted",
        facts(
            dataclasses.replace(
                CONFLICT, facts=dataclasses.replace(CONFLICT.facts, stages=(stage("prepare-gate", 143),))
            )
        ),
    ),
    ("aborted", "configuration-wrong", facts(run_with(stages=with_stages(WRONG, stage("run-tempest", 143))))),
    ("configuration-wrong", "failed-before-the-change", facts(run_with(stages=with_stages(WRONG, LOST_BEFORE)))),
    (
        "failed-before-the-change",
        "copy-incomplete",
        facts(run_with(stages=with_stages(LOST_BEFORE)), missing=CUT),
    ),
    ("copy-incomplete", "facts-damaged", facts(run_with(damaged=["run.json cannot be read"]), missing=CUT)),
    ("facts-damaged", "never-ran", facts(the_run(stages=with_stages()[:1], damaged=["run.json cannot be read"]))),
    ("never-ran", "no-tests", facts(the_run(tests=report({}), stages=with_stages()[:1]))),
    ("no-tests", "incomplete", facts(the_run(tests=report({}, missing=[A])))),
    ("incomplete", "selection-unknown", facts(the_run(tests=report({A: "passed"}, hung=[B], selected=False)))),
    (
        "selection-unknown",
        "gate-health-unknown",
        facts(the_run(tests=report({A: "passed"}, selected=False), services=None)),
    ),
    ("gate-health-unknown", "change-not-there", facts(run_with(services=None), proof=OTHER_CODE)),
    ("change-not-there", "control-run-failed", facts(run_with(run={"control": True}), proof=OTHER_CODE)),
    (
        "control-run-failed",
        "dependency-left-out",
        facts(run_with(run={"control": True, "left_out": ["9,1 of p"]}), *BLAMED),
    ),
    ("dependency-left-out", "fails-only-with-the-change", facts(run_with(run={"left_out": ["9,1 of p"]}), *BLAMED)),
    (
        "fails-only-with-the-change",
        "fails-without-the-change-too",
        facts(
            run_with(statuses={"a": "failed", "b": "failed"}, rounds=[alone(a="failed", b="failed")]),
            control("alone", alone(a="passed", b="failed")),
            change("alone", alone(a="failed", b="failed")),
        ),
    ),
    (
        "fails-without-the-change-too",
        "newest-control-run",
        facts(elsewhere_than_local(AGAIN), control("alone", FAILS), past_control=past(passed=[A])),
    ),
    (
        "newest-control-run",
        "fails-on-other-changes-too",
        facts(elsewhere_than_local(AGAIN), past_control=past(passed=[A]), elsewhere=ELSEWHERE),
    ),
    ("fails-on-other-changes-too", "not-reproduced", facts(AGAIN, *NOT_REPRODUCED, elsewhere=ELSEWHERE)),
    ("not-reproduced", "nobody-knows", facts(AGAIN, *NOT_REPRODUCED)),
    ("nobody-knows", "nothing-passed", facts(run_with(statuses={"a": "failed", "b": "skipped"}))),
    ("nothing-passed", "unproved", facts(the_run({"a": "skipped"}), proof=Proof())),
    ("unproved", "passed-with-flaky-tests", facts(FLAKY, proof=HALF_PROVED)),
    ("passed-with-flaky-tests", "passed", facts(FLAKY)),
]


@pytest.mark.parametrize(
    ("first", "second", "found"), BOTH, ids=[f"{first} before {second}" for first, second, _ in BOTH]
)
def test_of_two_rules_that_hold_the_first_decides(first: str, second: str, found: Facts) -> None:
    finding = {rule.name: rule.find(found) for rule in RULES}

    assert finding[first] is not None and finding[second] is not None
    assert decide(found).rule == first


def test_the_order_of_all_rules_is_held() -> None:
    names = [rule.name for rule in RULES]
    assert [(first, second) for first, second, _ in BOTH] == list(zip(names, names[1:], strict=False))
