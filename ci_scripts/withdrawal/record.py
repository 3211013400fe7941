"""The journals of withdrawals: what was asked for, what was planned, what was done. One folder each.

Gerrit's own record says what was taken back; the journal keeps the plan, so that an interrupted withdrawal goes on with
the same changes, and so that a retrigger knows which they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError
from ci_scripts.journal import SCHEMA, Journal
from ci_scripts.withdrawal.plan import Entry, planned
from ci_scripts.workspace import new_run_id, utc_text

FOLDER = "withdrawals"
NAME = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
# Of what was done: the change was left alone, so it is no part of a retrigger.
DONE = "withdrawn"


@dataclass(frozen=True)
class Withdrawal:
    """One withdrawal as its journal has it. ``plan`` and ``done`` are by the number of the change."""

    id: str
    journal: Journal
    request: Mapping[str, Any]
    why: str
    delete: bool
    plan: Mapping[int, Mapping[str, Any]]
    done: Mapping[int, str]
    finished: bool

    @property
    def left(self) -> list[int]:
        """The changes that nothing was done about yet, in the order of the plan."""
        return [number for number in self.plan if number not in self.done]

    def add_done(self, number: int, patch_set: int, result: str, what: str = "") -> None:
        """A change is dealt with. Raises InfrastructureError."""
        line = {"kind": "done", "change": number, "patch_set": patch_set, "result": result}
        self.journal.add({**line, "what": what, "time": utc_text()})

    def add_failed(self, number: int, what: str) -> None:
        """A change could not be dealt with; it stays to be done. Raises InfrastructureError."""
        self.journal.add({"kind": "failed", "change": number, "what": what, "time": utc_text()})

    def add_end(self) -> None:
        """All changes were tried. Raises InfrastructureError."""
        self.journal.add({"kind": "end", "time": utc_text()})


def begin(folder: Path, request: Mapping[str, Any], why: str, delete: bool, entries: Iterable[Entry]) -> Withdrawal:
    """A new withdrawal with its plan on the disk. ``folder`` is that of all withdrawals. Raises InfrastructureError."""
    name = new_run_id(datetime.now(UTC))
    journal = Journal(_path(folder, name))
    plan = [planned(entry) for entry in entries]
    head = {"schema": SCHEMA, "kind": "withdrawal", "id": name, "request": dict(request), "why": why}
    journal.add({**head, "delete": delete, "time": utc_text(), "plan": plan})
    return read(folder, name)


def read(folder: Path, name: str) -> Withdrawal:
    """The withdrawal called ``name``. Raises ConfigurationError where there is none, InfrastructureError."""
    journal = Journal(_path(folder, name)) if NAME.fullmatch(name) else None
    lines = journal.lines() if journal else []
    if journal is None or not lines:
        known = ", ".join(all_names(folder)[-5:]) or "none"
        raise ConfigurationError(
            f"there is no withdrawal {ascii(name[:60])} in {folder}.", next_step=f"name one of these: {known}."
        )
    head = lines[0]
    done = {int(line["change"]): str(line["result"]) for line in lines if line.get("kind") == "done"}
    return Withdrawal(
        id=name,
        journal=journal,
        request=head.get("request", {}),
        why=str(head.get("why", "")),
        delete=bool(head.get("delete")),
        plan={int(entry["change"]): entry for entry in head.get("plan", ())},
        done=done,
        finished=any(line.get("kind") == "end" for line in lines),
    )


def unfinished(folder: Path, request: Mapping[str, Any]) -> Withdrawal | None:
    """The newest withdrawal that was asked for in the same words and did not come to its end."""
    for name in reversed(all_names(folder)):
        found = read(folder, name) if Journal(_path(folder, name)).lines() else None
        if found is not None and not found.finished and dict(found.request) == dict(request):
            return found
    return None


def all_names(folder: Path) -> list[str]:
    """The withdrawals that there are, oldest first."""
    return sorted(entry.name for entry in folder.glob("*") if NAME.fullmatch(entry.name))


def _path(folder: Path, name: str) -> Path:
    return folder / name / "journal.jsonl"
