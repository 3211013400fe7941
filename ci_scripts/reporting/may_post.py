"""Whether a comment is due: Gerrit's own record of a change decides. Pure.

Times are compared with times of the same server only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_scripts.errors import NothingToTest
from ci_scripts.gerrit.records import Account, Change, Message
from ci_scripts.recheck import asked_by
from ci_scripts.views.comment import runs_named
from ci_scripts.withdrawal.own_comments import OwnComment, own_comments


class NothingToReport(NothingToTest):
    """The change is closed or has a newer patch set, or there was nothing to test: no comment."""


@dataclass(frozen=True)
class Place:
    """Where a comment goes: ``row`` is the pipeline as the summary names it."""

    change: int
    patch_set: int
    row: str

    def __str__(self) -> str:
        return f"change {self.change},{self.patch_set} (pipeline {self.row})"


@dataclass(frozen=True)
class Standing:
    """What our account has said at a place: comments that count, oldest first, and those that were taken back."""

    comments: tuple[OwnComment, ...]
    withdrawn: tuple[OwnComment, ...]

    def of_run(self, run_ids: Iterable[str]) -> OwnComment | None:
        """The newest comment that counts and names one of these runs."""
        return _naming(self.comments, run_ids)

    def withdrawn_run(self, run_ids: Iterable[str]) -> OwnComment | None:
        """The newest comment that was taken back and names one of these runs."""
        return _naming(self.withdrawn, run_ids)


def refuse_if_over(change: Change, place: Place) -> None:
    """Raises NothingToReport where the change is closed or has a newer patch set than ours."""
    if not change.is_open:
        raise NothingToReport(
            f"change {change.number} is {change.status.lower()} by now: nothing was posted.",
            next_step="nothing; the result is in the workspace.",
        )
    if change.current.number != place.patch_set:
        raise NothingToReport(
            f"change {change.number} has patch set {change.current.number} by now, this run tested {place.patch_set}:"
            " nothing was posted.",
            next_step="nothing; the newer patch set has a run of its own.",
        )


def standing(messages: Iterable[Message], own: Account, place: Place) -> Standing:
    """What we have said at ``place``."""
    said = own_comments(messages, own)
    taken_back = frozenset(number for comment in said for number in comment.withdraws)
    here = [
        comment
        for comment in said
        if not comment.is_withdrawal and comment.message.patch_set == place.patch_set and comment.row == place.row
    ]
    return Standing(
        tuple(comment for comment in here if comment.message.number not in taken_back),
        tuple(comment for comment in here if comment.message.number in taken_back),
    )


def rechecks(messages: Iterable[Message], place: Place, names: tuple[str, ...]) -> int:
    """How often people asked for another run of this patch set."""
    return sum(message.patch_set == place.patch_set and asked_by(message, names) for message in messages)


def why_not(said: Standing, run_ids: Sequence[str], asked: int, *, again: bool) -> str | None:
    """Why nothing is to be posted, None where a comment is due.

    One comment is due for a patch set, and one more for each recheck. Counting, rather than looking for a recheck
    after our last comment, is right also where somebody asked while the run before was still under way. The same run
    is never reported twice; one whose comment was taken back only where a person says so (``again``).
    """
    if (there := said.of_run(run_ids)) is not None:
        return (
            f"this run was reported already: message {there.message.number} of {there.message.time:%Y-%m-%d %H:%M} UTC"
        )
    if again:
        return None
    if (gone := said.withdrawn_run(run_ids)) is not None:
        return f"the comment on this run was taken back: message {gone.message.number}; --again posts it anew"
    if len(said.comments) > asked:
        newest = said.comments[-1].message
        return (
            f"there is a comment on another run of this patch set ({newest.time:%Y-%m-%d %H:%M} UTC) and nobody has"
            " asked for a recheck; --again posts another"
        )
    return None


def _naming(comments: Sequence[OwnComment], run_ids: Iterable[str]) -> OwnComment | None:
    wanted = set(run_ids)
    return next((comment for comment in reversed(comments) if wanted & runs_named(comment.message.text)), None)
