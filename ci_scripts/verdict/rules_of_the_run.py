"""Rules that look at the run alone: what ends a case before anybody asks whose failure it is, and what makes a pass."""

from __future__ import annotations

from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.run_facts import NODE_STAGES, TESTING, TRUSTED_STAGES, UNIT_TESTS, StageFact, is_good
from ci_scripts.verdict.saying import first_of, of_service, of_stage, of_stream, say_service, say_stage
from ci_scripts.verdict.symptoms import CHECKS
from ci_scripts.verdict.verdict import Facts, Finding, Rule

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


def word_of_failure(facts: Facts) -> str:
    """Zuul's word for a failure that is not the change's: what a stage said, else what was lost."""
    for stage in facts.run.stages:
        if stage.name in NODE_STAGES and stage.outcome in WORDS_OF_STAGES:
            return stage.outcome
    if any(" of disk " in entry.text for entry in facts.resources) or any(
        hit.id.startswith("disk-full") for hit in facts.signatures
    ):
        return "DISK_FULL"
    # The change was not tested because what it should run on was not there.
    lost = [service for service in facts.run.services or () if service.state in ("died", "hung")]
    return "NODE_FAILURE" if lost else "ERROR"


def _other_change(facts: Facts) -> Finding | None:
    differences = facts.asked_for.differences(facts.run.run) if facts.asked_for is not None else ()
    evidence = tuple(Evidence("file", None, difference, "run.json") for difference in differences)
    return Finding("ERROR", "ci", 3, first_of(differences), evidence) if differences else None


def _nothing_to_test(facts: Facts) -> Finding | None:
    # A node cannot hide failures behind a word of prepare-gate: once tests ran, there was something to test.
    if facts.run.early_outcome is None or facts.tests.tests:
        return None
    stage = facts.run.stage("prepare-gate")
    why = stage.reason if stage is not None else None
    evidence = (of_stage(stage),) if stage is not None else ()
    return Finding(facts.run.early_outcome, "nobody", 4, (why or "ci-prepare-gate found nothing to test",), evidence)


def _aborted(facts: Facts) -> Finding | None:
    outer = facts.run.stage("run-gate")
    # run-gate ends a hook with SIGTERM too: at its time-out, or when a service died. That is no abort.
    ended_by_run_gate = outer is not None and outer.exit_code not in (None, 0, 130, 143)
    for stage in facts.run.stages:
        # An aborted ci-publish-logs says nothing about the run.
        if stage.name in TRUSTED_STAGES or (ended_by_run_gate and stage.name in IN_HOOKS):
            continue
        if stage.exit_code in (130, 143):
            how = "interrupted" if stage.exit_code == 130 else "aborted"
            return Finding("ABORTED", "nobody", stage.exit_code, (f"{stage.name} was {how}",), (of_stage(stage),))
    return None


def _wrong_configuration(facts: Facts) -> Finding | None:
    failed = [stage for stage in _failed_stages(facts) if stage.exit_code == 2]
    return _of_failed("CONFIG_ERROR", failed)


def _failed_before_the_change(facts: Facts) -> Finding | None:
    failed = [stage for stage in _failed_stages(facts) if not stage.with_change]
    found = _of_failed(word_of_failure(facts), failed)
    if found is None:
        return None
    lost = [service for service in facts.run.services or () if service.state in ("died", "hung", "starting")]
    reasons = (*found.reasons, *map(say_service, lost))
    return Finding(found.outcome, "ci", 3, first_of(reasons), (*found.evidence, *map(of_service, lost)))


def _copy_incomplete(facts: Facts) -> Finding | None:
    if not facts.missing:
        return None
    # A node that is lost leaves nothing at all.
    came = facts.run.run or any(stage.name in NODE_STAGES for stage in facts.run.stages)
    evidence = tuple(Evidence("file", None, line) for line in facts.missing)
    return Finding("ERROR" if came else "NODE_FAILURE", "ci", 3, first_of(facts.missing), evidence)


def _damaged_facts(facts: Facts) -> Finding | None:
    problems = facts.run.problems
    evidence = tuple(Evidence("file", None, problem) for problem in problems)
    return Finding("ERROR", "ci", 3, first_of(problems), evidence) if problems else None


def _no_tests(facts: Facts) -> Finding | None:
    if any(test.status != "incomplete" for test in facts.tests.tests) or _stage_failed(facts):
        return None
    reasons = first_of(facts.tests.stream.problems) or ("the stream holds no test",)
    return Finding("ERROR", "ci", 3, ("no test has an outcome", *reasons), (of_stream(facts.tests),))


def _incomplete(facts: Facts) -> Finding | None:
    incomplete = facts.tests.with_status("incomplete")
    if (not incomplete and not facts.tests.stream.truncated) or _stage_failed(facts):
        return None
    reasons = [f"{test.id}: {test.reason}" for test in incomplete]
    if facts.tests.stream.truncated:
        reasons = [*facts.tests.stream.problems, *reasons]
    if incomplete:
        reasons.insert(0, f"{len(incomplete)} tests have no outcome")
    return Finding("ERROR", "ci", 3, first_of(reasons), (of_stream(facts.tests),))


def _selection_unknown(facts: Facts) -> Finding | None:
    if facts.tests.selected is not None or _stage_failed(facts):
        return None
    why = "logs/selected-tests.txt is missing, so nobody knows whether all tests ran"
    return Finding("ERROR", "unknown", 3, (why,), (of_stream(facts.tests),))


def _health_unknown(facts: Facts) -> Finding | None:
    # Unit tests need no service; that there was none is known where the status says so.
    without = facts.run.stage(UNIT_TESTS) is not None and facts.run.services is not None
    if facts.run.services or without or _stage_failed(facts):
        return None
    why = "logs/gate/gate-status.json is missing or empty, so nobody knows whether the gate was healthy"
    return Finding("ERROR", "unknown", 3, (why,))


def _never_ran(facts: Facts) -> Finding | None:
    if any(facts.run.stage(name) is not None for name in ("run-gate", *TESTING)) or _stage_failed(facts):
        return None
    return Finding("ERROR", "ci", 3, ("no stage ran that could have tested the change",))


def _nothing_passed(facts: Facts) -> Finding | None:
    if any(test.status == "passed" and not test.id.startswith(CHECKS) for test in facts.tests.tests):
        return None
    flaky = {judgement.symptom.name for judgement in facts.judged("flaky")}
    if flaky:
        return None
    skips = len(facts.tests.with_status("skipped"))
    return Finding("ERROR", "ci", 3, (f"no test passed; {skips} were skipped",), (of_stream(facts.tests),))


def _unproved(facts: Facts) -> Finding | None:
    if facts.proof.complete:
        return None
    open_items = [item for item in facts.proof.items if not item.ok]
    reasons = first_of(f"{item.name}: {item.text}" for item in open_items) or ("there is no proof",)
    evidence = tuple(Evidence("proof", None, f"{item.name}: {item.text}") for item in open_items)
    return Finding("ERROR", "ci", 3, reasons, evidence)


def _passed_with_flaky_tests(facts: Facts) -> Finding | None:
    flaky = facts.judged("flaky")
    if not flaky:
        return None
    many = "1 test" if len(flaky) == 1 else f"{len(flaky)} tests"
    reasons = (f"{many} failed once and passed when run again", *_counts(facts))
    where = "logs/reruns/reruns.json"
    evidence = tuple(Evidence("rerun", None, f"{entry.symptom.name}: {entry.why}", where) for entry in flaky)
    return Finding("SUCCESS", "nobody", 0, reasons, (*evidence, *_proofs(facts)))


def _passed(facts: Facts) -> Finding:
    return Finding("SUCCESS", "nobody", 0, _counts(facts), _proofs(facts))


def _counts(facts: Facts) -> tuple[str]:
    counts = facts.tests.counts
    failed = "none failed" if not counts["failed"] else f"{counts['failed']} failed at first"
    return (f"{counts['passed']} tests passed, {counts['skipped']} were skipped, {failed}",)


def _proofs(facts: Facts) -> tuple[Evidence, ...]:
    return tuple(Evidence("proof", None, f"{item.name}: {item.text}") for item in facts.proof.items)


def _stage_failed(facts: Facts) -> bool:
    # stop-gate only cleans up: it explains nothing that the stream lacks.
    return any(stage.name != "stop-gate" for stage in _failed_stages(facts))


def _failed_stages(facts: Facts) -> list[StageFact]:
    return [stage for stage in facts.run.stages if stage.name in NODE_STAGES and not is_good(stage)]


def _of_failed(outcome: str, failed: list[StageFact]) -> Finding | None:
    if not failed:
        return None
    return Finding(outcome, "ci", 3, first_of(map(say_stage, failed)), tuple(map(of_stage, failed)))


BEFORE_BLAME: tuple[Rule, ...] = (
    Rule(
        "other-change",
        "The files are of a run of another change, patch set or revision than the trigger named.",
        "the files of the run that was asked for.",
        _other_change,
    ),
    Rule(
        "nothing-to-test",
        "prepare-gate found nothing to test, or a merge conflict.",
        "a change that merges and touches files that matter.",
        _nothing_to_test,
    ),
    Rule(
        "aborted",
        "Somebody stopped the run; that wins over all that the stopping broke.",
        "a run that nobody stops.",
        _aborted,
    ),
    Rule(
        "configuration-wrong",
        "A stage refused its options or configuration.",
        "a right configuration.",
        _wrong_configuration,
    ),
    Rule(
        "failed-before-the-change",
        "Something failed before anything of the change had run.",
        "a CI that is whole: git servers, package index, services and green probes.",
        _failed_before_the_change,
    ),
    Rule(
        "copy-incomplete",
        "Not all that a verdict is made of came here from the node.",
        "a whole copy of the node's files, within the limits.",
        _copy_incomplete,
    ),
    Rule(
        "facts-damaged",
        "A file in which the run describes itself cannot be read.",
        "readable files.",
        _damaged_facts,
    ),
    Rule("never-ran", "Nothing was run on a gate.", "ci-run-gate, to its end.", _never_ran),
    Rule("no-tests", "No test has an outcome, and no stage says why.", "a stream with tests.", _no_tests),
    Rule(
        "incomplete",
        "A selected test has no outcome, or the stream is cut, and no stage says why.",
        "an outcome for each selected test in a whole stream.",
        _incomplete,
    ),
    Rule(
        "selection-unknown",
        "Nobody wrote down which tests were to run.",
        "logs/selected-tests.txt.",
        _selection_unknown,
    ),
    Rule(
        "gate-health-unknown",
        "The gate did not say that it was healthy.",
        "logs/gate/gate-status.json.",
        _health_unknown,
    ),
)

AFTER_BLAME: tuple[Rule, ...] = (
    Rule("nothing-passed", "Tests were skipped and none passed.", "one test that passes.", _nothing_passed),
    Rule(
        "unproved",
        "All passed, but nothing proves that they tested the change.",
        "proof that the change and the driver were what ran.",
        _unproved,
    ),
    Rule(
        "passed-with-flaky-tests",
        "Tests failed once, passed alone and passed each time with their neighbours; the others passed.",
        "a test that fails again.",
        _passed_with_flaky_tests,
    ),
    Rule(
        "passed",
        "All selected tests passed or were skipped on a healthy gate, and it is proved.",
        "a failed test, or less proof.",
        _passed,
    ),
)
