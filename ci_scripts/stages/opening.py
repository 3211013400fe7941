"""What every stage after prepare-gate begins with: the workspace, its lock, its record and the settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ci_scripts.gates.context import GateContext
    from ci_scripts.stage_log import StageRecord
    from ci_scripts.workspace import Workspace

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
    from ci_scripts.settings import read_environment
    from ci_scripts.stage_log import stage
    from ci_scripts.workspace import find_workspace

    environment = read_environment()
    workspace = find_workspace(folder, environment)
    run = workspace.read_run()
    with workspace.lock(run_id=run["run_id"], environment=environment), stage(workspace, name) as record:
        yield gate_context(workspace, record)


def gate_context(workspace: Workspace, record: StageRecord) -> GateContext:
    """The settings that prepare-gate used, read again, with what the gate needs beside them."""
    from ci_scripts.gates.context import GateContext
    from ci_scripts.settings import command_environment, load_settings, read_environment, secret_values

    environment = read_environment()
    run = workspace.read_run()
    settings = load_settings(Path(run["config"]), flags={}, environment=environment)
    secrets = secret_values(settings, environment)
    return GateContext(settings, workspace, run, command_environment(environment, {}), secrets, record)
