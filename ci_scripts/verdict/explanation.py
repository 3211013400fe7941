"""A decision told rule by rule, and what would have changed it: what ci-operate explain shows. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ci_scripts.history.records import OtherFailure
from ci_scripts.verdict.decide import RULES, decide
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import CHANGE, CONTROL, GateRun
from ci_scripts.verdict.rerun_facts import status_in
from ci_scripts.verdict.rules_of_blame import BLAME, WITH_TRIALS
from ci_scripts.verdict.run_facts import moment_of
from ci_scripts.verdict.symptoms import Symptom, seen_in
from ci_scripts.verdict.trial_plan import Judgement
from ci_scripts.verdict.verdict import Facts, Verdict

SCHEMA = 1
MAX_SYMPTOMS = 200
MAX_SIGHTINGS = 200
MAX_OTHERS = 20
OLDEST = timedelta(days=3650)
State = Literal["does not hold", "decides", "not asked"]
OF_TESTS = ("test", "check")
WHAT_RUNS = {
    "start": "that only brings the gate up",
    "alone": "of the failed tests, alone",
    "neighbours": "of the failed tests with their neighbours",
    "all": "of all tests and checks",
}


@dataclass(frozen=True)
class RuleAnswer:
    """What became of one rule; ``reasons`` and ``evidence`` only of the one that decides."""

    name: str
    sentence: str
    state: State
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Sighting:
    """What one gate showed: ``seen`` is a test's status there, else shown, absent or unknown; ``round`` is "" for the
    run itself.
    """

    gate: str
    folder: str
    round: str
    seen: str


@dataclass(frozen=True)
class SymptomAnswer:
    """One thing that went wrong: whose it is and why, where it was seen, and what would have changed that.

    ``wants`` are role and mode of the trial that could still tell.
    """

    kind: str
    name: str
    text: str
    again: str
    whose: str
    why: str
    wants: tuple[str, str] | None
    seen: tuple[Sighting, ...]
    elsewhere: tuple[str, ...]
    would_change: tuple[str, ...]


@dataclass(frozen=True)
class TestAnswer:
    """One test: its status on every gate, and what went wrong with it, if anything did."""

    __test__ = False

    id: str
    seen: tuple[Sighting, ...]
    symptom: SymptomAnswer | None


@dataclass(frozen=True)
class Explanation:
    """A verdict and the way to it. ``symptoms_asked`` is False where a rule decided that looks at the run alone;
    ``left_out`` counts symptoms beyond the first 200.
    """

    verdict: Verdict
    rules: tuple[RuleAnswer, ...]
    symptoms: tuple[SymptomAnswer, ...]
    symptoms_asked: bool
    left_out: int = 0

    def as_json(self) -> dict[str, Any]:
        """For machines: plain values."""
        verdict = self.verdict
        return {
            "schema": SCHEMA,
            "run_id": verdict.run_id,
            "outcome": verdict.outcome,
            "blame": verdict.blame,
            "exit_code": verdict.exit_code,
            "rule": verdict.rule,
            "otherwise": verdict.otherwise,
            "rules": [asdict(rule) for rule in self.rules],
            "symptoms_asked": self.symptoms_asked,
            "symptoms": [asdict(symptom) for symptom in self.symptoms],
            "symptoms_left_out": self.left_out,
        }


def explain(facts: Facts, *, workspace: str) -> Explanation:
    """The decision over these facts. ``workspace`` is the folder that commands are to be called with."""
    verdict = decide(facts, run_id=str(facts.run.run.get("run_id") or "")[:100])
    names = [rule.name for rule in RULES]
    place = names.index(verdict.rule)
    # The rules of blame are those that judge symptoms; all after them have only flaky tests left to look at.
    asked = place >= names.index(BLAME[0].name)
    symptoms = tuple(_symptom(facts, entry, workspace) for entry in facts.judgements[:MAX_SYMPTOMS])
    left_out = max(0, len(facts.judgements) - MAX_SYMPTOMS)
    return Explanation(verdict, tuple(_rules(verdict, place)), symptoms, asked, left_out)


def explain_test(facts: Facts, test_id: str, *, workspace: str) -> tuple[TestAnswer, ...]:
    """What is known of a test, named with or without its attributes in brackets; nothing if it is not in the run."""
    known = {test.id for test in facts.tests.tests} | {test.id for test in facts.tests.not_run}
    found = [test_id] if test_id in known else sorted(name for name in known if name.partition("[")[0] == test_id)
    answers = []
    for name in found:
        judgement = next((entry for entry in facts.judgements if entry.symptom.name == name), None)
        symptom = _symptom(facts, judgement, workspace) if judgement is not None else None
        answers.append(TestAnswer(name, _of_test(facts, name), symptom))
    return tuple(answers)


def differences(verdict: Verdict, written: dict[str, Any]) -> tuple[str, ...]:
    """Where a verdict.json says something else than the files give now: one line each, nothing where they agree."""
    now = verdict.as_json()
    keys = ("outcome", "blame", "exit_code", "rule", "reasons", "flaky")
    return tuple(
        f"{key}: verdict.json says {_brief(written.get(key))}, the files now give {_brief(now[key])}"
        for key in keys
        if written.get(key) != now[key]
    )


def asked_at(written: dict[str, Any], now: datetime) -> datetime:
    """When a verdict.json was made, for the history is asked for the hours before that; ``now`` where it is not said.

    A time to come or of another age is nobody's.
    """
    made = written.get("made")
    then = moment_of(made) if isinstance(made, str) else None
    return then if then is not None and now - OLDEST < then < now else now


def _brief(value: object) -> str:
    return ascii(value)[:200]


def _rules(verdict: Verdict, place: int) -> Iterator[RuleAnswer]:
    for number, rule in enumerate(RULES):
        if number == place:
            yield RuleAnswer(rule.name, rule.sentence, "decides", verdict.reasons, verdict.evidence)
        else:
            yield RuleAnswer(rule.name, rule.sentence, "does not hold" if number < place else "not asked")


def _symptom(facts: Facts, entry: Judgement, workspace: str) -> SymptomAnswer:
    symptom = entry.symptom
    others = facts.elsewhere.get(symptom.name, ())
    return SymptomAnswer(
        kind=symptom.kind,
        name=symptom.name,
        text=symptom.text,
        again=symptom.again,
        whose=entry.whose,
        why=entry.why,
        wants=entry.wants,
        seen=_of_test(facts, symptom.name) if symptom.kind in OF_TESTS else _of_gates(facts, symptom),
        elsewhere=tuple(f"{_change_of(other)} in run {other.run_id}" for other in others[:MAX_OTHERS]),
        would_change=_would_change(facts, entry, workspace),
    )


def _change_of(other: OtherFailure) -> str:
    return f"{other.project} {other.change}" if other.change is not None else "a control run"


def _of_gates(facts: Facts, symptom: Symptom) -> tuple[Sighting, ...]:
    run = facts.case.run
    found = [Sighting(run.label, run.folder, "", "shown")]
    found += [Sighting(trial.label, trial.folder, trial.mode, seen_in(trial, symptom)) for trial in facts.case.trials]
    return tuple(found)


def _of_test(facts: Facts, name: str) -> tuple[Sighting, ...]:
    run = facts.case.run
    status = next((test.status for test in run.tests.tests if test.id == name), None)
    fixture = next((f"not run: {test.fixture}" for test in run.tests.not_run if test.id == name), "not run")
    found = [Sighting(run.label, run.folder, "", status or fixture)]
    for gate in (run, *facts.case.trials):
        rounds = [
            Sighting(gate.label, gate.folder, entry.name, seen)
            for entry in gate.rounds
            if (seen := status_in(entry.tests, name)) is not None
        ]
        if not rounds and gate is not run:
            rounds = [Sighting(gate.label, gate.folder, gate.mode, "not run")]
        found += rounds
    return tuple(found[:MAX_SIGHTINGS])


def _would_change(facts: Facts, entry: Judgement, workspace: str) -> tuple[str, ...]:
    command = f"ci-run-gate --control --workspace {shlex.quote(workspace)}"
    controls = [trial.label for trial in entry.trials if trial.role == CONTROL]
    changes = [trial.label for trial in entry.trials if trial.role == CHANGE]
    if entry.whose == "flaky":
        return ("one more failure, alone or with its neighbours",)
    if entry.whose == "change":
        return (
            *(f"{label} showing it too" for label in controls),
            *(f"{label} not showing it" for label in changes),
        )
    if entry.whose == "ci":
        return tuple(f"{label} not showing it; then a fresh gate with the change is asked" for label in controls)
    if entry.whose == "not-reproduced":
        return tuple(f"{label} showing it again" for label in changes)
    return _would_tell(facts, entry, command)


def _would_tell(facts: Facts, entry: Judgement, command: str) -> tuple[str, ...]:
    """What would end not knowing whose a symptom is."""
    if not _has_trials(facts):
        return ("a newer control run of the same branch in the history that ran it, its probes green",)
    if entry.wants is not None:
        role, mode = entry.wants
        if facts.judged("change"):
            return ("nothing more is run for it: something else is the change's already",)
        gate = "a control run" if role == CONTROL else "a fresh gate with the change"
        return (f"{gate} {WHAT_RUNS[mode]}: {command}",)
    if entry.trials:
        return tuple(_instead(trial, command) for trial in entry.trials)
    return ("verdict.most_reruns in ci.yaml large enough that it is run again",)


def _instead(trial: GateRun, command: str) -> str:
    return (
        f"a trial that can tell in the place of {trial.label}: mend what stopped it, move the folder trials aside,"
        f" then {command}"
    )


def _has_trials(facts: Facts) -> bool:
    gate = facts.run.run.get("gate")
    kind = gate.get("kind") if isinstance(gate, dict) else None
    # A run.json that does not say so is of a job that ended before it knew.
    return kind is None or kind in WITH_TRIALS
