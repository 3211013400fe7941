"""ci-run-tempest: the tests and the vendor's checks on a gate that is up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.stages.opening import open_stage, workspace_option

if TYPE_CHECKING:
    from ci_scripts.gates.context import GateContext

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(epilog="Example: ci-run-tempest --regex 'test_networks\\.NetworksTest' --concurrency 1")
@workspace_option
@click.option("--regex", help="Tests whose id it matches anywhere. Default: tempest.regex of ci.yaml.")
@click.option("--include-list", type=_FILE, help="File of regular expressions; only matching tests run.")
@click.option("--exclude-list", type=_FILE, help="File of regular expressions; matching tests do not run.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Workers for each shard.")
@click.option("--timeout-minutes", type=click.IntRange(min=1), help="Stop the tests after so long; exit code 3.")
@click.option("--no-checks", is_flag=True, help="Leave out the checks of ci.yaml.")
def command(workspace: Path | None, **options: object) -> None:
    """Run Tempest's tests, then the checks, into logs/testrepository.subunit.

    Exit code 0: all passed or skipped. 1: tests or checks failed. 2: nothing is selected. 3: the gate or Tempest
    itself failed, or the time was up; the stream keeps what was collected.
    """
    with open_stage("run-tempest", workspace) as context:
        run_tempest(context, options)


def run_tempest(context: GateContext, options: dict[str, object]) -> None:
    """Raises TestsFailed when tests failed, and as ``ci_scripts.tempest.tempest_run.run_tempest`` does."""
    from ci_scripts.errors import InfrastructureError, TestsFailed
    from ci_scripts.settings import read_environment
    from ci_scripts.tempest import checks, tempest_run
    from ci_scripts.tempest.durations import remember_durations
    from ci_scripts.tempest.partition import measured
    from ci_scripts.verdict.read_stream import read_stream
    from ci_scripts.verdict.tests_file import compare, read_selection

    tempest_run.require_gate(context)
    minutes = options["timeout_minutes"]
    wanted = context.settings.tempest
    concurrency = options["concurrency"] or (None if wanted.concurrency == "auto" else wanted.concurrency)
    plan = tempest_run.Plan(
        selection=tempest_run.selection_of(
            context,
            _text(options["regex"]),
            _path(options["include_list"]),
            _path(options["exclude_list"]),
        ),
        concurrency=concurrency if isinstance(concurrency, int) else None,
        seconds=60.0 * minutes if isinstance(minutes, int) else context.settings.tempest_timeout_seconds,
        with_checks=not options["no_checks"],
        watched=bool(read_environment().get("CI_WATCHED")),
    )
    tempest_run.run_tempest(context, plan)
    content = read_stream(context.workspace.stream)
    report = compare(content, read_selection(context.workspace.selected_tests))
    outcomes = [
        (test.worker or "", test.id, start, start + (test.seconds or 0.0))
        for test in content.tests
        if test.started and not test.id.startswith(checks.PREFIX)
        for start in [test.started.timestamp()]
    ]
    remember_durations(context.settings.cache_dir, measured(outcomes))
    if report.counts["failed"]:
        raise TestsFailed(
            f"{report.counts['failed']} tests failed.", next_step="ci-summarize-results says who is to blame."
        )
    if report.counts["incomplete"]:
        raise InfrastructureError(
            f"{report.counts['incomplete']} selected tests have no outcome.", log=context.workspace.logs / "tempest"
        )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None
