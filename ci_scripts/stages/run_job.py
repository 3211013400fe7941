"""ci-run-job: prepare-gate, run-gate and summarize-results for a person; it reports nothing to anybody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.stages.change_options import change_options, find_change
from ci_scripts.stages.opening import open_new_run

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.settings_model import Settings
    from ci_scripts.workspace import Workspace

EXAMPLE = (
    "Example: ci-run-job --config examples/ci.yaml --change 1,1 --project example/networking-example"
    " --url .demo/networking-example.git"
)


@click.command(epilog=EXAMPLE)
@change_options
@click.option("--regex", help="Instead of tempest.regex.")
@click.option("--shards", help="Instead of gate.shards: auto or a number.")
@click.option("--record", is_flag=True, help="Add the run to the history, where this machine is trusted to.")
def command(
    config: Path | None,
    workspace: Path | None,
    zuul_file: Path | None,
    regex: str | None,
    shards: str | None,
    record: bool,
    **change_flags: str | None,
) -> int:
    """Run the whole job for one change on this machine and say who is to blame.

    The exit code is that of ci-summarize-results: 0 passed, 1 the change is to blame, 3 the CI failed, 4 nothing to
    test. Everything it started is stopped again, on every signal too.
    """
    from ci_scripts.settings import load_settings, read_environment

    environment = read_environment()
    flags: dict[str, object] = {
        "tempest.regex": regex,
        "gate.shards": shards if shards in (None, "auto") else _count(shards),
    }
    settings = load_settings(config, flags=flags, environment=environment)
    change = find_change(settings, environment, change_flags, zuul_file)
    return run_job(settings, change, workspace, flags, environment, record=record)


def run_job(
    settings: Settings,
    change: ChangeUnderTest,
    folder: Path | None,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
    *,
    record: bool = False,
) -> int:
    """The three stages in one workspace under one lock; returns the verdict's exit code, 2 for a wrong configuration.

    Raises Interrupted or Terminated after everything was stopped and what was collected is summarized.
    """
    from ci_scripts import aborts
    from ci_scripts.errors import CIError, ConfigurationError, Interrupted, NothingToTest, Terminated
    from ci_scripts.stages.control_runs import run_control_runs

    with open_new_run(folder, settings.gate.kind, environment) as (workspace, run_environment):
        failure: CIError | None = None
        try:
            _prepare_and_run(settings, change, workspace, flags, run_environment)
        except CIError as error:
            failure = error
            click.echo(f"ci-run-job: {error}", err=True)
        if not isinstance(failure, (NothingToTest, ConfigurationError, Interrupted, Terminated)):
            try:
                run_control_runs(workspace, run_environment, flags)
            except CIError as error:
                failure = failure or error
                click.echo(f"ci-run-job: {error}", err=True)
        with aborts.deferred():
            exit_code = _summarize(workspace, settings, run_environment, record=record)
    return failure.exit_code if isinstance(failure, ConfigurationError) else exit_code


def _prepare_and_run(
    settings: Settings,
    change: ChangeUnderTest,
    workspace: Workspace,
    flags: Mapping[str, object],
    environment: Mapping[str, str],
) -> None:
    from ci_scripts.gates.context import GateContext
    from ci_scripts.process_tree import become_subreaper, stop_orphans
    from ci_scripts.stage_log import stage
    from ci_scripts.stages.prepare_gate import prepare_gate
    from ci_scripts.stages.run_gate import run_gate

    become_subreaper()
    try:
        with stage(workspace, "prepare-gate") as record:
            prepare_gate(settings, change, workspace, environment, record)
    finally:
        stop_orphans()
    with stage(workspace, "run-gate") as record:
        run_gate(GateContext.of_run(workspace, record, environment, flags))


def _summarize(workspace: Workspace, settings: Settings, environment: Mapping[str, str], *, record: bool) -> int:
    import sys

    from ci_scripts.stage_log import stage
    from ci_scripts.stages.summarize_results import summarize

    with stage(workspace, "summarize-results"):
        return summarize(workspace, settings, environment=environment, record=record, output=sys.stdout).exit_code


def _count(text: str) -> int:
    from ci_scripts.errors import ConfigurationError

    if not text.isdigit():
        raise ConfigurationError(f"--shards {text!r} is neither auto nor a number.")
    return int(text)
