"""Trials one after the other, until the verdict needs no more of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from ci_scripts.errors import CIError, InfrastructureError, Interrupted, Terminated
from ci_scripts.gates import has_trials
from ci_scripts.gates.context import GateContext
from ci_scripts.process_tree import stop_orphans
from ci_scripts.stage_log import stage
from ci_scripts.tempest.rounds import write_plans
from ci_scripts.trials.prepare import prepare_trial
from ci_scripts.trials.rounds_for import rounds_for
from ci_scripts.trials.ways import ran_unit_tests, way_of
from ci_scripts.verdict.gate_runs import CONTROL, Case, read_case
from ci_scripts.verdict.tests_file import read_selection
from ci_scripts.verdict.trial_plan import WantedTrial, judge, next_trial
from ci_scripts.workspace import RUN_ID_VARIABLE, Workspace

LEAST_SECONDS = 20.0


def run_trials(
    context: GateContext, environment: Mapping[str, str], flags: Mapping[str, object], *, by_hand: bool = False
) -> int:
    """Run what ``next_trial`` asks for, within verdict.timeout_minutes; the number of trials that were run.

    A trial that fails is no error: it is evidence. Raises Interrupted or Terminated; and to a person who asked for it,
    what kept a control run from its end.
    """
    policy = context.settings.verdict.control_run
    if policy == "never" and not by_hand:
        return 0
    kind = context.settings.gate.kind
    if not has_trials(kind) and not ran_unit_tests(context.workspace):
        context.record.say(f"no control run here: that of a {kind} gate is the newest scheduled one in the history")
        return 0
    deadline = time.monotonic() + 60.0 * context.settings.verdict.timeout_minutes
    if by_hand:
        _set_aside_what_cannot_tell(context)
    count, seen = 0, -1
    while True:
        case = read_case(context.workspace.root)
        if len(case.trials) <= seen:
            context.record.say("the last trial left nothing that can be read: no further one is made")
            return count
        seen = len(case.trials)
        always = by_hand or policy == "always"
        wanted = next_trial(case, replays=context.settings.verdict.replays, always=always)
        if wanted is None:
            return count
        seconds = deadline - time.monotonic()
        if seconds < LEAST_SECONDS:
            context.record.say(f"no time is left for trial {wanted.number}: verdict.timeout_minutes is over")
            return count
        with context.record.step(f"trial {wanted.number}, {wanted.role}: {wanted.why}"):
            failure = _run_trial(context, environment, flags, wanted, case, seconds)
        count += 1
        if by_hand and failure is not None and wanted.role == CONTROL:
            raise failure


def _require_no_link(*folders: Path) -> None:
    for folder in folders:
        if folder.is_symlink():
            raise InfrastructureError(
                f"{folder} is a link: what is written there would end up elsewhere.",
                next_step="delete it, find out who made it, and run ci-run-gate --control.",
            )


def _set_aside_what_cannot_tell(context: GateContext) -> None:
    """A person who asks again has mended what kept a trial from its end: it is kept, but counts no more."""
    undecided = [entry for entry in judge(read_case(context.workspace.root)) if entry.whose == "unknown"]
    for name in {trial.folder for entry in undecided if entry.wants is None for trial in entry.trials}:
        folder = context.workspace.root / name
        folder.rename(folder.with_name(f"aside-{folder.name}-{int(folder.stat().st_mtime)}"))


def _run_trial(
    outer: GateContext,
    environment: Mapping[str, str],
    flags: Mapping[str, object],
    wanted: WantedTrial,
    case: Case,
    seconds: float,
) -> CIError | None:
    """None, or what ended the trial early."""
    folder = outer.workspace.trials / f"{wanted.number}-{wanted.role}"
    _require_no_link(outer.workspace.trials, folder)
    workspace = Workspace(folder)
    shutil.rmtree(workspace.root, ignore_errors=True)
    workspace.make_folders()
    run_id = f"{outer.run['run_id']}-{wanted.number}"
    inner = {**environment, RUN_ID_VARIABLE: run_id}
    selected = read_selection(outer.workspace.selected_tests, inside=outer.workspace.root) or []
    shards = case.run.shards
    way = way_of(case.run, outer.settings)
    with workspace.lock(run_id=run_id, environment={}):
        try:
            with stage(workspace, "prepare-gate") as record:
                prepare_trial(outer, workspace, wanted, inner, record, way.prepare)
            write_plans(workspace, rounds_for(wanted, case.run.tests, selected, shards, way.tests_seconds))
            with stage(workspace, way.stage) as record:
                way.run(GateContext.of_run(workspace, record, inner, flags), seconds)
        except (Interrupted, Terminated):
            raise
        except CIError as error:
            outer.record.say(f"trial {wanted.number} failed: {error.what}")
            return error
        finally:
            stop_orphans()
    return None
