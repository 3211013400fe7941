"""What Gerrit says about changes and what is said to it: plain values, whichever way they travel.

Every text comes from people on the network: it is data, cleaned where it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

Status = Literal["NEW", "MERGED", "ABANDONED"]


@dataclass(frozen=True)
class Account:
    """Somebody in Gerrit. What the server does not show is empty; ``number`` is 0 where SSH does not tell it."""

    number: int = 0
    name: str = ""
    username: str = ""
    email: str = ""

    def is_same(self, other: Account) -> bool:
        """By number where both have one, else by user name."""
        if self.number and other.number:
            return self.number == other.number
        return bool(self.username) and self.username == other.username


@dataclass(frozen=True)
class Message:
    """A message on a change, or a comment of its patch set. ``tag`` is empty for what a person wrote.

    ``text`` is without Gerrit's own first line ("Patch Set 2: Verified-1"). ``number`` is Gerrit's id of it. Over SSH
    Gerrit tells neither id nor tag: the id is made of the message then, and only what Gerrit itself wrote has a tag.
    """

    number: str
    author: Account
    time: datetime
    text: str
    patch_set: int
    tag: str = ""


@dataclass(frozen=True)
class Vote:
    """One account's vote on the current patch set; 0 is no vote and is not kept."""

    label: str
    value: int
    account: Account
    time: datetime | None = None


@dataclass(frozen=True)
class PatchSet:
    """One patch set; ``revision`` is its commit."""

    number: int
    revision: str
    ref: str
    created: datetime


@dataclass(frozen=True)
class Change:
    """A change with its current patch set, all messages and the votes on that patch set."""

    number: int
    project: str
    branch: str
    subject: str
    status: Status
    owner: Account
    current: PatchSet
    updated: datetime
    url: str
    change_id: str = ""
    work_in_progress: bool = False
    messages: tuple[Message, ...] = ()
    votes: tuple[Vote, ...] = ()

    @property
    def is_open(self) -> bool:
        """Neither merged nor abandoned."""
        return self.status == "NEW"


@dataclass(frozen=True)
class Review:
    """A message with a tag, and votes by label; a vote of 0 takes a vote back. ``notify`` as Gerrit names it."""

    message: str
    tag: str
    votes: Mapping[str, int] = field(default_factory=dict)
    notify: Literal["NONE", "OWNER", "OWNER_REVIEWERS", "ALL"] = "ALL"


class Gerrit(Protocol):
    """The verbs, the same over REST and SSH. Each raises GerritFailed or one of its kinds; see `gerrit.errors`.

    A verb that reads is tried again where the trouble is transient; a review is sent again only where it is certain
    that it did not arrive (the caller reads back what is there).
    """

    def own_account(self) -> Account:
        """The account that we are."""

    def change(self, number: int) -> Change:
        """One change as it is now. Raises NotThere."""

    def changes(self, query: str, *, most: int = 500) -> list[Change]:
        """Changes that match a query in Gerrit's language, newest update first, in pages; at most ``most``."""

    def comments(self, number: int) -> list[Message]:
        """Comments on the patch sets themselves (``/PATCHSET_LEVEL``): a recheck may be written as one."""

    def files(self, number: int, patch_set: int) -> list[str]:
        """Paths that a patch set changes, without the commit message; both paths of a file that was renamed."""

    def review(self, number: int, patch_set: int, review: Review) -> None:
        """Post a message and votes, also on a patch set that is not the current one: look first.

        Raises NotAllowed (no right to vote; nothing is posted), NotThere, Refused (a vote on a closed change, a message
        that is too long; with ``sent``: posted, but the project does not know such a vote).
        """

    def delete_vote(self, number: int, label: str, account: Account) -> None:
        """Delete an account's vote on the current patch set, without mail.

        Raises NotThere where there is none, NotAllowed for another's (over SSH always).
        """
