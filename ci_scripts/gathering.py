"""Everything that a verdict is made from, gathered from a workspace and from what there is beside it: logs, history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci_scripts.history.records import Snapshot
from ci_scripts.intake.record import Intake, read_intake
from ci_scripts.verdict.asked_for import AskedFor
from ci_scripts.verdict.decide import first_that_holds
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import Case, read_case
from ci_scripts.verdict.node_evidence import read_resources, resource_evidence
from ci_scripts.verdict.proof import gather_proof
from ci_scripts.verdict.snapshot import read_snapshot
from ci_scripts.verdict.verdict import Facts
from ci_scripts.workspace import Workspace

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.settings_model import Settings
    from ci_scripts.verdict.drift import Moved


@dataclass(frozen=True)
class Gathered:
    """``snapshots`` are by folder of the run and of its trials; ``problem`` is why the history could not be asked.

    ``case`` is what the report and the history are told: with the change, the job and the run id that the trusted
    side names, where it does; ``facts`` have them as the node wrote them.
    """

    facts: Facts
    case: Case
    snapshots: Mapping[str, Snapshot]
    problem: str = ""


def gather_facts(root: Path, settings: Settings | None, environment: Mapping[str, str], now: datetime) -> Gathered:
    """Read a workspace; writes nothing. Without ``settings`` no history is asked, and only our signatures are known.

    Raises ConfigurationError for a file of signatures that cannot be used, InfrastructureError for such an intake.json.
    """
    said = read_case(root)
    intake = read_intake(Workspace(root))
    case = _as_asked_for(said, intake) if intake is not None else said
    samples, damage = read_resources(root)
    damaged = tuple(Evidence("file", None, problem) for problem in damage)
    proof = gather_proof(root, case.run.facts)
    facts = Facts(said, proof, resources=(*resource_evidence(samples), *damaged))
    if intake is not None:
        left_out, missing = intake.taken.left_out, intake.taken.missing
        facts = replace(facts, asked_for=_asked_for(intake.change), left_out=left_out, missing=missing)
    snapshots = _snapshots(root, case)
    problem = ""
    if settings is not None and said.run.facts.run:
        from ci_scripts.earlier_runs import has_history, look_back

        if has_history(settings):
            earlier = look_back(settings, environment, case, snapshots["."], now)
            problem = earlier.problem
            facts = replace(facts, moved=earlier.moved, elsewhere=earlier.elsewhere, past_control=earlier.control)
    moved = (*facts.moved, *_against_the_control(case, snapshots))
    return Gathered(_with_signatures(root, replace(facts, moved=moved), settings), case, snapshots, problem)


def _asked_for(change: ChangeUnderTest | None) -> AskedFor | None:
    if change is None:
        return None
    return AskedFor(change.number, change.patchset, change.project, _revision(change), change.is_control)


def _revision(change: ChangeUnderTest) -> str | None:
    # Zuul 2 names its own merge.
    return change.revision if change.trigger != "zuul-v2" else None


def _as_asked_for(case: Case, intake: Intake) -> Case:
    """The run with what the trusted side knows itself in the place of what the node wrote."""
    run: dict[str, Any] = dict(case.run.facts.run)
    change, job = intake.change, intake.job
    # Nobody but the trusted side says that a run is a control: every change to its branch is judged by it.
    run["control"] = change is not None and change.is_control
    if change is not None:
        said = run.get("change")
        # A trigger may not know the revision; that of another change is nobody's.
        asked = _asked_for(change)
        learnt = None
        if isinstance(said, dict) and asked is not None and not asked.differences(run):
            learnt = said.get("revision")
        revision = _revision(change) or learnt
        run["change"] = {**change.as_record(), "revision": revision}
        run["trigger"] = change.trigger
        run["also"] = [item.as_record() for item in change.also]
    if job is not None:
        run["job"] = job
    if intake.run_id:
        run["run_id"] = intake.run_id
    return replace(case, run=replace(case.run, facts=replace(case.run.facts, run=run)))


def _with_signatures(root: Path, facts: Facts, settings: Settings | None) -> Facts:
    from ci_scripts.verdict.log_scan import scan_logs
    from ci_scripts.verdict.signatures import load_signatures

    signatures = load_signatures(settings.verdict.signatures if settings is not None else ())
    # Nobody asks the logs of a run in which nothing went wrong.
    if first_that_holds(facts)[0].name in ("passed", "nothing-to-test"):
        return facts
    report = scan_logs(root, signatures)
    return replace(facts, signatures=report.hits, unread=report.problems)


def _snapshots(root: Path, case: Case) -> dict[str, Snapshot]:
    return {run.folder: read_snapshot(root / run.folder, dict(run.facts.run)) for run in (case.run, *case.trials)}


def _with_the_change(move: Moved) -> str:
    if move.before is None:
        return f"{move.name} {move.after} only with the change"
    if move.after is None:
        return f"{move.name} {move.before} not with the change"
    return f"{move.name} {move.before} -> {move.after} with the change"


def _against_the_control(case: Case, snapshots: Mapping[str, Snapshot]) -> tuple[Evidence, ...]:
    """Packages that the change brought or took: the control run had others, because it requires other things."""
    from ci_scripts.verdict.drift import moved

    control = next((trial for trial in case.trials if trial.role == "control"), None)
    if control is None:
        return ()
    moves = [move for move in moved(snapshots["."], snapshots[control.folder]) if move.what == "package"]
    return tuple(Evidence("package", None, _with_the_change(move), "logs/packages.txt") for move in moves)
