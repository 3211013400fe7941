"""What the history says to a verdict, and what a verdict adds to it. One that fails is said, and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ci_scripts.change import CONTROL_RUN
from ci_scripts.history import DEFAULT_FILE, HistoryFailed, history_url, open_history
from ci_scripts.history.records import ControlRecord, OtherFailure, Role, RunRecord, Snapshot
from ci_scripts.verdict.drift import moved, say
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import CONTROL, Case, GateRun
from ci_scripts.verdict.symptoms import is_fit, symptoms_of
from ci_scripts.verdict.verdict import Verdict

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings


@dataclass(frozen=True)
class Earlier:
    """``problem`` is why the history could not be asked; empty where it was, or where there is none."""

    moved: tuple[Evidence, ...] = ()
    elsewhere: Mapping[str, tuple[OtherFailure, ...]] = field(default_factory=dict)
    control: ControlRecord | None = None
    problem: str = ""


def has_history(settings: Settings) -> bool:
    """Whether there is one to ask: a configured one, or the file that an earlier --record made."""
    return settings.history.url is not None or (settings.cache_dir / DEFAULT_FILE).exists()


def look_back(
    settings: Settings, environment: Mapping[str, str], case: Case, snapshot: Snapshot, now: datetime
) -> Earlier:
    """What moved since the last green run, where the same tests failed of late, and the newest control run.

    Never raises on account of the history.
    """
    run = case.run.facts.run
    names = [symptom.name for symptom in symptoms_of(case.run) if symptom.kind in ("test", "check")]
    job, branch = job_of(run), _change(run).get("branch") or ""
    run_id = str(run.get("run_id") or "")
    wanted = settings.verdict
    try:
        with open_history(history_url(settings, environment), timeout=settings.history.timeout_seconds) as history:
            green = history.last_green(job, branch, now, run_id)
            others = history.same_failures(
                names,
                job=job,
                since=now - timedelta(hours=wanted.same_failure_hours),
                apart_from=_changes(run),
                but_not=run_id,
                branch=branch,
            )
            others = {name: firm for name, found in others.items() if (firm := _not_flaky(found))}
            control = history.newest_control(job, branch, now - timedelta(hours=wanted.control_max_age_hours), run_id)
    except HistoryFailed as error:
        return Earlier(problem=f"the history was not asked: {error}")
    lines = say(moved(snapshot, green), green, now) if green is not None else []
    return Earlier(tuple(Evidence("package", None, line, "logs/packages.txt") for line in lines), others, control)


def write_down(
    settings: Settings,
    environment: Mapping[str, str],
    case: Case,
    verdict: Verdict,
    snapshots: Mapping[str, Snapshot],
    now: datetime,
) -> str:
    """Add a run and its control runs; empty, or why that failed. ``snapshots`` are by folder of the gate run."""
    records = [_of_run(case, verdict, snapshots["."], now)]
    records += [
        _of_control(case, trial, snapshots[trial.folder], now)
        for trial in case.trials
        if trial.role == CONTROL and trial.folder in snapshots
    ]
    try:
        with open_history(history_url(settings, environment), timeout=settings.history.timeout_seconds) as history:
            for record in records:
                history.record(record)
    except HistoryFailed as error:
        return f"the history was not written: {error}"
    return ""


def _not_flaky(found: tuple[OtherFailure, ...]) -> tuple[OtherFailure, ...]:
    # A test that passed there when it ran again does not say that it fails everywhere.
    return tuple(other for other in found if not other.flaky)


def is_control_run(run: Mapping[str, Any]) -> bool:
    """Whether run.json is that of a run without a change; one that names a change is none, whatever it says."""
    return run.get("control") is True and run.get("trigger") == CONTROL_RUN and not _change(run).get("number")


def job_of(run: Mapping[str, Any]) -> str:
    """The name under which runs are compared."""
    return str(run.get("job") or "ci")[:200]


def _of_run(case: Case, verdict: Verdict, snapshot: Snapshot, now: datetime) -> RunRecord:
    tests = [(test.id, str(test.status), test.seconds) for test in case.run.tests.tests]
    probes = not case.run.red_probes() if case.run.probes else None
    # A run of the branch tips, made to know how they do: the control of every change to that branch.
    role: Role = "control" if is_control_run(case.run.facts.run) else "change"
    return RunRecord(
        **_common(case, snapshot, now, role),
        run_id=verdict.run_id,
        outcome=verdict.outcome,
        blame=verdict.blame,
        rule=verdict.rule,
        seconds=verdict.seconds,
        tests=tests,
        flaky=verdict.flaky,
        probes_green=probes,
    )


def _of_control(case: Case, trial: GateRun, snapshot: Snapshot, now: datetime) -> RunRecord:
    tests = {test.id: (test.id, str(test.status), test.seconds) for one in trial.rounds for test in one.tests.tests}
    failed = any(status == "failed" for _, status, _ in tests.values())
    fit = is_fit(trial)
    return RunRecord(
        **_common(case, snapshot, now, "control"),
        run_id=f"{case.run.facts.run.get('run_id')}-{trial.folder.rpartition('/')[2].partition('-')[0]}",
        outcome="SUCCESS" if fit and tests and not failed else "FAILURE" if failed else "ERROR",
        blame="nobody" if fit and not failed else "ci",
        rule="control-run",
        seconds=None,
        tests=tuple(tests.values()),
        of_run=str(case.run.facts.run.get("run_id") or ""),
        probes_green=not trial.red_probes() if trial.probes else None,
    )


def _common(case: Case, snapshot: Snapshot, now: datetime, role: Role) -> dict[str, Any]:
    run = case.run.facts.run
    change, gate = _change(run), run.get("gate")
    is_change = role == "change"
    return {
        "time": now,
        "job": job_of(run),
        "branch": change.get("branch") or "",
        "project": change.get("project") or "",
        "change": change.get("number") if is_change else None,
        "patch_set": change.get("patchset") if is_change else None,
        "pipeline": change.get("pipeline") or "",
        "gate_kind": str(gate.get("kind") or "") if isinstance(gate, dict) else "",
        "role": role,
        "snapshot": snapshot,
        "also": [entry for entry in _changes(run) if entry[1] != change.get("number")] if is_change else (),
    }


def _changes(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Project and number of the change and of what it depends on."""
    also = run.get("also")
    entries = [run.get("change"), *(also if isinstance(also, list) else ())]
    found = [entry for entry in entries if isinstance(entry, dict)]
    return [(str(entry.get("project") or ""), str(entry.get("number") or "")) for entry in found]


def _change(run: Mapping[str, Any]) -> dict[str, str]:
    change = run.get("change")
    entries = change.items() if isinstance(change, dict) else ()
    return {str(key): str(value) for key, value in entries if isinstance(value, str | int) and value is not None}
