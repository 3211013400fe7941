"""Finding patch sets and rechecks that our account has not answered, from what Gerrit says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ci_scripts.gerrit import Account, Change, Gerrit, GerritFailed, Message, NotLoggedIn
from ci_scripts.irrelevant_files import only_irrelevant
from ci_scripts.recheck import asked_by, is_person
from ci_scripts.withdrawal.own_comments import OwnComment, own_comments

Reason = Literal["no verdict", "recheck", "withdrawn"]
MOST = 5000


@dataclass(frozen=True)
class Watch:
    """What is looked for. ``projects`` are names with the patterns of files that do not matter.

    What is younger than ``grace`` may be under way. ``names`` are those of ``run-<name>``.
    """

    own: Account
    names: tuple[str, ...]
    projects: Mapping[str, Sequence[str]]
    since: datetime
    now: datetime
    grace: timedelta
    branches: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missed:
    """A patch set that waits for us since a moment; ``by`` is who asked for a recheck."""

    change: Change
    reason: Reason
    since: datetime
    by: str = ""
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class Swept:
    """What a sweep found, the longest wait first; how many changes it looked at; what could not be looked at."""

    missed: tuple[Missed, ...]
    looked_at: int
    failed: tuple[tuple[int, str], ...]


def sweep(gerrit: Gerrit, watch: Watch, tell: Callable[[str], None]) -> Swept:
    """Look at the open changes of the watched projects that were touched since ``watch.since``; WIP does not count.

    A change that cannot be looked at does not keep the others. ``tell`` is called with what is being done.

    Raises GerritFailed where the changes of a project cannot be asked for.
    """
    missed: list[Missed] = []
    failed: list[tuple[int, str]] = []
    looked_at = 0
    for project, patterns in watch.projects.items():
        tell(f"looking at {project}")
        query = f'project:"{project}" status:open -is:wip after:"{watch.since:%Y-%m-%d %H:%M:%S} +0000"'
        for change in gerrit.changes(query, most=MOST):
            looked_at += 1
            if watch.branches and change.branch not in watch.branches:
                continue
            try:
                found = _missed(gerrit, watch, change, patterns)
            except NotLoggedIn:
                raise
            except GerritFailed as error:
                failed.append((change.number, error.what))
                continue
            missed += [found] if found is not None else []
    missed.sort(key=lambda entry: (entry.since, entry.change.number))
    return Swept(tuple(missed), looked_at, tuple(failed))


def _missed(gerrit: Gerrit, watch: Watch, change: Change, patterns: Sequence[str]) -> Missed | None:
    if not change.is_open or change.work_in_progress:
        return None
    said = [one for one in own_comments(change.messages, watch.own) if one.message.patch_set == change.current.number]
    found = waiting(change, said, watch.names)
    if found is None and _may_hide_a_recheck(change, said):
        found = waiting(change, said, watch.names, gerrit.comments(change.number))
    if found is None or watch.now - found.since < watch.grace:
        return None
    irrelevant = bool(patterns) and only_irrelevant(gerrit.files(change.number, change.current.number), patterns)
    return None if irrelevant else found


def waiting(
    change: Change, said: Sequence[OwnComment], names: tuple[str, ...], comments: Sequence[Message] = ()
) -> Missed | None:
    """What the current patch set waits for. ``said`` are our verdicts on it, oldest first; ``comments`` are on it, too.

    The newest recheck counts: who asks again gives us time again.
    """
    last = said[-1] if said else None
    asked = [
        message
        for message in (*change.messages, *comments)
        if message.patch_set in (0, change.current.number)
        and (last is None or message.time > last.message.time)
        and asked_by(message, names)
    ]
    known = tuple(one.message.number for one in said)
    newest = max(asked, key=lambda message: message.time, default=None)
    if newest is not None:
        reason: Reason = "recheck" if last is not None else "no verdict"
        return Missed(change, reason, newest.time, newest.author.name or newest.author.username, known)
    if last is None:
        return Missed(change, "no verdict", change.current.created)
    return Missed(change, "withdrawn", last.message.time, known=known) if last.is_withdrawal else None


def _may_hide_a_recheck(change: Change, said: Sequence[OwnComment]) -> bool:
    """A person spoke after our verdict; of a comment on the patch set the message itself says only that it is there."""
    last = said[-1].message.time if said else None
    return any(
        (last is None or message.time >= last) and not message.text and is_person(message.author, message.tag)
        for message in change.messages
        if message.patch_set in (0, change.current.number)
    )
