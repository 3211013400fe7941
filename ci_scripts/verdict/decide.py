"""The decision: an ordered list of named rules over the facts of a run. The first that holds decides.

Pure: the same facts always give the same verdict. Only the rule ``tests-failed`` can blame a change, and it
is asked after everything that could have made the tests fail without the change's doing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ci_scripts.errors import ChangeToBlame
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.proof import Proof
from ci_scripts.verdict.run_facts import NODE_STAGES, RunFacts, ServiceFact, StageFact
from ci_scripts.verdict.tests_file import TestsReport, utc_text

SCHEMA = 1
Blame = Literal["change", "ci", "nobody", "unknown"]
MOST = 20
STREAM = "logs/testrepository.subunit"
IN_HOOKS = ("install-driver", "start-gate", "run-tempest")
# Zuul's words that a stage may write as its outcome and that are the CI's own failure.
WORDS_OF_STAGES = (
    "TIMED_OUT",
    "NODE_FAILURE",
    "RETRY_LIMIT",
    "POST_FAILURE",
    "CONFIG_ERROR",
    "DISK_FULL",
    "ERROR",
)


@dataclass(frozen=True)
class Facts:
    """All that a decision may look at."""

    run: RunFacts
    tests: TestsReport
    proof: Proof


@dataclass(frozen=True)
class Finding:
    """What a rule found: the words of the verdict."""

    outcome: str
    blame: Blame
    exit_code: int
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A named rule. ``sentence`` says when it holds; ``find`` gives a finding, or None if it does not."""

    name: str
    sentence: str
    find: Callable[[Facts], Finding | None]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run, who is to blame, and the rule, reasons, evidence and proof behind it."""

    outcome: str
    blame: Blame
    rule: str
    sentence: str
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    proof: Proof
    counts: dict[str, int]
    exit_code: int
    seconds: float | None = None
    run_id: str = ""
    made: str = ""

    def as_json(self) -> dict[str, Any]:
        """The content of verdict.json."""
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "made": self.made,
            "outcome": self.outcome,
            "blame": self.blame,
            "rule": self.rule,
            "sentence": self.sentence,
            "reasons": list(self.reasons),
            "evidence": [entry.as_json() for entry in self.evidence],
            "proof": self.proof.as_json(),
            "counts": self.counts,
            "seconds": self.seconds,
            "exit_code": self.exit_code,
        }


def decide(facts: Facts, *, run_id: str = "", made: str = "", seconds: float | None = None) -> Verdict:
    """The verdict of the first rule that holds. The last rule always does."""
    for rule in RULES:
        finding = rule.find(facts)
        if finding is not None:
            return Verdict(
                outcome=finding.outcome,
                blame=finding.blame,
                rule=rule.name,
                sentence=rule.sentence,
                reasons=finding.reasons,
                evidence=finding.evidence,
                proof=facts.proof,
                counts=facts.tests.counts,
                exit_code=finding.exit_code,
                seconds=seconds,
                run_id=run_id,
                made=made,
            )
    raise AssertionError("the last rule holds for everything")


def _nothing_to_test(facts: Facts) -> Finding | None:
    # A node cannot hide failures behind a word of prepare-gate: once tests ran, there was something to test.
    if facts.run.early_outcome is None or facts.tests.tests:
        return None
    stage = facts.run.stage("prepare-gate")
    why = stage.reason if stage is not None else None
    evidence = (_of_stage(stage),) if stage is not None else ()
    return Finding(facts.run.early_outcome, "nobody", 4, (why or "ci-prepare-gate found nothing to test",), evidence)


def _aborted(facts: Facts) -> Finding | None:
    outer = facts.run.stage("run-gate")
    # run-gate ends a hook with SIGTERM too: at its time-out, or when a service died. That is no abort.
    ended_by_run_gate = outer is not None and outer.exit_code not in (None, 0, 130, 143)
    for stage in facts.run.stages:
        if ended_by_run_gate and stage.name in IN_HOOKS:
            continue
        if stage.exit_code in (130, 143):
            how = "interrupted" if stage.exit_code == 130 else "aborted"
            return Finding("ABORTED", "nobody", stage.exit_code, (f"{stage.name} was {how}",), (_of_stage(stage),))
    return None


def _service_lost(facts: Facts) -> Finding | None:
    lost = [service for service in facts.run.services or () if service.state in ("died", "hung", "starting")]
    if not lost:
        return None
    # Zuul's word for "the change was not tested because what it should run on was not there".
    return Finding("NODE_FAILURE", "ci", 3, _first(map(_say_service, lost)), tuple(map(_of_service, lost)))


def _stage_outcome(facts: Facts) -> Finding | None:
    for stage in _node_stages(facts):
        if stage.outcome in WORDS_OF_STAGES:
            why = f"{stage.name}: {stage.reason or stage.outcome}"
            return Finding(stage.outcome, "ci", 3, (why,), (_of_stage(stage),))
    return None


def _wrong_configuration(facts: Facts) -> Finding | None:
    failed = [stage for stage in _failed_stages(facts) if stage.exit_code == 2]
    return _of_failed("CONFIG_ERROR", failed)


def _stage_failed(facts: Facts) -> Finding | None:
    return _of_failed("ERROR", _failed_stages(facts))


def _damaged_facts(facts: Facts) -> Finding | None:
    problems = facts.run.problems
    evidence = tuple(Evidence("file", None, problem) for problem in problems)
    return Finding("ERROR", "ci", 3, _first(problems), evidence) if problems else None


def _no_tests(facts: Facts) -> Finding | None:
    if any(test.status != "incomplete" for test in facts.tests.tests):
        return None
    reasons = _first(facts.tests.stream.problems) or ("the stream holds no test",)
    return Finding("ERROR", "ci", 3, ("no test has an outcome", *reasons), (_of_stream(facts),))


def _incomplete(facts: Facts) -> Finding | None:
    incomplete = facts.tests.with_status("incomplete")
    if not incomplete and not facts.tests.stream.truncated:
        return None
    reasons = [f"{test.id}: {test.reason}" for test in incomplete]
    if facts.tests.stream.truncated:
        reasons = [*facts.tests.stream.problems, *reasons]
    if incomplete:
        reasons.insert(0, f"{len(incomplete)} tests have no outcome")
    return Finding("ERROR", "ci", 3, _first(reasons), (_of_stream(facts),))


def _selection_unknown(facts: Facts) -> Finding | None:
    if facts.tests.selected is not None:
        return None
    why = "logs/selected-tests.txt is missing, so nobody knows whether all tests ran"
    return Finding("ERROR", "unknown", 3, (why,), (_of_stream(facts),))


def _health_unknown(facts: Facts) -> Finding | None:
    if facts.run.services:
        return None
    why = "logs/gate/gate-status.json is missing or empty, so nobody knows whether the gate was healthy"
    return Finding("ERROR", "unknown", 3, (why,))


def _tests_failed(facts: Facts) -> Finding | None:
    failed = facts.tests.with_status("failed")
    if not failed:
        return None
    checks = [test for test in failed if test.id.startswith("checks.")]
    kinds = f"{len(failed)} of {len(facts.tests.tests)} tests failed"
    kinds += f", {len(checks)} of them checks" if checks else ""
    evidence = tuple(
        Evidence("test", utc_text(test.started) if test.started else None, test.id, STREAM) for test in failed[:MOST]
    )
    return Finding("FAILURE", "change", ChangeToBlame.exit_code, (kinds,), evidence)


def _dependency_left_out(facts: Facts) -> Finding | None:
    left_out = facts.run.run.get("left_out")
    if not isinstance(left_out, list) or not left_out or not facts.tests.counts["failed"]:
        return None
    names = ", ".join(ascii(name)[1:-1][:100] for name in left_out[:MOST])
    why = f"tests failed, but the change depends on {names}, which was not tested with it"
    return Finding("ERROR", "unknown", 3, (why,), (Evidence("stage", None, why, "run.json"),))


def _nothing_passed(facts: Facts) -> Finding | None:
    if any(test.status == "passed" and not test.id.startswith("checks.") for test in facts.tests.tests):
        return None
    skips = len(facts.tests.with_status("skipped"))
    return Finding("ERROR", "ci", 3, (f"no test passed; {skips} were skipped",), (_of_stream(facts),))


def _unproved(facts: Facts) -> Finding | None:
    if facts.proof.complete:
        return None
    open_items = [item for item in facts.proof.items if not item.ok]
    reasons = _first(f"{item.name}: {item.text}" for item in open_items) or ("there is no proof",)
    evidence = tuple(Evidence("proof", None, f"{item.name}: {item.text}") for item in open_items)
    return Finding("ERROR", "ci", 3, reasons, evidence)


def _passed(facts: Facts) -> Finding:
    counts = facts.tests.counts
    text = f"{counts['passed']} tests passed, {counts['skipped']} were skipped, none failed"
    evidence = tuple(Evidence("proof", None, f"{item.name}: {item.text}") for item in facts.proof.items)
    return Finding("SUCCESS", "nobody", 0, (text,), evidence)


RULES: tuple[Rule, ...] = (
    Rule("nothing-to-test", "prepare-gate found nothing to test, or a merge conflict.", _nothing_to_test),
    Rule("aborted", "Somebody stopped the run; that wins over all that the stopping broke.", _aborted),
    Rule("service-lost", "A service of the gate died, hung or never became ready.", _service_lost),
    Rule("stage-said-so", "A stage ended with a word that is the CI's own, as TIMED_OUT.", _stage_outcome),
    Rule("configuration-wrong", "A stage refused its options or configuration.", _wrong_configuration),
    Rule("stage-failed", "A stage failed, or ended without saying how.", _stage_failed),
    Rule("facts-damaged", "A file in which the run describes itself cannot be read.", _damaged_facts),
    Rule("no-tests", "No test has an outcome.", _no_tests),
    Rule("incomplete", "A selected test has no outcome, or the stream is cut.", _incomplete),
    Rule("selection-unknown", "Nobody wrote down which tests were to run.", _selection_unknown),
    Rule("gate-health-unknown", "The gate did not say that it was healthy.", _health_unknown),
    Rule("dependency-left-out", "Tests failed without a change that this one depends on.", _dependency_left_out),
    Rule("tests-failed", "A test or a check failed on a healthy gate.", _tests_failed),
    Rule("nothing-passed", "Tests were skipped and none passed.", _nothing_passed),
    Rule("unproved", "All passed, but nothing proves that they tested the change.", _unproved),
    Rule("passed", "All selected tests passed or were skipped on a healthy gate, and it is proved.", _passed),
)


def _node_stages(facts: Facts) -> list[StageFact]:
    return [stage for stage in facts.run.stages if stage.name in NODE_STAGES]


def _failed_stages(facts: Facts) -> list[StageFact]:
    # run-tempest says 1 when tests failed: that is a result, not a failure of the stage.
    fine = {"run-tempest": (0, 1)}
    return [stage for stage in _node_stages(facts) if stage.exit_code not in fine.get(stage.name, (0,))]


def _of_failed(outcome: str, failed: list[StageFact]) -> Finding | None:
    if not failed:
        return None
    return Finding(outcome, "ci", 3, _first(map(_say_stage, failed)), tuple(map(_of_stage, failed)))


def _say_stage(stage: StageFact) -> str:
    if stage.exit_code is None:
        return f"{stage.name} began and never said how it ended"
    return f"{stage.name} ended with {stage.exit_code}: {stage.reason or 'no reason given'}"


def _say_service(service: ServiceFact) -> str:
    where = f"{service.name} of shard {service.shard}" if service.shard is not None else service.name
    if service.state == "starting":
        return f"{where} never became ready"
    how = f" with exit status {service.exit_status}" if service.exit_status is not None else ""
    return f"{where} {service.state}{how}" + (f" at {service.ended}" if service.ended else "")


def _of_stage(stage: StageFact) -> Evidence:
    return Evidence("stage", stage.ended or stage.started, _say_stage(stage), f"stages/{stage.name}.json")


def _of_service(service: ServiceFact) -> Evidence:
    text = _say_service(service)
    if service.tail:
        text += "\n" + service.tail
    return Evidence("service", service.ended, text, service.log or "logs/gate/gate-status.json")


def _of_stream(facts: Facts) -> Evidence:
    stream = facts.tests.stream
    text = f"{stream.format}, {stream.bytes} bytes, {len(stream.tests)} outcomes"
    return Evidence("stream", None, text, STREAM)


def _first(reasons: Any) -> tuple[str, ...]:
    found = list(reasons)
    more = (f"and {len(found) - MOST} more",) if len(found) > MOST else ()
    return (*found[:MOST], *more)
