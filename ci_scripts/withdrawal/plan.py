"""What is to be done about one change: decided from Gerrit's own record, each time anew. Pure.

That record says what was taken back already, so nothing needs to be known of an earlier call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from ci_scripts.gerrit.records import Account, Change, Vote
from ci_scripts.withdrawal.own_comments import OwnComment, own_comments
from ci_scripts.withdrawal.selection import Chosen

State = Literal["withdraw", "withdrawn", "merged", "abandoned", "newer verdict", "newer patch set"]
# A vote and the message that it came with have the same time, but for what is cut off of it.
SAME_TIME = timedelta(seconds=2)
# What a withdrawal names where there was a vote and no comment.
VOTE_ALONE = "vote"


@dataclass(frozen=True)
class Entry:
    """One change of ours that is meant, and what is to be done.

    ``meant`` are the verdicts that the operator means, ``verdicts`` those of them that still count. ``vote`` is ours on
    the current patch set; it is taken back where ``takes_vote``.
    """

    change: Change
    state: State
    meant: tuple[OwnComment, ...] = ()
    verdicts: tuple[OwnComment, ...] = ()
    vote: int = 0
    takes_vote: bool = False

    @property
    def is_to_do(self) -> bool:
        """There is something to post."""
        return self.state == "withdraw"


def entry_for(change: Change, own: Account, label: str, chosen: Chosen) -> Entry | None:
    """What to do about ``change``; None where nothing on it is meant."""
    comments = own_comments(change.messages, own)
    vote = own_vote(change.votes, own, label)
    meant = tuple(comment for comment in comments if chosen.means(change, comment))
    alone = vote is not None and not any(not comment.is_withdrawal for comment in comments)
    if not meant and not (alone and vote is not None and chosen.means_vote(change, vote)):
        return None
    value = vote.value if vote else 0
    if not change.is_open:
        return Entry(change, "merged" if change.status == "MERGED" else "abandoned", meant, vote=value)
    wanted = chosen.patch_set_of(change.number)
    counting = [comment for comment in comments if comment.message.patch_set == change.current.number]
    if wanted not in (0, change.current.number) or not (counting or vote):
        return Entry(change, "newer patch set", meant, vote=value)
    # Without a comment on this patch set the vote was copied from an earlier one: what was said there counts.
    newest = newest_of_rows(counting or comments)
    verdicts = tuple(
        comment for comment in newest if comment in meant and (comment.is_red or value or chosen.even_green)
    )
    takes_vote = vote is not None and _belongs(vote, counting or comments, verdicts, meant)
    if verdicts or takes_vote:
        return Entry(change, "withdraw", meant, verdicts, value, takes_vote)
    stands = any(not comment.is_withdrawal for comment in newest)
    return Entry(change, "newer verdict" if stands else "withdrawn", meant, vote=value)


@dataclass(frozen=True)
class ByPlan:
    """`Chosen` by what was planned before: nothing that our account said since then is touched."""

    plan: Mapping[int, Mapping[str, Any]]

    def means(self, change: Change, comment: OwnComment) -> bool:
        return comment.message.number in self.plan.get(change.number, {}).get("messages", ())

    def means_vote(self, change: Change, vote: Vote) -> bool:
        planned = self.plan.get(change.number, {})
        return bool(planned.get("takes_vote")) and planned.get("vote") == vote.value

    def patch_set_of(self, number: int) -> int:
        return int(self.plan.get(number, {}).get("patch_set", 0))

    @property
    def even_green(self) -> bool:
        return True


def planned(entry: Entry) -> dict[str, Any]:
    """An entry as a journal keeps it, for `ByPlan`."""
    messages = [comment.message.number for comment in entry.verdicts or entry.meant]
    return {
        "change": entry.change.number,
        "patch_set": entry.change.current.number,
        "messages": messages,
        "vote": entry.vote,
        "takes_vote": entry.takes_vote,
    }


def own_vote(votes: Iterable[Vote], own: Account, label: str) -> Vote | None:
    """Our vote on the current patch set, None where there is none or it is 0."""
    return next((vote for vote in votes if vote.label == label and vote.value and vote.account.is_same(own)), None)


def newest_of_rows(comments: Sequence[OwnComment]) -> list[OwnComment]:
    """The comments that still count, oldest first: the newest of each pipeline."""
    rows = {comment.row: comment for comment in comments}
    return [comment for comment in comments if comment is rows[comment.row]]


def _belongs(
    vote: Vote, comments: list[OwnComment], verdicts: tuple[OwnComment, ...], meant: Sequence[OwnComment]
) -> bool:
    """Whether a vote goes with these verdicts: no later verdict of another pipeline may have given it."""
    if not comments:
        return True
    last = comments[-1]
    if last.is_withdrawal:
        # Taken back in words and not in numbers: stopped between the two, or there was no right to vote.
        return bool(last.withdraws & ({comment.message.number for comment in meant} | {VOTE_ALONE}))
    return last in verdicts or any(
        vote.time is not None and abs(vote.time - comment.message.time) <= SAME_TIME for comment in verdicts
    )
