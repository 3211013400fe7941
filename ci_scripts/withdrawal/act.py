"""Taking back what was planned: one change after the other, one request for each where Gerrit allows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ci_scripts.errors import InfrastructureError
from ci_scripts.gerrit import Account, Change, Gerrit, GerritFailed, NotAllowed, NotLoggedIn, NotThere, Refused, Review
from ci_scripts.withdrawal.comment import Wording, reviews_of
from ci_scripts.withdrawal.plan import ByPlan, Entry, entry_for
from ci_scripts.withdrawal.record import DONE, Withdrawal
from ci_scripts.withdrawal.selection import queries_of

# What Gerrit said so many seconds ago is asked again: a patch set may have come, or the change may be merged.
FRESH_SECONDS = 2.0
AT_ONCE = 25
# Then it is the server, and not the changes.
FAILURES_IN_A_ROW = 5
ATTEMPTS = 2


@dataclass(frozen=True)
class Result:
    """What became of a change: DONE, or why nothing was posted. ``failed`` says what did not work."""

    number: int
    patch_set: int
    result: str
    what: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Work:
    """What is the same for every change."""

    gerrit: Gerrit
    own: Account
    label: str
    wording: Wording
    withdrawal: Withdrawal

    @property
    def chosen(self) -> ByPlan:
        """Only what was planned is touched."""
        return ByPlan(self.withdrawal.plan)

    def entry(self, change: Change) -> Entry | None:
        """What is still to do about a change, as Gerrit says it now."""
        return entry_for(change, self.own, self.label, self.chosen)


def withdraw(work: Work, read: Sequence[Change], tell: Callable[[Result], None]) -> list[Result]:
    """Take back everything that is left in the plan. ``read`` are changes that were read just now.

    A change that fails does not keep the others: its result says so. What is done is in the journal before the next
    change is touched. ``tell`` is called for each.

    Raises NotLoggedIn, and InfrastructureError where the server cannot be reached; then the same call goes on later.
    """
    results: list[Result] = []
    failures = 0
    for number, change in _fresh(work, {change.number: change for change in read}):
        # A kill between these two is no harm: the next call sees in Gerrit what was posted.
        result = _one(work, number, change)
        if result.failed:
            work.withdrawal.add_failed(number, result.what)
        else:
            work.withdrawal.add_done(number, result.patch_set, result.result, result.what)
        results.append(result)
        tell(result)
        failures = failures + 1 if result.result == "unreachable" else 0
        if failures >= FAILURES_IN_A_ROW:
            raise InfrastructureError(
                f"{failures} changes in a row failed, so the others were not tried: {result.what}",
                next_step="see that Gerrit answers, and give the same command again: it goes on from here.",
            )
    work.withdrawal.add_end()
    return results


def _fresh(work: Work, known: dict[int, Change]) -> Iterator[tuple[int, Change | None]]:
    """The changes that are left, each as Gerrit said it a moment ago; None for one that it does not show."""
    left = list(work.withdrawal.left)
    read_at = time.monotonic()
    for place, number in enumerate(left):
        if number not in known or time.monotonic() - read_at > FRESH_SECONDS:
            next_ones = left[place : place + AT_ONCE]
            try:
                known = {change.number: change for change in _read(work.gerrit, next_ones)}
            except NotLoggedIn:
                raise
            except GerritFailed as error:
                raise InfrastructureError(
                    f"Gerrit could not be asked: {error.what}", next_step="give the same command again later."
                ) from error
            read_at = time.monotonic()
        yield number, known.get(number)


def _read(gerrit: Gerrit, numbers: Sequence[int]) -> list[Change]:
    return [change for query in queries_of(numbers) for change in gerrit.changes(query, most=len(numbers))]


def _one(work: Work, number: int, change: Change | None) -> Result:
    patch_set = int(work.withdrawal.plan[number].get("patch_set", 0))
    try:
        return _attempts(work, change if change is not None else work.gerrit.change(number))
    except NotLoggedIn:
        raise
    except GerritFailed as error:
        return Result(number, patch_set, "unreachable" if error.transient else "failed", str(error), failed=True)


def _attempts(work: Work, change: Change) -> Result:
    """Post, and where it is not certain what became of that, see what is there before it is tried again."""
    for attempt in range(1, ATTEMPTS + 1):
        number, patch_set = change.number, change.current.number
        entry = work.entry(change)
        if entry is None or entry.state == "withdrawn":
            return Result(number, patch_set, DONE, "was withdrawn before" if attempt == 1 else "")
        if not entry.is_to_do:
            return Result(number, patch_set, entry.state)
        try:
            return _post_all(work, entry)
        except NotLoggedIn:
            raise
        except GerritFailed as error:
            if attempt == ATTEMPTS or not (error.sent or isinstance(error, Refused)):
                raise
            change = work.gerrit.change(number)
            now = work.entry(change)
            if isinstance(error, Refused) and now is not None and now.is_to_do:
                raise
    raise AssertionError("the last attempt returns or raises")


def _post_all(work: Work, entry: Entry) -> Result:
    change = entry.change
    delete = work.withdrawal.delete
    denied = ""
    for review in reviews_of(entry, work.label, work.wording, zero=not delete):
        denied = _post(work.gerrit, change, review) or denied
    if delete and entry.takes_vote:
        try:
            work.gerrit.delete_vote(change.number, work.label, work.own)
        except NotThere:
            pass
        except NotAllowed as error:
            denied = error.what
    if denied:
        what = f"the comment is there, the vote {entry.vote:+d} is not taken back: {denied}"
        return Result(change.number, change.current.number, "comment only", what, failed=True)
    return Result(change.number, change.current.number, DONE)


def _post(gerrit: Gerrit, change: Change, review: Review) -> str:
    """Post a review; without the right to vote the message alone. Returns why the vote was not taken."""
    try:
        gerrit.review(change.number, change.current.number, review)
        return ""
    except NotAllowed as error:
        if not review.votes:
            raise
        if review.message:
            alone = Review(review.message, review.tag, notify=review.notify)
            gerrit.review(change.number, change.current.number, alone)
        return error.what
