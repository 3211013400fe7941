"""ci-operate retrigger: have changes tested again by Jenkins or Zuul."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_scripts.operate.choosing import with_selection
from ci_scripts.operate.queueing import with_queue

if TYPE_CHECKING:
    from ci_scripts.gerrit import Account, Change, Gerrit
    from ci_scripts.retriggers.record import Wish
    from ci_scripts.settings_model import Settings

COLUMNS = ("change", "project", "uploaded", "what")
SCHEMA = 1
Planned = list[tuple["Change", "Wish | None", str]]


@click.command(epilog="Example: ci-operate retrigger --withdrawal 20260131T120000Z-1a2b3c --in-flight 2")
@with_selection
@click.option("--withdrawal", metavar="ID", help="The changes of this withdrawal (see retract-votes).")
@with_queue
@click.option("--dry-run", is_flag=True, help="Only tell what would be asked for.")
@click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(config: Path | None, as_json: bool, **given: Any) -> None:
    """Ask Jenkins or Zuul to test open changes again, the oldest patch set first, at most --in-flight at a time.

    Changes are chosen by what our account said on them, as with retract-votes, taken back or not. One that was merged,
    has a newer patch set or a new verdict meanwhile is left alone. An interrupted call is given again and goes on.

    Exit code 0: all were asked for. 2: nothing or something wrong is chosen. 3: a server could not be asked, or some
    changes failed; these are named.
    """
    from ci_scripts.gerrit import open_gerrit
    from ci_scripts.journal import only_one
    from ci_scripts.operate.queueing import begun, continued, pacing_of, run_queue
    from ci_scripts.retriggers.record import FOLDER
    from ci_scripts.retriggers.runner import open_runner
    from ci_scripts.settings import load_settings, read_environment

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    gerrit = open_gerrit(settings, environment)
    runner = open_runner(settings, environment, given["which"])
    request = _request(given)
    own = gerrit.own_account()
    if given["dry_run"]:
        _show(_plan(gerrit, own, settings, request, given["anew"]), runner.name, as_json)
        return
    with only_one(settings.cache_dir / FOLDER, "retrigger"):
        record = continued(settings, request, runner, given["anew"])
        if record is None:
            plan = _plan(gerrit, own, settings, request, given["anew"])
            wishes = [wish for _, wish, _ in plan if wish is not None]
            if not as_json:
                _show(plan, runner.name, as_json)
            if wishes:
                record = begun(settings, request, runner, wishes)
        counts = run_queue(gerrit, own, runner, record, pacing_of(settings, given)) if record else {}
    name = record.id if record else None
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "dry_run": False, "retrigger": name, "counts": counts}))
    elif record:
        click.echo(f"Retrigger {name}: {', '.join(f'{count} {word}' for word, count in sorted(counts.items()))}.")


def _request(given: Mapping[str, Any]) -> dict[str, Any]:
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.operate.choosing import request_of

    request = request_of(given)
    if not given["withdrawal"]:
        return request
    if any(request.values()):
        raise ConfigurationError("--withdrawal names its changes itself.", next_step="choose with one or the other.")
    return {"withdrawal": given["withdrawal"]}


def _plan(gerrit: Gerrit, own: Account, settings: Settings, request: Mapping[str, Any], anew: bool) -> Planned:
    """Each change with its wish, or why there is none; the oldest patch set first."""
    from ci_scripts.operate.choosing import read_entries, selection_of
    from ci_scripts.operate.queueing import asked_already

    if "withdrawal" in request:
        found = _of_withdrawal(gerrit, own, settings, request["withdrawal"])
    else:
        entries = read_entries(gerrit, own, settings, selection_of(request))
        found = [(entry.change, "" if entry.state in ("withdraw", "withdrawn") else entry.state) for entry in entries]
    wishes = [_wish(change, own) for change, _ in found]
    asked = {} if anew else asked_already(settings, wishes)
    planned: Planned = []
    for (change, said), wish in zip(found, wishes, strict=True):
        why = said or ("asked for already (--new would ask again)" if change.number in asked else "")
        planned.append((change, None if why else wish, why))
    return sorted(planned, key=lambda entry: (entry[0].current.created, entry[0].number))


def _of_withdrawal(gerrit: Gerrit, own: Account, settings: Settings, name: str) -> list[tuple[Change, str]]:
    from ci_scripts.withdrawal.plan import ByPlan, entry_for
    from ci_scripts.withdrawal.record import DONE, FOLDER, read
    from ci_scripts.withdrawal.selection import queries_of

    withdrawal = read(settings.cache_dir / FOLDER, name)
    label = settings.gerrit.label if settings.gerrit else ""
    plan = {number: entry for number, entry in withdrawal.plan.items() if withdrawal.done.get(number, DONE) == DONE}
    changes = [change for query in queries_of(sorted(plan)) for change in gerrit.changes(query, most=len(plan))]
    entries = [(change, entry_for(change, own, label, ByPlan(plan))) for change in changes]
    # Without an entry there was a vote alone, and it is gone.
    return [
        (change, entry.state if entry is not None and entry.state not in ("withdraw", "withdrawn") else "")
        for change, entry in entries
    ]


def _wish(change: Change, own: Account) -> Wish:
    from ci_scripts.retriggers.record import Wish
    from ci_scripts.withdrawal.own_comments import own_comments

    known = tuple(comment.message.number for comment in own_comments(change.messages, own))
    return Wish(change.number, change.current.number, known)


def _show(plan: Planned, runner: str, as_json: bool) -> None:
    if as_json:
        entries = [
            {"change": change.number, "patch_set": change.current.number, "project": change.project, "left_alone": why}
            for change, _, why in plan
        ]
        click.echo(json.dumps({"schema": SCHEMA, "dry_run": True, "runner": runner, "changes": entries}))
        return
    from ci_scripts.operate.watching import show_table

    rows = [
        (
            f"{change.number},{change.current.number}",
            change.project,
            f"{change.current.created:%Y-%m-%d %H:%M}Z",
            f"left alone: {why}" if why else "test again",
        )
        for change, _, why in plan
    ]
    if rows:
        show_table(COLUMNS, rows)
    click.echo(f"{sum(wish is not None for _, wish, _ in plan)} of {len(plan)} changes to test again, by {runner}.")
