"""ci-run-unit-tests: a project's unit tests with the vendor's driver in place, by stestr."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.stages.opening import open_stage, workspace_option

if TYPE_CHECKING:
    from ci_scripts.unit_tests.run import Asked
    from ci_scripts.workspace import Workspace

STAGE = "run-unit-tests"
# What ran on a gate in this workspace before, and what was found out about it.
OF_A_GATE = ("run-gate", "install-driver", "start-gate", "run-tempest", "stop-gate", "control-runs")
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(epilog="Example: ci-run-unit-tests --regex 'ml2\\.test_plugin\\.TestMl2NetworksV2' --no-control-runs")
@workspace_option
@click.option("--regex", help="Tests whose id it matches anywhere. Default: unit_tests.regex of ci.yaml.")
@click.option("--include-list", type=_FILE, help="File of regular expressions; only matching tests run.")
@click.option("--exclude-list", type=_FILE, help="File of regular expressions; matching tests do not run.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Workers. Default: one for each processor.")
@click.option("--timeout-minutes", type=click.IntRange(min=1), help="Stop the tests after so long; exit code 3.")
@click.option("--no-checks", is_flag=True, help="Leave out the checks of unit_tests.")
@click.option("--no-rerun", is_flag=True, help="Do not run failed tests again.")
@click.option("--no-control-runs", is_flag=True, help="Do not find out whether what fails fails without the change.")
def command(workspace: Path | None, **options: object) -> None:
    """Run a project's unit tests with the driver in place, by stestr, into logs/testrepository.subunit.

    It starts the services of ci.yaml, asks the probes, makes environments/unit-tests with the driver, runs the tests
    in the checkout, failed ones again into logs/reruns/, and stops the services. What fails is tried without the
    change and with it, in trials/, as verdict.control_run says. No gate is needed.

    Exit code 0: all passed or skipped. 1: tests failed. 2: nothing is selected. 3: a service, a probe, the environment
    or a worker failed, or the time was up; the stream keeps what was collected.
    """
    from ci_scripts.errors import TestsFailed
    from ci_scripts.stages.control_runs import control_runs_after

    asked = _asked(options)
    if options["no_control_runs"]:
        _run(workspace, asked)
        return
    failed: TestsFailed | None = None
    with control_runs_after(workspace):
        try:
            _run(workspace, asked)
        except TestsFailed as error:
            # Whose failure it is, is still to be found out.
            failed = error
    if failed is not None:
        raise failed


def _run(folder: Path | None, asked: Asked) -> None:
    with open_stage(STAGE, folder) as context:
        from ci_scripts.unit_tests.run import run_unit_tests

        forget_what_was_before(context.workspace)
        run_unit_tests(context, asked)


def forget_what_was_before(workspace: Workspace) -> None:
    """A gate's stages, services and tests, or those of an earlier call, would pass for those of this one.

    Raises ConfigurationError while a gate runs there.
    """
    import shutil

    from ci_scripts.gates.local.gate import require_stopped

    require_stopped(workspace)
    for name in OF_A_GATE:
        (workspace.stages_dir / f"{name}.json").unlink(missing_ok=True)
    for file in (workspace.stream, workspace.selected_tests, workspace.gate_status):
        file.unlink(missing_ok=True)
    for folder in (workspace.trials, workspace.reruns):
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder, ignore_errors=True)
    for shard in workspace.gate_logs.glob("shard*"):
        if not shard.is_symlink():
            shutil.rmtree(shard, ignore_errors=True)


def _asked(options: dict[str, object]) -> Asked:
    from ci_scripts.settings import read_environment
    from ci_scripts.unit_tests.run import Asked

    minutes, regex, concurrency = options["timeout_minutes"], options["regex"], options["concurrency"]
    include, exclude = options["include_list"], options["exclude_list"]
    return Asked(
        regex=regex if isinstance(regex, str) else None,
        include_list=include if isinstance(include, Path) else None,
        exclude_list=exclude if isinstance(exclude, Path) else None,
        concurrency=concurrency if isinstance(concurrency, int) else None,
        seconds=60.0 * minutes if isinstance(minutes, int) else None,
        with_checks=not options["no_checks"],
        rerun=not options["no_rerun"],
        watched=bool(read_environment().get("CI_WATCHED")),
    )
