"""The journals of retriggers: what was to be run again, what was asked for, what has ended. One folder each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError
from ci_scripts.journal import SCHEMA, Journal, Line
from ci_scripts.retriggers.runner import Ticket
from ci_scripts.workspace import new_run_id, utc_text

FOLDER = "retriggers"
NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")


@dataclass(frozen=True)
class Wish:
    """A patch set that is to be tested again. ``known`` are our verdicts on it that are not the answer."""

    change: int
    patch_set: int
    known: tuple[str, ...] = ()

    def as_record(self) -> dict[str, Any]:
        """As the journal keeps it."""
        return {"change": self.change, "patch_set": self.patch_set, "known": list(self.known)}


@dataclass
class Retrigger:
    """One retrigger as its journal has it; what is added is on the disk at once (or InfrastructureError is raised).

    ``marks`` and ``tickets`` are by the number of the change: asked for with this mark, known by this ticket.
    ``over`` are the changes of which nothing more is wanted.
    """

    id: str
    journal: Journal
    request: Mapping[str, Any]
    runner: str
    wishes: tuple[Wish, ...]
    marks: dict[int, str] = field(default_factory=dict)
    tickets: dict[int, Ticket] = field(default_factory=dict)
    over: dict[int, str] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    finished: bool = False

    def asking(self, wish: Wish, mark: str) -> None:
        """It is about to be asked for."""
        self.marks[wish.change] = mark
        self._add("asking", wish, mark=mark)

    def asked(self, wish: Wish, ticket: Ticket) -> None:
        """It was asked for."""
        self.tickets[wish.change] = ticket
        self._add("asked", wish, ticket=[ticket.kind, ticket.number], known=list(wish.known))

    def ended(self, wish: Wish, how: str) -> None:
        """Its run is over, or nobody waits for it any more."""
        self.over[wish.change] = how
        self._add("ended", wish, how=how)

    def left(self, wish: Wish, why: str) -> None:
        """It need not be tested any more."""
        self.over[wish.change] = why
        self._add("left", wish, why=why)

    def failed(self, wish: Wish, what: str) -> None:
        """It could not be asked for; it stays to be done."""
        self.failures[wish.change] = what
        self._add("failed", wish, what=what)

    def leave_failed(self) -> None:
        """What could not be asked for is no more to be done."""
        for wish in self.wishes:
            if wish.change in self.failures and wish.change not in self.over:
                self.left(wish, self.failures[wish.change])

    def end(self) -> None:
        """All were asked for."""
        self.finished = True
        self.journal.add({"kind": "end", "time": utc_text()})

    def _add(self, kind: str, wish: Wish, **more: Any) -> None:
        self.journal.add({"kind": kind, "change": wish.change, "patch_set": wish.patch_set, **more, "time": utc_text()})


def begin(folder: Path, request: Mapping[str, Any], runner: str, wishes: Iterable[Wish]) -> Retrigger:
    """A new retrigger with its plan on the disk. ``folder`` is that of all. Raises InfrastructureError."""
    name = new_run_id(datetime.now(UTC))
    journal = Journal(folder / name / "journal.jsonl")
    plan = tuple(wishes)
    head = {"schema": SCHEMA, "kind": "retrigger", "id": name, "request": dict(request), "runner": runner}
    journal.add({**head, "time": utc_text(), "plan": [wish.as_record() for wish in plan]})
    return Retrigger(name, journal, request, runner, plan)


def unfinished(folder: Path, request: Mapping[str, Any], runner: str) -> Retrigger | None:
    """The newest retrigger that was asked for in the same words, of the same runner, and did not come to its end."""
    for lines, journal in reversed(list(_all(folder))):
        found = _read(lines, journal)
        if not found.finished and dict(found.request) == dict(request):
            if found.runner != runner:
                raise ConfigurationError(
                    f"the interrupted retrigger {found.id} went to {found.runner}.",
                    next_step="choose that one with --with, or start anew with --new.",
                )
            return found
    return None


@dataclass(frozen=True)
class Asked:
    """A run that was asked for; ``known`` are the verdicts of ours that were there before."""

    time: datetime
    known: frozenset[str]


def asked_before(folder: Path) -> dict[tuple[int, int], list[Asked]]:
    """The runs that were ever asked for here, by change and patch set."""
    found: dict[tuple[int, int], list[Asked]] = {}
    for lines, _ in _all(folder):
        for line in lines:
            if line.get("kind") == "asked":
                asked = Asked(datetime.fromisoformat(line["time"]), frozenset(line.get("known", ())))
                found.setdefault((int(line["change"]), int(line["patch_set"])), []).append(asked)
    return found


def unanswered(asked: Iterable[Asked], wish: Wish) -> list[Asked]:
    """Those after which our account has said nothing on the patch set, as far as ``wish`` knows it."""
    return [one for one in asked if set(wish.known) <= one.known]


def _all(folder: Path) -> Iterable[tuple[list[Line], Journal]]:
    for name in sorted(entry.name for entry in folder.glob("*") if NAME.fullmatch(entry.name)):
        journal = Journal(folder / name / "journal.jsonl")
        if lines := journal.lines():
            yield lines, journal


def _read(lines: list[Line], journal: Journal) -> Retrigger:
    head = lines[0]
    wishes = tuple(
        Wish(int(entry["change"]), int(entry["patch_set"]), tuple(entry.get("known", ())))
        for entry in head.get("plan", ())
    )
    found = Retrigger(str(head.get("id")), journal, head.get("request", {}), str(head.get("runner")), wishes)
    for line in lines[1:]:
        kind, number = line.get("kind"), int(line.get("change", 0))
        if kind == "asking":
            found.marks[number] = str(line["mark"])
        elif kind == "asked":
            found.tickets[number] = Ticket(*map(str, line["ticket"]))
            found.failures.pop(number, None)
        elif kind == "failed":
            found.failures[number] = str(line["what"])
        elif kind in ("ended", "left"):
            found.over[number] = str(line.get("how") or line.get("why"))
        elif kind == "end":
            found.finished = True
    return found
