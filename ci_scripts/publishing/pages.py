"""The index page of each published folder: names, sizes and times in UTC; no script, nothing from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from ci_scripts.publishing.layout import DEPTH, INDEX, fits
from ci_scripts.publishing.record import Published, read_record
from ci_scripts.views.templating import fill

TEMPLATE = "folder.html.j2"
LEVELS = ("Published runs", "Changes", "Change", "Patch set", "Pipeline", "Job")
MAX_ROWS = 20_000
MAX_NOTES = 210


@dataclass(frozen=True)
class Row:
    """One line of a page. ``time`` is seconds since 1970, ``size`` bytes, None where there is nothing to say."""

    name: str
    is_folder: bool
    size: int | None = None
    time: float | None = None
    note: str = ""

    @property
    def href(self) -> str:
        """A link that stays below the page's own folder, whatever the name is."""
        return f"./{quote(self.name)}{'/' if self.is_folder else ''}"

    @property
    def when(self) -> str:
        """The time in UTC to the second."""
        try:
            return f"{datetime.fromtimestamp(self.time, UTC):%Y-%m-%d %H:%M:%S}" if self.time is not None else ""
        except (OverflowError, ValueError, OSError):
            return ""


def page(
    title: str,
    rows: Sequence[Row],
    *,
    up: bool,
    facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    report: str = "",
) -> str:
    """A page as HTML, everything escaped. ``report`` is the link to the report, which is what most people want."""
    return fill(
        TEMPLATE,
        title=title,
        rows=rows[:MAX_ROWS],
        more=max(0, len(rows) - MAX_ROWS),
        up=up,
        facts=facts,
        notes=notes[:MAX_NOTES],
        report=report,
    )


def facts_of(record: Published) -> list[tuple[str, str]]:
    """What the first page of a run says about it."""
    return [
        ("Change", f"{record.change},{record.patch_set} of {record.project}"),
        ("Pipeline and job", f"{record.pipeline}, {record.job}"),
        ("Run", record.run_id or "without a name"),
        ("Outcome", record.outcome or "no verdict"),
        ("Published", f"{record.time.replace('T', ' ').partition('.')[0]} UTC"),
    ]


def page_of_parent(root: Path, parts: tuple[str, ...]) -> str:
    """The page of a folder above the runs: what of our layout lies in it. Raises OSError."""
    rows = []
    for name in names_in(root, parts):
        folder = root.joinpath(*parts, name)
        if len(parts) < DEPTH - 1:
            rows.append(Row(name, True, time=folder.lstat().st_mtime))
            continue
        record = read_record(folder)
        if record is not None and record.complete and record.folder == "/".join((*parts, name)):
            moment = record.moment
            time = moment.timestamp() if moment is not None else None
            rows.append(Row(name, True, record.bytes, time, record.outcome))
    if len(parts) == DEPTH - 1:
        rows.sort(key=lambda row: row.time or 0, reverse=True)
    title = f"{LEVELS[len(parts)]} {' / '.join(parts)}" if parts else LEVELS[0]
    return page(title, rows, up=bool(parts))


def names_in(root: Path, parts: tuple[str, ...]) -> list[str]:
    """Folders that can be of our layout, no links. The newest change, patch set or run first. Raises OSError."""
    with os.scandir(root.joinpath(*parts)) as entries:
        found = [entry.name for entry in entries if fits((*parts, entry.name)) and entry.is_dir(follow_symlinks=False)]
    return sorted(found, key=lambda name: (name.isdigit(), int(name) if name.isdigit() else 0, name), reverse=True)


def refresh(root: Path, parts: tuple[str, ...]) -> Path:
    """Write the page of a folder above the runs anew, at once or not at all. Raises OSError."""
    from ci_scripts.workspace import write_text_atomically

    path = root.joinpath(*parts, INDEX)
    write_text_atomically(path, page_of_parent(root, parts))
    return path
