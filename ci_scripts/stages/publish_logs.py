"""ci-publish-logs: logs and reports of a run -> a place that reviewers can browse; and the deleting of old ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_scripts.stages.change_options import change_options

if TYPE_CHECKING:
    from ci_scripts.publishing.due import Due
    from ci_scripts.publishing.run import Given
    from ci_scripts.settings_model import Settings


@click.command(name="ci-publish-logs", epilog="Example: ci-publish-logs --workspace trusted/ --dry-run")
@change_options
@click.option("--job", help="The job's name. Default: intake.json's, else $JOB_NAME.")
@click.option("--dry-run", is_flag=True, help="Only print what would be published, or deleted.")
@click.option("--prune", is_flag=True, help="Instead: delete runs older than logs.retention_days.")
@click.option("--force", is_flag=True, help="With --prune: also for less than 30 days.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: published.json, or what was deleted.")
def command(
    config: Path | None,
    workspace: Path | None,
    job: str | None,
    dry_run: bool,
    prune: bool,
    force: bool,
    as_json: bool,
    **change: Any,
) -> None:
    """Publish the logs and the report of a run below logs.publish_to, masked, as text, with a page per folder.

    Change and job are those of intake.json, which ci-summarize-results --from writes; flags go before them. The address
    is printed and written to published.json in the workspace. A run that is published already stays as it is.

    Exit code: 0 published (or it was already), 2 bad option or configuration, 5 it could not be published and is safe
    to run again, 130 or 143 stopped.
    """
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.settings import load_settings, read_environment

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    if prune:
        _prune(settings, environment, dry_run=dry_run, force=force, as_json=as_json)
        return
    if force:
        raise ConfigurationError("--force goes with --prune only.", next_step="leave it out.")
    given = _given(settings, environment, change, job)
    _publish(settings, environment, workspace, given, dry_run=dry_run, as_json=as_json)


def _given(settings: Settings, environment: Mapping[str, str], flags: dict[str, Any], job: str | None) -> Given:
    """What the command line and the trigger say about the change."""
    from ci_scripts.publishing.run import Given
    from ci_scripts.stages.change_options import find_change

    zuul_file = flags.pop("zuul_file")
    named = bool(flags["change"] or flags["ref"] or zuul_file)
    return Given(flags, named, lambda: find_change(settings, environment, flags, zuul_file), job)


def _publish(
    settings: Settings,
    environment: Mapping[str, str],
    root: Path | None,
    given: Given,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from ci_scripts.publishing.publish import as_planned, choose, failing_to_report, logs_of, mask_of, place_of, publish
    from ci_scripts.publishing.run import run_to_publish
    from ci_scripts.stage_log import stage
    from ci_scripts.workspace import find_workspace, write_json_atomically

    logs, mask = logs_of(settings), mask_of(settings, environment)
    workspace = find_workspace(root, environment)
    with failing_to_report("the run could not be published"):
        run = run_to_publish(workspace, environment, given)
        if dry_run:
            _print_plan(as_planned(run, logs, choose(run, mask)), as_json)
            return
        # The inner one for what the stage's file says, the outer one for that file itself.
        with stage(workspace, "publish-logs") as record, failing_to_report("the run could not be published"):

            def say(text: str) -> None:
                record.say(mask.text(text))

            place = place_of(logs, environment, workspace.root)
            published = publish(run, logs, place, mask, say).record
            write_json_atomically(workspace.published_json, published.as_json())
    click.echo(json.dumps(published.as_json(), indent=1) if as_json else published.url)


def _print_plan(plan: dict[str, Any], as_json: bool) -> None:
    from ci_scripts.views.clean_text import for_terminal

    if as_json:
        click.echo(json.dumps(plan, indent=1))
        return
    click.echo(f"Would be published: {plan['url']} (in {plan['publish_to']})")
    for entry in plan["files"]:
        click.echo(f"{entry['size']:>14,}  {for_terminal(entry['name'], one_line=True)}")
    click.echo(
        f"{sum(entry['size'] for entry in plan['files']):>14,}  bytes in {len(plan['files'])} files, as they are here"
    )
    for reason in plan["left_out"]:
        click.echo(f"left out: {reason}")


def _prune(settings: Settings, environment: Mapping[str, str], *, dry_run: bool, force: bool, as_json: bool) -> None:
    from datetime import UTC, datetime

    from ci_scripts.publishing.publish import days_to_keep, failing_to_report, logs_of, place_of, prune

    logs = logs_of(settings)
    days = days_to_keep(logs, force=force)
    with failing_to_report("old runs could not be deleted"):
        due = prune(place_of(logs, environment, Path()), datetime.now(UTC), days, dry_run=dry_run)
    _print_due(due, days, dry_run=dry_run, as_json=as_json)


def _print_due(due: Due, days: int, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        old = [{"folder": entry.folder.path, "time": entry.record.time} for entry in due.old]
        data = {"deleted": [] if dry_run else old, "would_be_deleted": old if dry_run else [], "kept": due.kept}
        click.echo(json.dumps({**data, "left_alone": due.left_alone}, indent=1))
        return
    for entry in due.old:
        click.echo(
            f"{'would be deleted' if dry_run else 'deleted'}: {entry.folder.path} (published {entry.record.time})"
        )
    for reason in due.left_alone:
        click.echo(f"left alone: {reason}", err=True)
    click.echo(f"{len(due.old)} of {len(due.old) + due.kept} runs are older than {days} days.")
