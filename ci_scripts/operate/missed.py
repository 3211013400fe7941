"""ci-operate missed: patch sets and rechecks that have no answer of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_scripts.operate.queueing import with_queue

if TYPE_CHECKING:
    from ci_scripts.gerrit import Account, Gerrit
    from ci_scripts.retriggers.runner import Runner
    from ci_scripts.settings_model import Settings
    from ci_scripts.sweep import Missed, Swept, Watch

COLUMNS = ("change", "project", "branch", "since", "why")
SCHEMA = 1
# A patch set that never gets a verdict (it cannot be merged, say) is not asked for without end.
MOST_TIMES = 3


@click.command(epilog="Example: ci-operate missed --since '2 days ago' --queue")
@click.option("--since", metavar="TIME", default="7 days ago", show_default=True, help="Changes touched since then.")
@click.option("--project", "projects", metavar="NAME", multiple=True, help="Instead of those in ci.yaml.")
@click.option("--branch", "branches", metavar="NAME", multiple=True, help="Only changes for this branch.")
@click.option("--grace", type=click.IntRange(min=0), metavar="MINUTES", help="Leave younger ones [gate's time].")
@click.option("--queue", "queue", is_flag=True, help="Have them tested, instead of only telling.")
@with_queue
@click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(config: Path | None, as_json: bool, **given: Any) -> None:
    """Find open patch sets of the watched projects that have no verdict of ours, and rechecks that have no answer.

    Watched are the projects of ci.yaml and the driver's. Rechecks count from people, never from CI accounts. Work in
    progress, and changes of irrelevant files only, are left out.

    Exit code 0: looked, whatever was found; with --queue all were asked for. 2: an option or ci.yaml is wrong. 3: a
    server could not be asked, or some changes could not be looked at; these are named.
    """
    from ci_scripts.errors import InfrastructureError
    from ci_scripts.gerrit import open_gerrit
    from ci_scripts.retriggers.runner import open_runner
    from ci_scripts.settings import load_settings, read_environment
    from ci_scripts.sweep import sweep

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    gerrit = open_gerrit(settings, environment)
    runner = open_runner(settings, environment, given["which"]) if given["queue"] else None
    watch = _watch(settings, gerrit.own_account(), given)
    if runner is None:
        found = sweep(gerrit, watch, lambda text: click.echo(text, err=True))
        _show(found, {}, as_json)
    else:
        found = _queue(gerrit, settings, runner, watch, given, as_json)
    if found.failed:
        numbers = ", ".join(str(number) for number, _ in found.failed[:20])
        raise InfrastructureError(
            f"{len(found.failed)} changes could not be looked at: {numbers}. The first: {found.failed[0][1]}",
            next_step="give the same command again.",
        )


def _watch(settings: Settings, own: Account, given: Mapping[str, Any]) -> Watch:
    from datetime import UTC, datetime, timedelta

    from ci_scripts.moments import moment
    from ci_scripts.sweep import Watch

    now = datetime.now(UTC)
    minutes = given["grace"] if given["grace"] is not None else settings.gate.timeout_minutes
    names = given["projects"] or dict.fromkeys([*settings.projects, settings.driver.project])
    patterns = {name: settings.projects[name].irrelevant_files for name in names if name in settings.projects}
    return Watch(
        own=own,
        names=(settings.recheck_name,),
        projects={name: patterns.get(name, ()) for name in names},
        since=moment(given["since"], now, "--since"),
        now=now,
        grace=timedelta(minutes=minutes),
        branches=given["branches"],
    )


def _queue(
    gerrit: Gerrit, settings: Settings, runner: Runner, watch: Watch, given: Mapping[str, Any], as_json: bool
) -> Swept:
    """Sweep, and ask for what was found; an interrupted call is brought to its end before."""
    from ci_scripts.journal import only_one
    from ci_scripts.operate.queueing import begun, continued, pacing_of, run_queue
    from ci_scripts.retriggers.record import FOLDER, Wish
    from ci_scripts.sweep import sweep

    request = {"missed": sorted(watch.projects), "branches": sorted(watch.branches)}
    pacing = pacing_of(settings, given)
    with only_one(settings.cache_dir / FOLDER, "retrigger"):
        if (earlier := continued(settings, request, runner, given["anew"])) is not None:
            # What cannot be asked for is found again by the sweep, if it is still missed.
            earlier.leave_failed()
            run_queue(gerrit, watch.own, runner, earlier, pacing)
        found = sweep(gerrit, watch, lambda text: click.echo(text, err=True))
        asked = _asked(settings, watch, found)
        _show(found, asked, as_json)
        wishes = [
            Wish(entry.change.number, entry.change.current.number, entry.known)
            for entry in found.missed
            if entry.change.number not in asked
        ]
        if wishes:
            run_queue(gerrit, watch.own, runner, begun(settings, request, runner, wishes), pacing)
    return found


def _asked(settings: Settings, watch: Watch, found: Swept) -> dict[int, str]:
    """Why a change is not asked for again, by its number."""
    from ci_scripts.retriggers.record import FOLDER, Wish, asked_before, unanswered

    before = asked_before(settings.cache_dir / FOLDER)
    why: dict[int, str] = {}
    for entry in found.missed:
        wish = Wish(entry.change.number, entry.change.current.number, entry.known)
        asked = unanswered(before.get((wish.change, wish.patch_set), ()), wish)
        times = [one.time for one in asked if one.time >= entry.since]
        if times and watch.now - max(times) < watch.grace:
            why[wish.change] = "asked for already"
        elif len(times) >= MOST_TIMES:
            why[wish.change] = f"asked for {len(times)} times without an answer: look at it"
    return why


def _show(found: Swept, asked: Mapping[int, str], as_json: bool) -> None:
    if as_json:
        entries = [_record(entry, asked) for entry in found.missed]
        failed = [{"change": number, "what": what} for number, what in found.failed]
        data = {"schema": SCHEMA, "looked_at": found.looked_at, "missed": entries, "failed": failed}
        click.echo(json.dumps(data))
        return
    from ci_scripts.operate.watching import show_table

    if found.missed:
        show_table(COLUMNS, [_row(entry, asked) for entry in found.missed])
    click.echo(f"{len(found.missed)} missed of {found.looked_at} open changes.")


def _row(entry: Missed, asked: Mapping[int, str]) -> tuple[str, ...]:
    change = entry.change
    why = f"recheck of {entry.by}" if entry.reason == "recheck" else entry.reason
    note = f" ({asked[change.number]})" if change.number in asked else ""
    number = f"{change.number},{change.current.number}"
    return number, change.project, change.branch, f"{entry.since:%Y-%m-%d %H:%M}Z", f"{why}{note}"


def _record(entry: Missed, asked: Mapping[int, str]) -> dict[str, Any]:
    from ci_scripts.workspace import utc_text

    change = entry.change
    return {
        "change": change.number,
        "patch_set": change.current.number,
        "project": change.project,
        "branch": change.branch,
        "ref": change.current.ref,
        "revision": change.current.revision,
        "url": change.url,
        "reason": entry.reason,
        "since": utc_text(entry.since),
        "by": entry.by,
        "not_asked_for": asked.get(change.number, ""),
    }
