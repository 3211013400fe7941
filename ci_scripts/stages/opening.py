"""What every stage after prepare-gate begins with: the workspace, its lock, its record and the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ci_scripts.gates.context import GateContext

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
    from ci_scripts.workspace import find_workspace

    environment = read_environment()
    workspace = find_workspace(folder, environment)
    run = workspace.read_run()
    with workspace.lock(run_id=run["run_id"], environment=environment), stage(workspace, name) as record:
        yield GateContext.of_run(workspace, record, environment)
