"""Which published runs are older than they are kept: by their own record, in folders of our layout, behind no link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ci_scripts.publishing.layout import DEPTH, RunFolder
from ci_scripts.publishing.pages import names_in
from ci_scripts.publishing.record import Published, read_record

# An upload that has not ended by then never will.
LONGEST_UPLOAD = timedelta(days=1)
CLOCKS_DIFFER = timedelta(minutes=10)


@dataclass(frozen=True)
class Old:
    """A run that goes, and its record."""

    folder: RunFolder
    record: Published


@dataclass
class Due:
    """``left_alone``: folders that look like runs and were not judged by age, and why. ``kept``: the others' number."""

    old: list[Old] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    kept: int = 0


def find_due(root: Path, now: datetime, retention: timedelta) -> Due:
    """Look through all runs below ``root``. Raises OSError."""
    due = Due()
    for parts in _runs(root, ()):
        path = "/".join(parts)
        record = read_record(root.joinpath(*parts))
        if record is None or record.folder != path:
            due.left_alone.append(f"{path}: holds no record of ours")
            continue
        moment = record.moment
        if moment is None or moment > now + CLOCKS_DIFFER:
            due.left_alone.append(f"{path}: was published at {record.time or 'no time'}, by this clock in the future")
        elif now - moment > (retention if record.complete else min(retention, LONGEST_UPLOAD)):
            due.old.append(Old(RunFolder(*parts[1:]), record))
        else:
            due.kept += 1
    due.old.sort(key=lambda old: old.record.time)
    return due


def _runs(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in names_in(root, parts):
        below = (*parts, name)
        if len(below) == DEPTH:
            yield below
        else:
            yield from _runs(root, below)
