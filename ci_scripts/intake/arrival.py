"""A workspace of the trusted side: that it is free for a node's files, and how these come into it as a whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ci_scripts.change import ChangeUnderTest
from ci_scripts.errors import ConfigurationError
from ci_scripts.intake.limits import DEFAULT, Limits
from ci_scripts.intake.places import STAGES, TOPS
from ci_scripts.intake.record import Intake, read_intake, write_intake
from ci_scripts.intake.take import take
from ci_scripts.verdict.run_facts import read_run_facts
from ci_scripts.workspace import Workspace, new_run_id

# Not yet a run's: what is in it was not all there when the intake was interrupted.
COMING = ".intake"
FRESH_FOLDER = "name a fresh folder with --workspace, or the same source again."


def require_free(workspace: Workspace, source: Path) -> Intake | None:
    """The intake that was made here before from the same source, None where nothing was.

    Raises ConfigurationError where another run is in the workspace, or one of the two would be inside the other.
    """
    real = source.resolve()
    if workspace.root == real or real in workspace.root.parents:
        raise ConfigurationError(
            f"the workspace {workspace.root} is inside of {source}, which is only read.", next_step=FRESH_FOLDER
        )
    inside = real.relative_to(workspace.root).parts[0] if workspace.root in real.parents else ""
    if inside in {path.name for path in (*_of_a_run(workspace), workspace.intake_json)} or inside == COMING:
        raise ConfigurationError(
            f"{source} is where the files of a run go in {workspace.root}.", next_step=FRESH_FOLDER
        )
    earlier = read_intake(workspace)
    if earlier is not None and earlier.source != name_of(source):
        raise ConfigurationError(
            f"{workspace.root} holds what was taken from {earlier.source}.", next_step=FRESH_FOLDER
        )
    if earlier is None and (found := [path.name for path in _of_a_run(workspace) if os.path.lexists(path)]):
        raise ConfigurationError(f"{workspace.root} holds another run: {', '.join(found)}.", next_step=FRESH_FOLDER)
    return earlier


def claim(workspace: Workspace, intake: Intake, now: datetime) -> None:
    """Make the workspace one of the trusted side's, and forget what was made of an earlier intake.

    To be called with the lock held, after `require_free`. Raises OSError.
    """
    write_intake(workspace, intake, now)
    for path in _of_a_run(workspace):
        _delete(path)


def take_in(
    workspace: Workspace,
    intake: Intake,
    source: Path,
    now: datetime,
    *,
    limits: Limits = DEFAULT,
    tick: Callable[[int, int], None] = lambda files, count: None,
) -> Intake:
    """Take the node's files into a workspace that was claimed; all of them appear at once.

    Returns the intake with what was taken. Raises OSError where the workspace cannot be written to.
    """
    coming = workspace.root / COMING
    _delete(coming)
    coming.mkdir()
    try:
        taken = take(source, coming, limits, tick=tick)
        _put_in_place(coming, workspace)
    finally:
        shutil.rmtree(coming, ignore_errors=True)
    said = read_run_facts(workspace.root).run.get("run_id")
    run_id = said if isinstance(said, str) else intake.run_id or new_run_id(now)
    intake = replace(intake, taken=taken, run_id=run_id, ended=True)
    write_intake(workspace, intake, now)
    return intake


def beginning(change: ChangeUnderTest | None, job: str | None, source: Path, earlier: Intake | None) -> Intake:
    """The intake before anything was taken. The trusted side's run id stays from one to the next for one change."""
    run_id = earlier.run_id if earlier is not None and earlier.change == change else ""
    return Intake(change, job, name_of(source), run_id)


def name_of(source: Path) -> str:
    """A source's name in intake.json: its absolute path."""
    return str(source.absolute())


def _of_a_run(workspace: Workspace) -> tuple[Path, ...]:
    # The verdict and what followed from it first: an interrupted deletion leaves none without its files.
    return (
        workspace.reported_json,
        workspace.published_json,
        workspace.verdict_json,
        workspace.tests_json,
        workspace.report_dir,
        workspace.stages_dir,
        workspace.trials,
        workspace.logs,
        workspace.run_json,
    )


def _put_in_place(coming: Path, workspace: Workspace) -> None:
    for top in TOPS:
        if top == STAGES and (coming / top).exists():
            workspace.stages_dir.mkdir(exist_ok=True)
            for path in sorted((coming / top).iterdir()):
                path.rename(workspace.stages_dir / path.name)
        elif (coming / top).exists():
            (coming / top).rename(workspace.root / top)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
