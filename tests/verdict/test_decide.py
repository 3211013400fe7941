"""Which rule decides, and that the order protects the change."""

from __future__ import annotations

import dataclasses

import pytest

from ci_scripts.verdict.decide import RULES, Facts, Verdict, decide
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.proof import Proof, ProofItem
from ci_scripts.verdict.read_stream import StreamContent
from ci_scripts.verdict.run_facts import RunFacts, ServiceFact, StageFact
from ci_scripts.verdict.tests_file import TestsReport, compare


def stage(name: str, exit_code: int | None = 0, outcome: str | None = None, reason: str | None = None) -> StageFact:
    return StageFact(name, "2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z", exit_code, reason, outcome)


def service(name: str, state: str, exit_status: int | None = None) -> ServiceFact:
    return ServiceFact(name, "0", state, exit_status, None, "2026-01-31T12:00:30Z", f"logs/gate/shard0/{name}.log")


def report_of(*statuses: str, truncated: bool = False, selected: int | None = 0, prefix: str = "m.C.t") -> TestsReport:
    outcomes = [TestOutcome(f"{prefix}{number}", status) for number, status in enumerate(statuses)]  # type: ignore[arg-type]
    stream = StreamContent("v1", outcomes, ["it is cut"] if truncated else [], truncated, 100)
    ids = [test.id for test in outcomes] + [f"m.C.missing{number}" for number in range(selected or 0)]
    return compare(stream, None if selected is None else ids)


STAGES = tuple(
    stage(name) for name in ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest", "stop-gate")
)
HEALTHY = (service("keystone", "stopped", 0), service("neutron", "running"))
PROVED = Proof((ProofItem("driver loaded by Neutron", True, "example in the log of each of 1 shards"),))
GOOD = Facts(RunFacts({}, STAGES, HEALTHY), report_of("passed", "passed", "skipped"), PROVED)


def with_stage(facts: Facts, changed: StageFact) -> Facts:
    stages = tuple(changed if entry.name == changed.name else entry for entry in facts.run.stages)
    return dataclasses.replace(facts, run=dataclasses.replace(facts.run, stages=stages))


def with_services(facts: Facts, *services: ServiceFact) -> Facts:
    return dataclasses.replace(facts, run=dataclasses.replace(facts.run, services=services or None))


def with_problem(facts: Facts) -> Facts:
    return dataclasses.replace(facts, run=dataclasses.replace(facts.run, problems=("run.json cannot be read",)))


def with_tests(report: TestsReport) -> Facts:
    return dataclasses.replace(GOOD, tests=report)


def brief(verdict: Verdict) -> tuple[str, str, str, int]:
    return verdict.rule, verdict.outcome, verdict.blame, verdict.exit_code


FAILED = with_tests(report_of("passed", "failed"))
EARLY = Facts(
    RunFacts({}, (stage("prepare-gate", 4, "MERGER_FAILURE", "it conflicts in a.py"),), None, (), "MERGER_FAILURE"),
    compare(StreamContent(), None),
    Proof(),
)
CASES: list[tuple[str, Facts, tuple[str, str, str, int]]] = [
    ("good", GOOD, ("passed", "SUCCESS", "nobody", 0)),
    ("failed", FAILED, ("tests-failed", "FAILURE", "change", 1)),
    ("failed check", with_tests(report_of("failed", prefix="checks.c")), ("tests-failed", "FAILURE", "change", 1)),
    ("run-tempest says 1", with_stage(FAILED, stage("run-tempest", 1)), ("tests-failed", "FAILURE", "change", 1)),
    ("merge conflict", EARLY, ("nothing-to-test", "MERGER_FAILURE", "nobody", 4)),
    ("died", with_services(FAILED, service("neutron", "died", -9)), ("service-lost", "NODE_FAILURE", "ci", 3)),
    ("hung", with_services(FAILED, service("neutron", "hung")), ("service-lost", "NODE_FAILURE", "ci", 3)),
    ("never ready", with_services(GOOD, service("neutron", "starting")), ("service-lost", "NODE_FAILURE", "ci", 3)),
    ("aborted", with_stage(FAILED, stage("run-tempest", 143)), ("aborted", "ABORTED", "nobody", 143)),
    (
        "hook ended by run-gate",
        with_stage(with_stage(FAILED, stage("run-tempest", 143)), stage("run-gate", 3, "TIMED_OUT")),
        ("stage-said-so", "TIMED_OUT", "ci", 3),
    ),
    (
        "dependency left out",
        dataclasses.replace(FAILED, run=dataclasses.replace(FAILED.run, run={"left_out": ["9,1 of openstack/nova"]})),
        ("dependency-left-out", "ERROR", "unknown", 3),
    ),
    ("interrupted", with_stage(GOOD, stage("run-gate", 130)), ("aborted", "ABORTED", "nobody", 130)),
    ("time-out", with_stage(FAILED, stage("run-tempest", 3, "TIMED_OUT")), ("stage-said-so", "TIMED_OUT", "ci", 3)),
    ("disk full", with_stage(FAILED, stage("run-tempest", 3, "DISK_FULL")), ("stage-said-so", "DISK_FULL", "ci", 3)),
    ("stage failed", with_stage(FAILED, stage("stop-gate", 3)), ("stage-failed", "ERROR", "ci", 3)),
    ("bug of ours", with_stage(FAILED, stage("run-gate", 70)), ("stage-failed", "ERROR", "ci", 3)),
    ("no end", with_stage(FAILED, stage("run-gate", None)), ("stage-failed", "ERROR", "ci", 3)),
    ("regex", with_stage(GOOD, stage("run-tempest", 2)), ("configuration-wrong", "CONFIG_ERROR", "ci", 3)),
    ("gate said 1", with_stage(FAILED, stage("run-gate", 1)), ("stage-failed", "ERROR", "ci", 3)),
    ("no tests", with_tests(report_of()), ("no-tests", "ERROR", "ci", 3)),
    ("only missing", with_tests(report_of(selected=3)), ("no-tests", "ERROR", "ci", 3)),
    ("missing", with_tests(report_of("passed", "failed", selected=1)), ("incomplete", "ERROR", "ci", 3)),
    ("open", with_tests(report_of("passed", "incomplete")), ("incomplete", "ERROR", "ci", 3)),
    ("cut", with_tests(report_of("passed", truncated=True)), ("incomplete", "ERROR", "ci", 3)),
    ("no selection", with_tests(report_of("failed", selected=None)), ("selection-unknown", "ERROR", "unknown", 3)),
    ("no status", with_services(FAILED), ("gate-health-unknown", "ERROR", "unknown", 3)),
    ("all skipped", with_tests(report_of("skipped", "skipped")), ("nothing-passed", "ERROR", "ci", 3)),
    ("no proof", dataclasses.replace(GOOD, proof=Proof()), ("unproved", "ERROR", "ci", 3)),
    ("damaged", with_problem(FAILED), ("facts-damaged", "ERROR", "ci", 3)),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_rule_that_decides(facts: Facts, expected: tuple[str, str, str, int]) -> None:
    verdict = decide(facts)

    assert brief(verdict) == expected
    assert verdict.reasons and all(verdict.reasons)
    assert verdict == decide(facts)


def test_every_rule_has_a_case_a_name_of_its_own_and_a_sentence() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(names) == {case[2][0] for case in CASES}
    assert all(rule.sentence.endswith(".") for rule in RULES)


BROKEN = [case for case in CASES if case[2][2] != "change" and case[1].run != GOOD.run]


@pytest.mark.parametrize("facts", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_failed_tests_are_not_held_against_the_change_when_something_else_went_wrong(facts: Facts) -> None:
    with_failures = dataclasses.replace(facts, tests=FAILED.tests, proof=PROVED)

    assert decide(with_failures).blame != "change"
    assert decide(with_failures).exit_code != 1


def test_tests_that_ran_overrule_a_forged_word_of_prepare_gate() -> None:
    forged = dataclasses.replace(FAILED, run=dataclasses.replace(FAILED.run, early_outcome="SKIPPED"))

    assert decide(forged).blame == "change"


def test_the_reasons_of_a_dead_service_tell_its_exit_status_and_time() -> None:
    verdict = decide(with_services(GOOD, service("neutron", "died", -9)))

    assert verdict.reasons == ("neutron of shard 0 died with exit status -9 at 2026-01-31T12:00:30Z",)
    assert verdict.evidence[0].file == "logs/gate/shard0/neutron.log"


def test_many_failures_are_counted_and_not_all_listed() -> None:
    verdict = decide(with_tests(report_of(*["failed"] * 500)))

    assert verdict.reasons == ("500 of 500 tests failed",)
    assert len(verdict.evidence) == 20
    assert verdict.as_json()["counts"]["failed"] == 500
