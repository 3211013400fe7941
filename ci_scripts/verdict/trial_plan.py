"""Which trial is wanted next, and what the trials so far say of each symptom. Pure; node and verdict ask it.

A symptom is the change's only if it is seen in the run, again on a fresh gate with the change, and not on a fresh gate
without it. The second gate with the change tells a change that kills the controller from a controller that died.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from ci_scripts.verdict.gate_runs import CHANGE, CONTROL, Case, GateRun
from ci_scripts.verdict.node_evidence import ProbeFact, red_during
from ci_scripts.verdict.symptoms import BEFORE_TESTS, Symptom, is_fit, seen_in, symptoms_of

MOST_SUSPECTS = 20
# nothing: it is no failure after all.
Whose = Literal["change", "ci", "flaky", "nothing", "not-reproduced", "unknown"]


@dataclass(frozen=True)
class WantedTrial:
    """``suspects`` are the tests in question, ``rounds`` how often they run with their neighbours."""

    number: int
    role: str
    mode: str
    suspects: tuple[str, ...]
    rounds: int
    why: str


@dataclass(frozen=True)
class Judgement:
    """Whose a symptom is, why, what it rests on, and the trial (role, mode) that could still tell."""

    symptom: Symptom
    whose: Whose
    why: str
    trials: tuple[GateRun, ...] = ()
    wants: tuple[str, str] | None = None


def next_trial(case: Case, *, replays: int = 3, always: bool = False) -> WantedTrial | None:
    """The trial that is wanted next; None when no further one would change what is known."""
    judgements = judge(case)
    number = max((trial.number for trial in case.trials), default=0) + 1
    if any(judgement.whose == "change" for judgement in judgements):
        return None
    first = next((judgement for judgement in judgements if judgement.wants is not None), None)
    if first is None or first.wants is None:
        if always and not case.trials and case.run.tests.tests:
            return WantedTrial(number, CONTROL, "all", (), 1, "control runs are asked for always")
        return None
    role, mode = first.wants
    symptoms = [entry.symptom for entry in judgements]
    asked = [symptom for symptom in symptoms if mode in modes_for(case.run, symptom, symptoms)]
    suspects = _evenly([symptom.name for symptom in asked if symptom.kind == "test"])
    returned = [symptom.returned for symptom in asked if symptom.returned]
    rounds = replays if returned else 1
    if role == CONTROL and returned:
        # The rarer a test fails, the oftener a control has to pass before it says something.
        rounds = replays * (replays + 1 - min(*returned, replays))
    return WantedTrial(number, role, mode, suspects, rounds, first.why)


def judge(case: Case) -> tuple[Judgement, ...]:
    """Whose each symptom of the run is, by the trials so far."""
    symptoms = symptoms_of(case.run)
    found = [_judge(case, symptom, symptoms) for symptom in symptoms]
    tests = [judgement for judgement in found if judgement.symptom.kind == "test"]
    if tests and all(judgement.whose == "flaky" for judgement in tests):
        # What a check missed may be what the flaky test did not do: all tests and checks passed with the change since.
        found = [_explained(judgement) if judgement.symptom.kind == "check" else judgement for judgement in found]
    return tuple(found)


def _explained(judgement: Judgement) -> Judgement:
    if judgement.whose != "not-reproduced":
        return judgement
    return replace(judgement, whose="flaky", why=f"a test failed once, and {judgement.why}")


def modes_for(run: GateRun, symptom: Symptom, others: Sequence[Symptom]) -> tuple[str, ...]:
    """What is run in the trials for a symptom, the cheapest first; ``others`` are all that the run shows."""
    failed = run.failed_stage()
    if failed is not None and failed.name in BEFORE_TESTS:
        return ("start",)
    hung = any(other.kind == "test" for other in others) and failed is not None
    if symptom.kind == "test":
        if symptom.again == "persistent":
            return ("alone", "all")
        if symptom.again == "returned" or hung:
            return ("neighbours",)
        rerun = any(other.kind == "test" and other.again != "not-rerun" for other in others)
        return () if rerun else ("alone",)
    if symptom.kind in ("service", "stage") and hung:
        return ("neighbours",)
    return ("all",)


def _judge(case: Case, symptom: Symptom, others: Sequence[Symptom]) -> Judgement:
    if symptom.again == "flaky":
        return Judgement(symptom, "flaky", "it passed alone, and every time with its neighbours")
    modes = modes_for(case.run, symptom, others)
    if not modes:
        return Judgement(symptom, "unknown", "it was not run again: too many tests failed")
    found = _judge_in(case, symptom, modes[0])
    for mode in modes[1:]:
        if found.whose != "not-reproduced":
            break
        found = _judge_in(case, symptom, mode)
    return found


def _judge_in(case: Case, symptom: Symptom, mode: str) -> Judgement:
    controls, changes = case.of(CONTROL, mode), case.of(CHANGE, mode)
    tried = (*controls, *changes)
    if symptom.kind == "leak" and any(_leaves_as_much(case.run, control, symptom.name) for control in controls):
        return Judgement(symptom, "nothing", "a control run leaves as much behind", controls)
    # Whatever a control run was made for: the change was not there.
    for control in (trial for trial in case.trials if trial.role == CONTROL and symptom.kind != "leak"):
        if seen_in(control, symptom) == "shown":
            return Judgement(symptom, "ci", f"{control.label} shows it too, without the change", (control,))
    unfit = [control for control in controls if not is_fit(control) or not _can_tell(case.run, control, symptom)]
    if unfit:
        return Judgement(symptom, "unknown", f"{unfit[0].label} cannot tell: {why_unfit(unfit[0])}", (unfit[0],))
    for trial in changes:
        seen = seen_in(trial, symptom)
        grows = symptom.kind != "leak" or not any(_leaves_as_much(trial, one, symptom.name) for one in controls)
        if seen == "absent" or (seen == "shown" and not grows):
            why = f"{trial.label} does not show it: a fresh gate with the same change"
            return Judgement(symptom, "not-reproduced", why, tried)
        if not _can_tell(case.run, trial, symptom):
            return Judgement(symptom, "unknown", f"{trial.label} cannot tell: {why_unfit(trial)}", (trial,))
    if len(changes) < len(controls):
        return Judgement(symptom, "unknown", "is it there again with the change?", tried, (CHANGE, mode))
    if len(controls) < _pairs_needed(case, symptom, changes):
        return Judgement(symptom, "unknown", "is it there without the change?", tried, (CONTROL, mode))
    return Judgement(symptom, "change", "it is there each time with the change and never without", tried)


def _can_tell(run: GateRun, trial: GateRun, symptom: Symptom) -> bool:
    """Whether a trial came far enough to show a symptom; of a leak, in every shard of the run."""
    if symptom.kind == "leak" and not trial.asked(symptom.name) >= run.asked(symptom.name):
        return False
    return seen_in(trial, symptom) != "unknown"


def _leaves_as_much(run: GateRun, control: GateRun, name: str) -> bool:
    """A leak counts against the change only where it is larger with the change than without."""
    return control.finished() and control.asked(name) >= run.asked(name) and control.left_in(name) >= run.left_in(name)


def _pairs_needed(case: Case, symptom: Symptom, changes: Sequence[GateRun]) -> int:
    """Two where a probe was red: something that the run depends on came and went, with the change or by chance."""
    return 2 if red_beside(case.run, symptom) or any(trial.red_probes() for trial in changes) else 1


def red_beside(run: GateRun, symptom: Symptom) -> tuple[ProbeFact, ...]:
    """Red answers while a test ran that failed, plus or minus one interval; of anything else, in the whole run."""
    times = [(test.started, test.seconds) for test in run.tests.tests if test.id == symptom.name]
    if not times or any(started is None or seconds is None for started, seconds in times):
        return run.red_probes()
    found: list[ProbeFact] = []
    for started, seconds in times:
        assert started is not None and seconds is not None
        found += red_during(run.probes, started, started + timedelta(seconds=seconds))
    return tuple(found)


def why_unfit(trial: GateRun) -> str:
    """In a few words what is wrong with a trial."""
    failed = trial.failed_stage()
    if failed is not None:
        return f"{failed.name} failed: {failed.reason or 'no reason given'}"
    red = trial.red_probes()
    if red:
        return f"the probe {red[0].probe} was red: {red[0].text}"
    return "it did not come to its end, or its tests have no outcome" if not trial.finished() else "it has no outcome"


def _evenly(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) <= MOST_SUSPECTS:
        return tuple(names)
    return tuple(names[number * len(names) // MOST_SUSPECTS] for number in range(MOST_SUSPECTS))
