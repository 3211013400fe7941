"""Rules over what went wrong while the change had a part in it: whose failure is it?

Only ``fails-only-with-the-change`` blames a change. It needs what a bad day of the CI does not give: the same failure
in the run, again on a fresh gate with the change, and not on a fresh gate without it, whose probes were green.
"""

from __future__ import annotations

from ci_scripts.errors import ChangeToBlame
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.rules_of_the_run import word_of_failure
from ci_scripts.verdict.saying import (
    MOST,
    STREAM,
    first_of,
    names_of,
    of_probe,
    of_service,
    of_signature,
    of_stage,
    of_trial,
)
from ci_scripts.verdict.tests_file import utc_text
from ci_scripts.verdict.trial_plan import Judgement
from ci_scripts.verdict.verdict import Blame, Facts, Finding, Rule

ENOUGH_CHANGES = 2
PATCH_SET = "patch set under test"
# Kinds of gates whose control run is made with the job. Elsewhere the newest of the history speaks.
WITH_TRIALS = ("local",)


def _other_code_was_tested(facts: Facts) -> Finding | None:
    item = next((item for item in facts.proof.items if item.name == PATCH_SET), None)
    if not facts.symptoms or item is None or item.ok:
        return None
    why = f"something failed, but it is not proved that the change was there: {item.text}"
    return Finding(word_of_failure(facts), "ci", 3, (why,), (Evidence("proof", None, item.text, "run.json"),))


def _dependency_left_out(facts: Facts) -> Finding | None:
    left_out = facts.run.run.get("left_out")
    if not isinstance(left_out, list) or not left_out or not facts.symptoms:
        return None
    names = ", ".join(ascii(name)[1:-1][:100] for name in left_out[:MOST])
    why = f"something failed, but the change depends on {names}, which was not tested with it"
    return Finding(word_of_failure(facts), "unknown", 3, (why,), (Evidence("stage", None, why, "run.json"),))


def _without_any_change(facts: Facts) -> Finding | None:
    if facts.run.run.get("control") is not True or not facts.symptoms:
        return None
    reasons = first_of(symptom.text for symptom in facts.symptoms)
    why = f"nobody's change was tested: {reasons[0] if reasons else 'something failed'}"
    evidence = _evidence(facts, [entry for entry in facts.judgements if entry.symptom in facts.symptoms])
    return Finding(word_of_failure(facts), "ci", 3, (why, *reasons[1:]), evidence)


def _only_with_the_change(facts: Facts) -> Finding | None:
    found = facts.judged("change")
    if not found:
        return None
    return Finding("FAILURE", "change", ChangeToBlame.exit_code, _reasons(facts, found), _evidence(facts, found))


def _without_the_change_too(facts: Facts) -> Finding | None:
    found = facts.judged("ci")
    return _finding(facts, "ci", found) if found else None


def _past_control(facts: Facts) -> Finding | None:
    """On kinds of gates without trials: the newest control run of the same branch."""
    gate = facts.run.run.get("gate")
    kind = gate.get("kind") if isinstance(gate, dict) else None
    past = facts.past_control
    if not facts.symptoms or kind in (None, *WITH_TRIALS) or past is None:
        return None
    when = utc_text(past.time)
    where = Evidence("control", when, f"control run {past.run_id} of {when}: {past.outcome}")
    persistent = [s for s in facts.symptoms if s.kind == "test" and s.again == "persistent"]
    only_here = [symptom.name for symptom in persistent if symptom.name in past.passed]
    if only_here and past.probes_green:
        why = f"{names_of(only_here)}: failed twice with the change, passed in control run {past.run_id}"
        return Finding("FAILURE", "change", ChangeToBlame.exit_code, (why,), (where,))
    also = [symptom.name for symptom in facts.symptoms if symptom.name in past.failed]
    if also:
        why = f"{names_of(also)}: failed in control run {past.run_id} too, without the change"
        return Finding(word_of_failure(facts), "ci", 3, (why,), (where,))
    return None


def _on_other_changes_too(facts: Facts) -> Finding | None:
    reasons, evidence = [], []
    for symptom in facts.symptoms:
        others = facts.elsewhere.get(symptom.name, ())
        changes = [other.change for other in others if other.change is not None]
        if len(changes) >= ENOUGH_CHANGES or len(changes) < len(others):
            reasons.append(f"{symptom.name} failed of late on {names_of([*changes]) or 'a control run'} too")
            evidence += [
                Evidence(
                    "history",
                    utc_text(other.time),
                    f"{symptom.name} failed in run {other.run_id} of {other.change or 'none'}",
                )
                for other in others[:MOST]
            ]
    return Finding(word_of_failure(facts), "ci", 3, first_of(reasons), tuple(evidence)) if reasons else None


def _not_reproduced(facts: Facts) -> Finding | None:
    found = facts.judged("not-reproduced")
    if not found or facts.judged("unknown"):
        return None
    # Something of the CI's that was seen to be wrong at that time explains it; else nobody knows what it was.
    known = [of_signature(hit) for hit in facts.signatures if hit.blame == "ci"]
    seen = (*_of_the_ci(facts), *facts.resources, *known[:MOST])
    finding = _finding(facts, "ci" if seen else "unknown", found)
    return Finding(finding.outcome, finding.blame, 3, finding.reasons, (*finding.evidence, *seen))


def _nobody_knows(facts: Facts) -> Finding | None:
    found = facts.judged("unknown", "not-reproduced")
    return _finding(facts, "unknown", found) if found else None


def _finding(facts: Facts, blame: Blame, found: list[Judgement]) -> Finding:
    return Finding(word_of_failure(facts), blame, 3, _reasons(facts, found), _evidence(facts, found))


def _reasons(facts: Facts, found: list[Judgement]) -> tuple[str, ...]:
    words = [f"{entry.symptom.text}: {_why(entry)}" for entry in found]
    failed = facts.tests.counts["failed"]
    if failed:
        words.insert(0, f"{failed} of {len(facts.tests.tests)} tests failed")
    return first_of(words)


def _why(judgement: Judgement) -> str:
    if judgement.wants is None:
        return judgement.why
    role, mode = judgement.wants
    missing = "control run" if role == "control" else "second gate with the change"
    return f"there is no {missing} ({mode}) to ask: {judgement.why}"


def _evidence(facts: Facts, found: list[Judgement]) -> tuple[Evidence, ...]:
    started = {test.id: test.started for test in facts.tests.tests}
    evidence: list[Evidence] = []
    for entry in found[:MOST]:
        symptom = entry.symptom
        if symptom.kind in ("test", "check"):
            moment = started.get(symptom.name)
            evidence.append(Evidence(symptom.kind, utc_text(moment) if moment else None, symptom.text, STREAM))
    stages = {entry.symptom.name for entry in found if entry.symptom.kind in ("stage", "time-out")}
    evidence += [of_stage(stage) for stage in facts.run.stages if stage.name in stages]
    evidence += _of_the_ci(facts)
    trials = {trial.folder: trial for entry in found for trial in entry.trials}
    evidence += [of_trial(trial) for trial in trials.values()]
    return tuple(evidence)


def _of_the_ci(facts: Facts) -> list[Evidence]:
    """What was lost or red in the run itself."""
    lost = [service for service in facts.run.services or () if service.state in ("died", "hung")]
    red = facts.case.run.red_probes()[:MOST]
    return [*map(of_service, lost), *map(of_probe, red)]


BLAME: tuple[Rule, ...] = (
    Rule(
        "change-not-there",
        "Something failed, and it is not proved that the change was what was tested.",
        "a checkout that holds the patch set.",
        _other_code_was_tested,
    ),
    Rule(
        "control-run-failed",
        "Something failed in a run of the branch without any change.",
        "a branch and a CI that pass.",
        _without_any_change,
    ),
    Rule(
        "dependency-left-out",
        "Something failed without a change that this one depends on.",
        "the project of that change among projects: in ci.yaml.",
        _dependency_left_out,
    ),
    Rule(
        "fails-only-with-the-change",
        "It fails in the run, again on a fresh gate with the change, and not on one without it with green probes.",
        "a control run that fails as well, or a fresh gate with the change that does not.",
        _only_with_the_change,
    ),
    Rule(
        "fails-without-the-change-too",
        "A control run shows the same failure without the change.",
        "a control run that passes.",
        _without_the_change_too,
    ),
    Rule(
        "newest-control-run",
        "The newest control run of the branch says whether it fails without the change.",
        "another control run.",
        _past_control,
    ),
    Rule(
        "fails-on-other-changes-too",
        "The same test failed on two or more other changes of late, and no control run says otherwise.",
        "a control run that passes.",
        _on_other_changes_too,
    ),
    Rule(
        "not-reproduced",
        "It is there neither on a fresh gate with the change nor without it.",
        "a fresh gate with the change that shows it again.",
        _not_reproduced,
    ),
    Rule(
        "nobody-knows",
        "Something failed, and no control run tells whose failure it is.",
        "a control run (ci-run-gate --control) that comes to its end with green probes.",
        _nobody_knows,
    ),
)
