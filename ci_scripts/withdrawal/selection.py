"""Which verdicts of ours an operator means."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit.records import Change, Vote
from ci_scripts.withdrawal.own_comments import OwnComment

LARGEST_LIST = 1024 * 1024
# 123 and 123,4; the addresses .../c/<project>/+/123/4, .../#/c/123/4 and https://review.example.org/123
NUMBER = re.compile(
    r"(?:https?://\S*?/\+/|https?://\S*?/c/|https?://[^/\s]+/(?:r/)?)?([1-9][0-9]{0,9})(?:[,/]([1-9][0-9]{0,5}))?/?"
)
# Changes named in one question: an address has a length.
AT_ONCE = 40
Asked = Callable[[OwnComment], bool]


class Chosen(Protocol):
    """Which verdicts and votes are meant: by what an operator chose, or by an earlier plan."""

    def means(self, change: Change, comment: OwnComment) -> bool:
        """A verdict of ours on ``change``."""

    def means_vote(self, change: Change, vote: Vote) -> bool:
        """A vote of ours without any comment."""

    def patch_set_of(self, number: int) -> int:
        """The patch set that was named with a change, 0 for none."""

    @property
    def even_green(self) -> bool:
        """A verdict is meant even if it says that all is well and gave no vote."""


@dataclass(frozen=True)
class Selection:
    """What was chosen; an empty field chooses nothing out. ``changes`` are number and patch set (0: whichever)."""

    since: datetime | None = None
    until: datetime | None = None
    outcomes: tuple[str, ...] = ()
    signature: str = ""
    changes: tuple[tuple[int, int], ...] = ()
    projects: tuple[str, ...] = ()

    def require_something(self) -> None:
        """Raises ConfigurationError where every verdict that was ever given would be meant."""
        if not (self.since or self.until or self.outcomes or self.signature or self.changes):
            raise ConfigurationError(
                "nothing is chosen.",
                next_step="name a time with --since, an --outcome, a --signature, a --change or a --list.",
            )

    def queries(self) -> list[str]:
        """What to ask Gerrit: a superset of the changes that are meant."""
        narrow = [f'after:"{self.since:%Y-%m-%d %H:%M:%S} +0000"'] if self.since else []
        if self.projects:
            narrow.append(either([f'project:"{name}"' for name in self.projects]))
        if not self.changes:
            return [" ".join(["(commentby:self OR reviewer:self)", *narrow])]
        numbers = sorted({number for number, _ in self.changes})
        return [" ".join([query, *narrow[1 if self.since else 0 :]]) for query in queries_of(numbers)]

    def as_record(self) -> dict[str, Any]:
        """As it is kept in a journal."""
        return {
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "outcomes": list(self.outcomes),
            "signature": self.signature,
            "changes": [list(entry) for entry in self.changes],
            "projects": list(self.projects),
        }

    def in_time(self, time: datetime) -> bool:
        """Within the time that was named, its ends included."""
        return (self.since is None or time >= self.since) and (self.until is None or time <= self.until)


@dataclass(frozen=True)
class BySelection:
    """`Chosen` by an operator's selection."""

    selection: Selection
    has_signature: Asked

    def means(self, change: Change, comment: OwnComment) -> bool:
        chosen = self.selection
        if comment.is_withdrawal or not chosen.in_time(comment.message.time):
            return False
        if chosen.outcomes and not comment.outcomes & set(chosen.outcomes):
            return False
        return self._is_named(change) and (not chosen.signature or self.has_signature(comment))

    def means_vote(self, change: Change, vote: Vote) -> bool:
        """One whose time the server does not tell is meant only where no time was chosen."""
        chosen = self.selection
        if chosen.signature or (vote.time is None and (chosen.since or chosen.until)):
            return False
        outcome = "SUCCESS" if vote.value > 0 else "FAILURE"
        in_time = vote.time is None or chosen.in_time(vote.time)
        return self._is_named(change) and in_time and (not chosen.outcomes or outcome in chosen.outcomes)

    def patch_set_of(self, number: int) -> int:
        return next((patch_set for change, patch_set in self.selection.changes if change == number), 0)

    @property
    def even_green(self) -> bool:
        return bool(self.selection.outcomes)

    def _is_named(self, change: Change) -> bool:
        # Gerrit was asked for a superset.
        chosen = self.selection
        named = not chosen.changes or any(number == change.number for number, _ in chosen.changes)
        return named and (not chosen.projects or change.project in chosen.projects)


def selection_from(record: Mapping[str, Any]) -> Selection:
    """The selection that a journal of ours holds."""
    since, until = record.get("since"), record.get("until")
    return Selection(
        since=datetime.fromisoformat(since) if since else None,
        until=datetime.fromisoformat(until) if until else None,
        outcomes=tuple(record.get("outcomes", ())),
        signature=str(record.get("signature", "")),
        changes=tuple((int(number), int(patch_set)) for number, patch_set in record.get("changes", ())),
        projects=tuple(record.get("projects", ())),
    )


def queries_of(numbers: Sequence[int]) -> list[str]:
    """Questions for changes by number, some of them at a time."""
    parts = [numbers[start : start + AT_ONCE] for start in range(0, len(numbers), AT_ONCE)]
    return [either([f"change:{number}" for number in part]) for part in parts]


def either(terms: Sequence[str]) -> str:
    """A term that holds where one of ``terms`` does."""
    return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"


def change_named(text: str, what: str) -> tuple[int, int]:
    """Number and patch set (0: whichever) of ``123``, ``123,4`` or the address of a change's page.

    Raises ConfigurationError.
    """
    found = NUMBER.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"{what}: {ascii(text[:80])} names no change.", next_step="write its number, 123 or 123,4 or its address."
        )
    return int(found.group(1)), int(found.group(2) or 0)


def changes_listed(text: str, name: str) -> list[tuple[int, int]]:
    """The changes of a list, one a line, blank lines and ``#`` left out. Raises ConfigurationError."""
    lines = [line.partition("#")[0] if not line.strip().startswith("http") else line for line in text.splitlines()]
    listed = [change_named(line, f"{name}:{place}") for place, line in enumerate(lines, 1) if line.strip()]
    if not listed:
        raise ConfigurationError(f"{name} lists no change.", next_step="write one number a line.")
    return listed
