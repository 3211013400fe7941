"""ci-run-tempest: the tests and the vendor's checks on a gate that is up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.stages.opening import open_stage, workspace_option

if TYPE_CHECKING:
    from ci_scripts.gates.context import GateContext
    from ci_scripts.tempest.tempest_run import Plan
    from ci_scripts.verdict.outcomes import TestOutcome

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(epilog="Example: ci-run-tempest --regex 'test_networks\\.NetworksTest' --concurrency 1")
@workspace_option
@click.option("--regex", help="Tests whose id it matches anywhere. Default: tempest.regex of ci.yaml.")
@click.option("--include-list", type=_FILE, help="File of regular expressions; only matching tests run.")
@click.option("--exclude-list", type=_FILE, help="File of regular expressions; matching tests do not run.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Workers for each shard.")
@click.option("--timeout-minutes", type=click.IntRange(min=1), help="Stop the tests after so long; exit code 3.")
@click.option("--no-checks", is_flag=True, help="Leave out the checks of ci.yaml.")
@click.option("--no-rerun", is_flag=True, help="Do not run failed tests again.")
def command(workspace: Path | None, **options: object) -> None:
    """Run Tempest's tests, then the checks, into logs/testrepository.subunit; failed tests again, into logs/reruns/.

    Exit code 0: all passed or skipped. 1: tests or checks failed. 2: nothing is selected. 3: the gate or Tempest
    itself failed, or the time was up; the stream keeps what was collected.
    """
    with open_stage("run-tempest", workspace) as context:
        run_tempest(context, options)


def run_tempest(context: GateContext, options: dict[str, object]) -> None:
    """Raises TestsFailed when tests failed, and as ``ci_scripts.tempest.tempest_run.run_tempest`` does."""
    from ci_scripts.gates import gate_of
    from ci_scripts.gates.watch import Watch
    from ci_scripts.settings import read_environment
    from ci_scripts.tempest import tempest_run
    from ci_scripts.tempest.reruns import rerun_failed
    from ci_scripts.tempest.rounds import forget_rounds
    from ci_scripts.verdict.read_stream import read_stream
    from ci_scripts.verdict.tests_file import compare, read_selection

    tempest_run.require_gate(context)
    watched = bool(read_environment().get("CI_WATCHED"))
    forget_rounds(context.workspace)
    shards = gate_of(context.settings.gate.kind).placeholders(context)
    with Watch(context, shards):
        if context.run.get("trial"):
            _run_trial(context, watched)
            return
        plan = _plan(context, options, watched)
        with _leftovers_noted(context):
            tempest_run.run_tempest(context, plan)
        selected = read_selection(context.workspace.selected_tests)
        report = compare(read_stream(context.workspace.stream), selected)
        _remember(context, report.stream.tests)
        if report.counts["failed"] and not options["no_rerun"]:
            rerun_failed(context, report, selected or (), watched=watched)
    tempest_run.raise_unless_passed(report, context.workspace.logs / "tempest")


def _plan(context: GateContext, options: dict[str, object], watched: bool) -> Plan:
    from ci_scripts.tempest import tempest_run

    minutes = options["timeout_minutes"]
    wanted = context.settings.tempest
    concurrency = options["concurrency"] or (None if wanted.concurrency == "auto" else wanted.concurrency)
    return tempest_run.Plan(
        selection=tempest_run.selection_of(
            context,
            _text(options["regex"]),
            _path(options["include_list"]),
            _path(options["exclude_list"]),
        ),
        concurrency=concurrency if isinstance(concurrency, int) else None,
        seconds=60.0 * minutes if isinstance(minutes, int) else context.settings.tempest_timeout_seconds,
        with_checks=not options["no_checks"],
        watched=watched,
    )


def _run_trial(context: GateContext, watched: bool) -> None:
    """A fresh gate that is asked for certain tests only: what they say is for the verdict, not for an exit code."""
    from ci_scripts.tempest.rounds import read_plans, run_round
    from ci_scripts.verdict.rerun_facts import status_in
    from ci_scripts.verdict.symptoms import BAD

    trial = context.run["trial"]
    for plan in read_plans(context.workspace):
        with _leftovers_noted(context) if plan.mode == "all" else contextlib.nullcontext():
            report = run_round(context, plan, watched=watched)
        # With the change, once more is enough; without it, each round that passes says more than the one before.
        if trial["role"] == "change" and any(status_in(report, name) in BAD for name in trial["suspects"]):
            break


@contextlib.contextmanager
def _leftovers_noted(context: GateContext) -> Iterator[None]:
    """What is there after the block and was not before, into logs/leftovers.json."""
    from ci_scripts.gates.access import read_access
    from ci_scripts.tempest.inventories import forget_leftovers, take, write_leftovers

    forget_leftovers(context.workspace)
    shards = read_access(context.workspace)
    before = take(context, shards)
    yield
    write_leftovers(context, before, take(context, shards))


def _remember(context: GateContext, tests: Sequence[TestOutcome]) -> None:
    from ci_scripts.tempest import checks
    from ci_scripts.tempest.durations import remember_durations
    from ci_scripts.tempest.partition import measured

    outcomes = [
        (test.worker or "", test.id, start, start + (test.seconds or 0.0))
        for test in tests
        if test.started and not test.id.startswith(checks.PREFIX)
        for start in [test.started.timestamp()]
    ]
    remember_durations(context.settings.cache_dir, measured(outcomes))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None
