"""What went wrong on a gate, in a form that can be looked for on another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ci_scripts.verdict.gate_runs import CONTROL, GateRun
from ci_scripts.verdict.rerun_facts import RoundFact, status_in
from ci_scripts.verdict.run_facts import TESTING, StageFact, is_good

CHECKS = "checks."
LOST = ("died", "hung")
TIMED_OUT = "TIMED_OUT"
BAD = ("failed", "incomplete")
BEFORE_TESTS = ("prepare-gate", "install-driver", "start-gate")
Kind = Literal["stage", "time-out", "service", "test", "check", "probe", "leak"]
# persistent: failed alone too; returned: passed alone, failed again with its neighbours; flaky: failed once only.
Again = Literal["persistent", "returned", "flaky", "not-rerun"]
Seen = Literal["shown", "absent", "unknown"]


@dataclass(frozen=True)
class Symptom:
    """``name`` is a stage, service, test, check, probe or inventory; ``again`` what the reruns of a test showed.

    ``time-out``: all tests together took longer than they may, whether or not one of them hung.

    ``returned`` counts the replays with its neighbours in which a test failed again. ``beside``: not the test itself
    did, but others that had passed with it: what disturbs tests that run at one time hits now this one, now that one.
    ``known`` are then all that failed in the run.
    """

    kind: Kind
    name: str
    text: str
    again: Again = "not-rerun"
    returned: int = 0
    beside: bool = False
    known: frozenset[str] = frozenset()


def symptoms_of(run: GateRun) -> tuple[Symptom, ...]:
    """Everything that went wrong while the change had a part in it, the most telling first."""
    failed = run.failed_stage()
    if failed is not None and not failed.with_change:
        return ()
    return (*_tests(run), *_services(run), *_stages(run), *_probes(run), *_leaks(run))


def seen_in(trial: GateRun, symptom: Symptom) -> Seen:
    """Whether a trial shows a symptom; unknown where it did not come far enough to show it."""
    if symptom.kind == "stage":
        return _stage_seen(trial, symptom.name)
    if symptom.kind == "time-out":
        if any(entry.mode == "all" and entry.problem for entry in trial.rounds):
            return "shown"
        return "absent" if trial.finished() and trial.rounds else "unknown"
    if symptom.kind == "service":
        if any(service.name == symptom.name and service.state in LOST for service in trial.facts.services or ()):
            return "shown"
        return "absent" if trial.finished() else "unknown"
    if symptom.kind == "probe":
        if any(fact.probe == symptom.name for fact in trial.red_probes()):
            return "shown"
        return "absent" if trial.finished() else "unknown"
    if symptom.kind == "leak":
        if not trial.finished() or not trial.asked(symptom.name):
            return "unknown"
        return "shown" if trial.left_in(symptom.name) else "absent"
    return _seen_beside(trial, symptom) if symptom.beside else _test_seen(trial, symptom.name)


def is_fit(control: GateRun) -> bool:
    """Whether a control run may speak against the change: taken to its end, nothing lost, all probes green."""
    cut_short = any(entry.ended is None or entry.problem for entry in control.rounds)
    healthy = control.finished() and not cut_short and not control.red_probes() and not _services(control)
    return control.role == CONTROL and healthy


def _tests(run: GateRun) -> list[Symptom]:
    broke = run.failed_stage() is not None
    known = frozenset(test.id for test in run.tests.tests if test.status in BAD)
    found = []
    for test in run.tests.tests:
        hung = test.status == "incomplete" and test.started is not None and broke
        if test.status != "failed" and not hung:
            continue
        if test.id.startswith(CHECKS):
            found.append(Symptom("check", test.id, f"the check {test.id} does not hold"))
            continue
        again, returned = _again(run, test.id)
        how = "did not end" if hung else "failed"
        others = _rounds_with_others(run, known)
        if again == "flaky" and others >= _least(run):
            text = f"{test.id} {how}, and others in its place when it ran again with them"
            found.append(Symptom("test", test.id, text, "returned", others, beside=True, known=known))
            continue
        found.append(Symptom("test", test.id, f"{test.id} {how}", again, returned))
    order = ("persistent", "returned", "not-rerun", "flaky")
    return sorted(found, key=lambda symptom: (symptom.kind == "check", order.index(symptom.again)))


def _again(run: GateRun, test_id: str) -> tuple[Again, int]:
    alone = [status_in(entry.tests, test_id) for entry in run.rounds if entry.mode == "alone"]
    if not alone or alone[0] not in ("passed", *BAD):
        return "not-rerun", 0
    if alone[0] in BAD:
        return "persistent", 0
    beside = [entry for entry in run.rounds if entry.mode == "neighbours"]
    statuses = [status_in(entry.tests, test_id) for entry in beside]
    returned = sum(status in BAD for status in statuses)
    if returned:
        return "returned", returned
    all_passed = bool(statuses) and all(status == "passed" for status in statuses)
    return ("flaky", 0) if all_passed and all(entry.ended for entry in beside) else ("not-rerun", 0)


def _rounds_with_others(run: GateRun, known: frozenset[str]) -> int:
    """The replays in which a test failed that had not failed in the run."""
    return sum(bool(_failed_in(entry) - known) for entry in run.rounds if entry.mode == "neighbours")


def _least(run: GateRun) -> int:
    """One replay in which another test failed is a second flaky test; twice is the same trouble in another place."""
    return min(2, sum(entry.mode == "neighbours" for entry in run.rounds))


def _failed_in(entry: RoundFact) -> set[str]:
    return {test.id for test in entry.tests.tests if test.status == "failed" and not test.id.startswith(CHECKS)}


def _services(run: GateRun) -> list[Symptom]:
    lost: dict[str, Symptom] = {}
    for service in run.facts.services or ():
        if service.state in LOST or (service.state == "starting" and run.failed_stage() is not None):
            how = "never became ready" if service.state == "starting" else service.state
            lost.setdefault(service.name, Symptom("service", service.name, f"{service.name} {how}"))
    return list(lost.values())


def _stages(run: GateRun) -> list[Symptom]:
    failed = run.failed_stage()
    if failed is None:
        return []
    outer = run.outer
    if failed is outer and _red_after(run):
        return []
    if failed.name in TESTING and TIMED_OUT in (failed.outcome, outer.outcome if outer is not None else None):
        return [Symptom("time-out", failed.name, f"the tests were not done in their time: {failed.reason}")]
    word = f" ({failed.outcome})" if failed.outcome else ""
    return [Symptom("stage", failed.name, f"{failed.name} failed{word}: {failed.reason or 'no reason given'}")]


def _red_after(run: GateRun) -> list[str]:
    return sorted({fact.probe for fact in run.probes if fact.red and fact.phase == "after"})


def _probes(run: GateRun) -> list[Symptom]:
    return [Symptom("probe", name, f"the probe {name} was red after the tests") for name in _red_after(run)]


def _leaks(run: GateRun) -> list[Symptom]:
    if run.failed_stage() is not None or any(test.status in BAD for test in run.tests.tests):
        # What failed tests leave behind says nothing.
        return []
    names = dict.fromkeys(left.name for left in run.leftovers if left.left_count)
    return [Symptom("leak", name, f"the tests left {run.left_in(name)} things in {name}") for name in names]


def _stage_seen(trial: GateRun, name: str) -> Seen:
    stage: StageFact | None = trial.facts.stage(name)
    if stage is None or stage.exit_code is None:
        return "unknown"
    if is_good(stage):
        return "absent"
    return "shown" if stage.with_change else "unknown"


def _test_seen(trial: GateRun, test_id: str) -> Seen:
    statuses = [status_in(entry.tests, test_id) for entry in trial.rounds]
    if any(status in BAD for status in statuses):
        return "shown"
    return "absent" if statuses and all(status == "passed" for status in statuses) else "unknown"


def _seen_beside(trial: GateRun, symptom: Symptom) -> Seen:
    rounds = [entry for entry in trial.rounds if entry.mode == "neighbours"]
    own = _test_seen(trial, symptom.name)
    if not rounds or own != "absent":
        return own
    shown = _rounds_with_others(trial, symptom.known)
    # Once without the change acquits it; with the change it takes as much as it took in the run.
    if shown >= (1 if trial.role == CONTROL else _least(trial)):
        return "shown"
    return "absent" if all(entry.ended and not entry.problem for entry in rounds) else "unknown"
