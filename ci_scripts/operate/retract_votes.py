"""ci-operate retract-votes: take back votes and comments that should never have been."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_scripts.operate.choosing import with_selection

if TYPE_CHECKING:
    from ci_scripts.gerrit import Account, Gerrit
    from ci_scripts.settings_model import Settings
    from ci_scripts.withdrawal.act import Result
    from ci_scripts.withdrawal.comment import Wording
    from ci_scripts.withdrawal.plan import Entry
    from ci_scripts.withdrawal.record import Withdrawal

COLUMNS = ("change", "project", "verdict", "outcome", "vote", "what")
SCHEMA = 1


@click.command(
    epilog="Example: ci-operate retract-votes --since '3 hours ago' --outcome FAILURE --why 'the lab was offline' --yes"
)
@with_selection
@click.option("--why", metavar="SENTENCE", default="", help="Why, in one sentence for the changes. Needed with --yes.")
@click.option("--yes", "act", is_flag=True, help="Do it. Without this, only tell what would be done.")
@click.option("--delete", is_flag=True, help="Delete the vote instead of setting it to 0: one request more a change.")
@click.option("--resume", metavar="ID", help="Go on with this interrupted withdrawal.")
@click.option("--new", "anew", is_flag=True, help="Start anew, even if the same was asked for and interrupted.")
@click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(config: Path | None, as_json: bool, **given: Any) -> None:
    """Take back what our account said on open changes: vote to 0, and a comment that replaces the red row.

    What was said is read from Gerrit, so it does not matter which program said it. Only the current patch set is
    touched, only what we said last on it, and nothing twice: an interrupted call is given again and goes on.

    Exit code 0: done, or told what would be done. 2: nothing or something wrong is chosen, or another withdrawal is
    under way. 3: Gerrit could not be asked, or some changes failed; these are named.
    """
    from ci_scripts.gerrit import open_gerrit
    from ci_scripts.journal import only_one
    from ci_scripts.settings import load_settings, read_environment
    from ci_scripts.withdrawal.record import FOLDER

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    gerrit = open_gerrit(settings, environment)
    if not given["act"]:
        _tell_only(gerrit, settings, given, as_json)
        return
    folder = settings.cache_dir / FOLDER
    with only_one(folder, "withdrawal"):
        _take_back(gerrit, settings, folder, given, as_json)


def _tell_only(gerrit: Gerrit, settings: Settings, given: Mapping[str, Any], as_json: bool) -> None:
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.operate.choosing import missing_of, read_entries, request_of, selection_of
    from ci_scripts.withdrawal.comment import checked_why

    if given["why"]:
        checked_why(given["why"])
    if given["resume"]:
        raise ConfigurationError("--resume needs --yes.", next_step="add it; or choose as before to see what is left.")
    selection = selection_of(request_of(given))
    entries = read_entries(gerrit, gerrit.own_account(), settings, selection)
    missing = missing_of(selection, entries)
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "dry_run": True, "changes": _records(entries), "not_ours": missing}))
        return
    _show(entries, missing)
    if any(entry.is_to_do for entry in entries):
        click.echo("Nothing was posted. To do it: the same command with --why 'one sentence' and --yes.")


def _take_back(gerrit: Gerrit, settings: Settings, folder: Path, given: Mapping[str, Any], as_json: bool) -> None:
    from ci_scripts.errors import InfrastructureError
    from ci_scripts.operate.watching import Bar
    from ci_scripts.withdrawal.act import Work, withdraw

    own = gerrit.own_account()
    entries, withdrawal = _planned(gerrit, own, settings, folder, given)
    if not as_json:
        _show(entries, [])
    if withdrawal is None:
        _report(None, [], as_json)
        return
    click.echo(f"withdrawal {withdrawal.id}: {len(withdrawal.left)} to do, journal {withdrawal.journal.path}", err=True)
    label = settings.gerrit.label if settings.gerrit else "Verified"
    work = Work(gerrit, own, label, _wording(settings, withdrawal.why), withdrawal)
    with Bar(len(withdrawal.left), "taking back") as bar:
        read = [entry.change for entry in entries]
        results = withdraw(work, read, lambda result: bar.one_more(_note(result)))
    _report(withdrawal, results, as_json)
    failed = [result for result in results if result.failed]
    if failed:
        named = ", ".join(str(result.number) for result in failed[:20]) + (" ..." if len(failed) > 20 else "")
        raise InfrastructureError(
            f"{len(failed)} of {len(results)} changes failed: {named}. The first: {failed[0].what}",
            log=withdrawal.journal.path,
            next_step="mend it and give the same command again; nothing is posted twice.",
        )


def _planned(
    gerrit: Gerrit, own: Account, settings: Settings, folder: Path, given: Mapping[str, Any]
) -> tuple[list[Entry], Withdrawal | None]:
    """What was just read, and the withdrawal that is to be done: an interrupted one, else a new one if there is any."""
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.operate.choosing import read_entries, request_of, selection_of
    from ci_scripts.withdrawal.comment import checked_why
    from ci_scripts.withdrawal.record import begin, read, unfinished

    if given["resume"]:
        return [], read(folder, given["resume"])
    request = {**request_of(given), "delete": given["delete"]}
    selection = selection_of(request)
    if not given["why"].strip():
        raise ConfigurationError("--yes needs --why.", next_step="say in one sentence why the votes are taken back.")
    why = checked_why(given["why"])
    earlier = None if given["anew"] else unfinished(folder, request)
    if earlier is not None:
        click.echo(f"the interrupted withdrawal {earlier.id} is continued (--new would start anew)", err=True)
        return [], earlier
    entries = read_entries(gerrit, own, settings, selection)
    to_do = [entry for entry in entries if entry.is_to_do]
    return entries, begin(folder, request, why, given["delete"], to_do) if to_do else None


def _wording(settings: Settings, why: str) -> Wording:
    from ci_scripts.views.comment import Sender
    from ci_scripts.withdrawal.comment import Wording

    contacts = tuple(f"{who.name} ({', '.join(filter(None, (who.email, who.irc)))})" for who in settings.contacts)
    tag = settings.gerrit.tag.replace("{pipeline}", "check") if settings.gerrit else ""
    return Wording(why, Sender(settings.name, settings.wiki, settings.recheck_name, contacts), tag)


def _note(result: Result) -> str:
    if result.failed:
        return f"{result.number},{result.patch_set}: FAILED: {result.what}"
    return "" if result.result == "withdrawn" else f"{result.number},{result.patch_set}: left alone: {result.result}"


def _show(entries: list[Entry], missing: list[int]) -> None:
    from ci_scripts.operate.watching import show_table

    if entries:
        show_table(COLUMNS, [_row(entry) for entry in entries])
    if missing:
        click.echo(f"Nothing of ours is meant on {', '.join(map(str, missing))}.")
    counts = Counter(entry.state for entry in entries)
    said = [f"{counts.pop('withdraw', 0)} to take back", *(f"{count} {state}" for state, count in counts.items())]
    click.echo(f"{len(entries)} changes: {', '.join(said)}.")
    good = sum(entry.is_to_do and entry.vote > 0 for entry in entries)
    if good:
        click.echo(f"{good} of the votes are positive; --outcome FAILURE would leave them alone.")


def _row(entry: Entry) -> tuple[str, ...]:
    change = entry.change
    shown = entry.verdicts or entry.meant[-1:]
    times = f"{shown[-1].message.time:%Y-%m-%d %H:%M}Z" if shown else "vote alone"
    outcomes = ",".join(sorted({word for comment in shown for word in comment.outcomes}))
    number = f"{change.number},{change.current.number}"
    return number, change.project, times, outcomes, f"{entry.vote:+d}" if entry.vote else "", _what(entry)


def _what(entry: Entry) -> str:
    if not entry.is_to_do:
        words = {"withdrawn": "taken back already", "newer verdict": "a newer verdict of ours stands"}
        words |= {"newer patch set": "a newer patch set is there"}
        return words.get(entry.state, entry.state)
    parts = ["take back the comment"] if entry.verdicts or not entry.meant else []
    return " and ".join([*parts, "set the vote to 0"] if entry.takes_vote else parts)


def _records(entries: list[Entry]) -> list[dict[str, Any]]:
    from ci_scripts.withdrawal.plan import planned

    return [
        {
            **planned(entry),
            "project": entry.change.project,
            "url": entry.change.url,
            "state": entry.state,
            "jobs": [job.name for comment in entry.verdicts for job in comment.jobs],
            "outcomes": sorted({word for comment in entry.verdicts or entry.meant for word in comment.outcomes}),
        }
        for entry in entries
    ]


def _report(withdrawal: Withdrawal | None, results: list[Result], as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        name = withdrawal.id if withdrawal else None
        changes = [asdict(result) for result in results]
        click.echo(json.dumps({"schema": SCHEMA, "dry_run": False, "withdrawal": name, "changes": changes}))
        return
    if withdrawal is None:
        click.echo("There is nothing to take back.")
        return
    counts = Counter("failed" if result.failed else result.result for result in results)
    click.echo(f"Withdrawal {withdrawal.id}: {', '.join(f'{count} {word}' for word, count in counts.items())}.")
    click.echo(f"To have them tested again: ci-operate retrigger --withdrawal {withdrawal.id}")
