"""The workspace of a trial: the run's own commits, with the change or without it, and environments like the run's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from ci_scripts.change import ChangeUnderTest, change_from_record
from ci_scripts.checkouts import Wanted, check_out, fetched_before, mended, wanted_checkouts
from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.git import Git, Patience
from ci_scripts.git_cache import GitCache
from ci_scripts.settings import transfer_environment
from ci_scripts.stage_log import StageRecord
from ci_scripts.verdict.gate_runs import CONTROL
from ci_scripts.verdict.trial_plan import WantedTrial
from ci_scripts.workspace import Workspace, write_json_atomically


def prepare_trial(
    outer: GateContext,
    workspace: Workspace,
    wanted: WantedTrial,
    environment: Mapping[str, str],
    record: StageRecord,
    prepare: Callable[[GateContext], Mapping[str, str]],
) -> None:
    """Checkouts, environments (which ``prepare`` makes) and run.json of a trial of the run in ``outer``.

    Raises InfrastructureError when a part of the run is missing that the trial is to be made from.
    """
    change = change_from_record(outer.run)
    run: dict[str, Any] = {
        **outer.run,
        "run_id": environment["CI_RUN_ID"],
        "trial": asdict(wanted),
        "like": str(outer.workspace.environments_dir),
        "checkouts": {},
        "environments": {},
    }
    write_json_atomically(workspace.run_json, run)
    git = Git(transfer_environment(environment), workspace.logs / "git.log", Patience(), record.say)
    cache = GitCache(outer.settings.cache_dir / "git", git)
    for name, checkout in sorted(wanted_checkouts(outer.settings, change).items()):
        with record.step(f"check out {name}"):
            run["checkouts"][name] = _check_out_again(outer, workspace, change, checkout, cache, wanted)
    write_json_atomically(workspace.run_json, run)
    record.notes["with_change"] = change.project != outer.settings.driver.project
    context = replace(outer, workspace=workspace, run=run, record=record)
    run["environments"] = dict(prepare(context))
    write_json_atomically(workspace.run_json, run)


def _check_out_again(
    outer: GateContext,
    workspace: Workspace,
    change: ChangeUnderTest,
    checkout: Wanted,
    cache: GitCache,
    wanted: WantedTrial,
) -> dict[str, Any]:
    before = outer.run["checkouts"].get(checkout.project)
    if before is None or "merged" not in before:
        raise InfrastructureError(
            f"run.json does not say which commits of {checkout.project} the run had.",
            next_step="run ci-prepare-gate again: a trial is made from the same commits.",
        )
    target = workspace.src / checkout.project

    def make() -> dict[str, Any]:
        fetched = fetched_before(before, checkout, cache, with_changes=wanted.role != CONTROL)
        return check_out(fetched, target, cache).as_record(workspace.root)

    return mended(cache, checkout.url, make)
