"""Everything that a verdict is made from, gathered from a workspace and from what there is beside it: logs, history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.history.records import Snapshot
from ci_scripts.verdict.decide import first_that_holds
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import Case, read_case
from ci_scripts.verdict.node_evidence import read_resources, resource_evidence
from ci_scripts.verdict.proof import gather_proof
from ci_scripts.verdict.snapshot import read_snapshot
from ci_scripts.verdict.verdict import Facts

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings
    from ci_scripts.verdict.drift import Moved


@dataclass(frozen=True)
class Gathered:
    """``snapshots`` are by folder of the run and of its trials; ``problem`` is why the history could not be asked."""

    facts: Facts
    snapshots: Mapping[str, Snapshot]
    problem: str = ""


def gather_facts(root: Path, settings: Settings | None, environment: Mapping[str, str], now: datetime) -> Gathered:
    """Read a workspace; writes nothing. Without ``settings`` no history is asked, and only our signatures are known.

    Raises ConfigurationError for a file of signatures that cannot be used.
    """
    case = read_case(root)
    samples, damage = read_resources(root)
    damaged = tuple(Evidence("file", None, problem) for problem in damage)
    proof = gather_proof(root, case.run.facts)
    facts = Facts(case, proof, resources=(*resource_evidence(samples), *damaged))
    snapshots = _snapshots(root, case)
    problem = ""
    if settings is not None and facts.run.run:
        from ci_scripts.earlier_runs import has_history, look_back

        if has_history(settings):
            earlier = look_back(settings, environment, case, snapshots["."], now)
            problem = earlier.problem
            facts = replace(facts, moved=earlier.moved, elsewhere=earlier.elsewhere, past_control=earlier.control)
    moved = (*facts.moved, *_against_the_control(case, snapshots))
    return Gathered(_with_signatures(root, replace(facts, moved=moved), settings), snapshots, problem)


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
