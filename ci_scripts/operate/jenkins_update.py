"""ci-operate jenkins update: make the jobs on the server what the definitions say."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.operate.jenkins_site import SCHEMA, chosen_by, only_chosen, opened, say, shown, with_only, with_site

if TYPE_CHECKING:
    from ci_scripts.jenkins.updating import Step

WOULD = {"made": "would make", "changed": "would change", "deleted": "would delete", "left": "would leave"}


@click.command(epilog="Example: ci-operate jenkins update --config ci.yaml --dry-run")
@with_only
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--delete-old", is_flag=True, help="Delete jobs that are in no definition any more.")
@click.option(
    "--take-over", is_flag=True, help="Replace jobs of these names that Jenkins Job Builder did not make, too."
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@with_site
def command(
    config: Path | None,
    as_json: bool,
    patterns: tuple[str, ...],
    dry_run: bool,
    delete_old: bool,
    take_over: bool,
    yes: bool,
) -> None:
    """Render the definitions with Jenkins Job Builder and send the jobs that are not there or differ.

    All are rendered before anything is changed: a mistake in them changes nothing. What an operator or pause disabled
    stays disabled. Nothing is deleted without --delete-old; with it jobs that were sent from here and are in no
    definition any more, or with --only all such jobs of Jenkins Job Builder with these names.

    Exit code 0: the jobs are as the definitions say, or what would be done was told. 2: ci.yaml or a definition is
    wrong, or a job is not ours to replace; nothing was changed. 3: Jenkins could not be asked, or refused some jobs.
    """
    site = opened(config)
    definitions = site.definitions()
    wanted = only_chosen(definitions, patterns)

    from ci_scripts.jenkins.sent_record import read_sent
    from ci_scripts.jenkins.updating import Plan, carry_out, old_jobs, plan_update
    from ci_scripts.journal import only_one

    with only_one(site.notes, "update of these jobs"):
        plan = plan_update(site.server, wanted, site.notes, take_over=take_over)
        if delete_old:
            # Other people's definitions may be on the same server: without a pattern only what was sent from here.
            chosen = chosen_by(patterns) if patterns else read_sent(site.notes).__contains__
            plan = Plan(plan.compared, old_jobs(site.server, definitions, chosen))
        if dry_run:
            steps = plan.steps()
        else:
            _confirm(plan.old, yes)
            steps = []
            for step in carry_out(site.server, plan, wanted, site.notes):
                steps.append(step)
                if not as_json:
                    _print(step, {})
    if definitions.views:
        say(f"views are not sent: {', '.join(definitions.views)}")
    _conclude(steps, site.section.url, dry_run, as_json)


def _confirm(old: Sequence[str], yes: bool) -> None:
    from ci_scripts.errors import ConfigurationError

    for name in old:
        say(f"to be deleted, with its builds: {name}")
    if yes or not old:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"{len(old)} jobs would be deleted, and there is nobody to ask. Nothing was changed.",
            next_step="add --yes, or leave --delete-old out.",
        )
    if not click.confirm(f"Delete {len(old)} jobs?", err=True):
        raise ConfigurationError("not confirmed. Nothing was changed.", next_step="leave --delete-old out.")


def _conclude(steps: Sequence[Step], url: str, dry_run: bool, as_json: bool) -> None:
    from ci_scripts.errors import InfrastructureError

    if as_json:
        jobs = [{"name": step.job, "what": step.what, "why": step.why} for step in steps]
        click.echo(json.dumps({"schema": SCHEMA, "url": url, "dry_run": dry_run, "jobs": jobs}, indent=1))
    else:
        for step in steps if dry_run else ():
            _print(step, WOULD)
        counts = [(sum(step.what == what for step in steps), what) for what in ("made", "changed", "deleted", "left")]
        told = ", ".join(f"{count} {what}" for count, what in counts if count)
        click.echo(f"{'Nothing was sent' if dry_run else 'Done'}: {told or 'no job'}.")
    failed = [step for step in steps if step.what == "failed"]
    if failed:
        named = ", ".join(shown(step.job) for step in failed[:20])
        raise InfrastructureError(
            f"Jenkins refused {len(failed)} of {len(steps)} jobs: {named}. The first: {shown(failed[0].why)}",
            next_step="mend it and give the same command again.",
        )


def _print(step: Step, words: dict[str, str]) -> None:
    word = words.get(step.what, step.what).ljust(12 if words else 7)
    click.echo(shown(f"{word}  {step.job}{f'  ({step.why})' if step.why else ''}"))
