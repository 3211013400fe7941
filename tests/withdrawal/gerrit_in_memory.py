"""The verbs of Gerrit on plain records, for what is decided without a network; and records to decide about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ci_scripts.gerrit import Account, Change, GerritFailed, Message, NotThere, PatchSet, Review, Vote
from tests.fakes.operator_site import TAG, failure

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
OWN = Account(7, "Demo CI", "demo-ci")
JANE = Account(8, "Jane", "jane")
LABEL = "Verified"


def said(number: str, text: str = "", minute: int = 0, patch_set: int = 1, tag: str = TAG) -> Message:
    """A message of ours; by default a verdict that failed."""
    return Message(number, OWN, NOON + timedelta(minutes=minute), text or failure(), patch_set, tag)


def a_vote(value: int = -1, minute: int | None = 0) -> Vote:
    time = None if minute is None else NOON + timedelta(minutes=minute)
    return Vote(LABEL, value, OWN, time)


def a_change(number: int, *messages: Message, votes: tuple[Vote, ...] = (), patch_set: int = 1) -> Change:
    ref = f"refs/changes/{number % 100:02}/{number}/{patch_set}"
    current = PatchSet(patch_set, "a" * 40, ref, NOON)
    url = f"https://review.example.org/c/p/+/{number}"
    return Change(number, "p", "master", "s", "NEW", JANE, current, NOON, url, messages=messages, votes=votes)


class GerritInMemory:
    """``before`` is called with each review that is about to be taken; it may change ``changes`` or raise."""

    def __init__(self, *changes: Change) -> None:
        self.by_number = {change.number: change for change in changes}
        self.posted: list[tuple[int, int, Review]] = []
        self.before: Callable[[int, Review], None] = lambda number, review: None
        self.queries = 0

    def own_account(self) -> Account:
        return OWN

    def change(self, number: int) -> Change:
        if number not in self.by_number:
            raise NotThere(f"no change {number}")
        return self.by_number[number]

    def changes(self, query: str, *, most: int = 500) -> list[Change]:
        self.queries += 1
        return [change for change in self.by_number.values() if f"change:{change.number}" in query]

    def comments(self, number: int) -> list[Message]:
        return []

    def files(self, number: int, patch_set: int) -> list[str]:
        return []

    def review(self, number: int, patch_set: int, review: Review) -> None:
        self.before(number, review)
        self.take(number, patch_set, review)

    def take(self, number: int, patch_set: int, review: Review) -> None:
        """What a review does."""
        change = self.by_number[number]
        self.posted.append((number, patch_set, review))
        messages = change.messages
        if review.message:
            minute = 60 + len(self.posted)
            messages += (said(f"w{len(self.posted)}", review.message, minute, patch_set, review.tag),)
        votes = tuple(vote for vote in change.votes if vote.label not in review.votes)
        self.by_number[number] = replace(change, messages=messages, votes=votes)

    def delete_vote(self, number: int, label: str, account: Account) -> None:
        change = self.change(number)
        if not change.votes:
            raise NotThere("no vote")
        self.by_number[number] = replace(change, votes=())


def lost(what: str = "the connection was cut") -> GerritFailed:
    """It is not known whether the request arrived."""
    return GerritFailed(what, sent=True, transient=True)
