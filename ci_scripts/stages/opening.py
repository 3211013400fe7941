"""What a stage begins with: the workspace, its lock, its record and the settings; and how a new run begins."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ci_scripts.gates.context import GateContext
    from ci_scripts.workspace import Workspace

IN_ORDER = ("run-gate", "install-driver", "start-gate", "run-tempest")

workspace_option = click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    help="The run's folder. Default: $WORKSPACE, else .ci-runs/latest.",
)


@contextlib.contextmanager
def open_stage(name: str, folder: Path | None) -> Iterator[GateContext]:
    """Find the run, take its lock, record the stage.

    Raises ConfigurationError when there is no run, another one is active, or ci.yaml is wrong.
    """
    from ci_scripts.gates.context import GateContext
    from ci_scripts.settings import read_environment
    from ci_scripts.stage_log import stage
    from ci_scripts.workspace import RUN_ID_VARIABLE, find_workspace

    environment = read_environment()
    workspace = find_workspace(folder, environment)
    run = workspace.read_run()
    with workspace.lock(run_id=run["run_id"], environment=environment):
        if environment.get(RUN_ID_VARIABLE) != run["run_id"]:
            forget_later_stages(workspace, name)
        with stage(workspace, name) as record:
            yield GateContext.of_run(workspace, record, environment)


@contextlib.contextmanager
def open_new_run(
    folder: Path | None, kind: str, environment: Mapping[str, str]
) -> Iterator[tuple[Workspace, dict[str, str]]]:
    """Make the workspace of a new run, hold its lock; ``environment`` comes back with the run's name in it.

    Raises ConfigurationError when another run is active there or a gate still runs.
    """
    from datetime import UTC, datetime

    from ci_scripts.workspace import RUN_ID_VARIABLE, create_workspace, new_run_id

    run_id = new_run_id(datetime.now(UTC))
    if folder is None and environment.get("WORKSPACE"):
        folder = Path(environment["WORKSPACE"])
    workspace = create_workspace(folder, run_id)
    with workspace.lock(run_id=run_id, environment={}):
        forget_earlier_run(workspace, kind)
        yield workspace, {**environment, RUN_ID_VARIABLE: run_id}


def forget_later_stages(workspace: Workspace, name: str) -> None:
    """A stage that is run again by hand makes what followed it out of date: their records, the stream and the trials.

    What run-gate recorded goes with them, but for stop-gate, which only cleans up.
    """
    if name not in IN_ORDER:
        return
    later = IN_ORDER[IN_ORDER.index(name) + 1 :]
    for stale in ("run-gate", "run-unit-tests", *later):
        (workspace.stages_dir / f"{stale}.json").unlink(missing_ok=True)
    # They were made for failures of the run as it was; run-gate may ask for others now.
    _delete(workspace.trials)
    (workspace.stages_dir / "control-runs.json").unlink(missing_ok=True)
    if "run-tempest" in later:
        workspace.stream.unlink(missing_ok=True)
        workspace.selected_tests.unlink(missing_ok=True)
        _delete(workspace.reruns)


def forget_earlier_run(workspace: Workspace, kind: str) -> None:
    """Delete what an earlier run left here: its stream and verdict would pass for those of this one.

    Only folders that hold a run.json (or the trusted side's intake.json) are touched, and only the names of a run:
    Jenkins' workspace may hold more.
    To be called with the lock held, before the stage is recorded. Raises ConfigurationError while a gate runs there.
    """
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.gates import gate_of
    from ci_scripts.zuul_refs import FOLDER

    if not workspace.run_json.exists() and not workspace.intake_json.exists():
        return
    gate_of(kind).require_stopped(workspace)
    folders = (workspace.stages_dir, workspace.src, workspace.environments_dir, workspace.gate_dir)
    files = (workspace.environment_sh, workspace.reproduce_sh, workspace.tests_json, workspace.verdict_json)
    trusted = (workspace.intake_json, workspace.published_json, workspace.reported_json)
    try:
        for folder in (*folders, workspace.report_dir, workspace.logs, workspace.trials, workspace.root / FOLDER):
            _delete(folder)
        # run.json last: an interrupted deletion is taken up again.
        for file in (*files, *trusted, workspace.run_json):
            file.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the earlier run in {workspace.root} cannot be deleted: {error}.",
            next_step="delete it as the user who made it, or take another folder with --workspace.",
        ) from error
    workspace.make_folders()


def _delete(folder: Path) -> None:
    import shutil

    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
