"""What retrigger and missed have in common: asking Jenkins or Zuul for runs, and telling how that goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ci_scripts.gerrit import Account, Gerrit
    from ci_scripts.retriggers.queue import Pacing, Step
    from ci_scripts.retriggers.record import Retrigger, Wish
    from ci_scripts.retriggers.runner import Runner
    from ci_scripts.settings_model import Settings

F = TypeVar("F", bound=Callable[..., Any])
# Beside the gate: waiting for a node, the trials, publishing.
RUN_TIMES = 2

_OPTIONS = (
    click.option("--in-flight", type=click.IntRange(1, 1000), default=4, show_default=True, help="Runs at a time."),
    click.option("--with", "which", type=click.Choice(["jenkins", "zuul"]), help="Whom to ask of two."),
    click.option("--wait", is_flag=True, help="Wait until the last runs have ended, too."),
    click.option(
        "--poll-seconds",
        type=click.FloatRange(min=0.05),
        default=15.0,
        show_default=True,
        help="How often to look whether a run has ended.",
    ),
    click.option("--new", "anew", is_flag=True, help="Start anew, even if the same was asked for and interrupted."),
)


def with_queue(command: F) -> F:
    """Add the options for asking: in_flight, which, wait, poll_seconds and anew."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def pacing_of(settings: Settings, given: Mapping[str, Any]) -> Pacing:
    """The pacing that the options and the gate's time limit make."""
    from ci_scripts.retriggers.queue import Pacing

    return Pacing(
        in_flight=given["in_flight"],
        poll_seconds=given["poll_seconds"],
        run_seconds=60.0 * settings.gate.timeout_minutes * RUN_TIMES,
        wait_for_last=given["wait"],
    )


def continued(settings: Settings, request: Mapping[str, Any], runner: Runner, anew: bool) -> Retrigger | None:
    """The interrupted retrigger with the same request, if there is one; that is said."""
    from ci_scripts.retriggers.record import FOLDER, unfinished

    found = None if anew else unfinished(settings.cache_dir / FOLDER, request, runner.name)
    if found is not None:
        click.echo(f"the interrupted retrigger {found.id} is continued (--new would start anew)", err=True)
    return found


def begun(settings: Settings, request: Mapping[str, Any], runner: Runner, wishes: Iterable[Wish]) -> Retrigger:
    """A new retrigger with its journal."""
    from ci_scripts.retriggers.record import FOLDER, begin

    return begin(settings.cache_dir / FOLDER, request, runner.name, wishes)


def asked_already(settings: Settings, wishes: Iterable[Wish]) -> dict[int, int]:
    """How often a run was asked for already, by change, where one may still be under way; others are not there."""
    from datetime import UTC, datetime, timedelta

    from ci_scripts.retriggers.record import FOLDER, asked_before, unanswered

    since = datetime.now(UTC) - timedelta(minutes=settings.gate.timeout_minutes * RUN_TIMES)
    before = asked_before(settings.cache_dir / FOLDER)
    found = {wish.change: unanswered(before.get((wish.change, wish.patch_set), ()), wish) for wish in wishes}
    return {change: len(asked) for change, asked in found.items() if any(one.time >= since for one in asked)}


def run_queue(gerrit: Gerrit, own: Account, runner: Runner, record: Retrigger, pacing: Pacing) -> dict[str, int]:
    """Ask for everything that is not over, with progress; how many were asked for, left alone and so on.

    Raises InfrastructureError naming the changes that failed.
    """
    from ci_scripts.errors import InfrastructureError
    from ci_scripts.operate.watching import Bar
    from ci_scripts.retriggers.queue import Queue

    left = [wish for wish in record.wishes if wish.change not in record.over]
    click.echo(f"retrigger {record.id}: {len(left)} for {runner.name}, journal {record.journal.path}", err=True)
    counts: Counter[str] = Counter()
    with Bar(len(left) - sum(wish.change in record.tickets for wish in left), "asking") as bar:

        def tell(step: Step) -> None:
            counts[step.what] += 1
            name = f"{step.wish.change},{step.wish.patch_set}"
            note = f"{name}: {step.what}{f': {step.why}' if step.why else ''}" if step.why else ""
            if step.what in ("asked", "left", "failed"):
                bar.one_more(note)
            elif note:
                bar.note(note)

        failed = Queue(gerrit, own, runner, record, tell).run(pacing)
    if failed:
        named = ", ".join(str(step.wish.change) for step in failed[:20])
        raise InfrastructureError(
            f"{len(failed)} of {len(left)} changes failed: {named}. The first: {failed[0].why}",
            log=record.journal.path,
            next_step="mend it and give the same command again.",
        )
    return dict(counts)
