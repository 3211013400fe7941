"""Building what is published of a run in a folder that nobody else sees, pages and all."""

from __future__ import annotations

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from ci_scripts.errors import ReportFailed
from ci_scripts.publishing.content import NotText, Source, Written, finish, write_bytes, write_text
from ci_scripts.publishing.layout import INDEX, RECORD
from ci_scripts.publishing.masking import Mask
from ci_scripts.publishing.pages import Row, facts_of, page
from ci_scripts.publishing.record import Published
from ci_scripts.publishing.selection import Item, Selection
from ci_scripts.verdict.untrusted_file import open_regular

MAX_TEXT_IN_ALL = 2 * 1024**3
LARGEST_OF_OURS = 256 * 1024 * 1024
SECONDS_BETWEEN_WORDS = 5.0
REPORT = ("report", INDEX)
REPORT_LINK = "./report/"


@dataclass(frozen=True)
class Rules:
    """``limit``: bytes of text per file; ``timeout``: seconds for all of them."""

    limit: int
    timeout: float
    mask: Mask


@dataclass
class _Folder:
    rows: list[Row] = field(default_factory=list)
    below: set[str] = field(default_factory=set)


class Builder:
    """Writes the files of one run below ``target``, which it makes."""

    def __init__(self, root: Path, target: Path, rules: Rules, say: Callable[[str], None]) -> None:
        self._root = root
        self._target = target
        self._rules = rules
        self._say = say
        self._folders: dict[tuple[str, ...], _Folder] = defaultdict(_Folder)
        self._files = self._bytes = self._text = 0

    def build(self, selection: Selection, record: Published) -> Published:
        """Write all files and pages; the record of it, with numbers, is not written.

        Raises ReportFailed when the time is up, OSError.
        """
        self._target.mkdir(mode=0o755)
        started = said = time.monotonic()
        for number, item in enumerate(selection.items):
            now = time.monotonic()
            if now - started > self._rules.timeout:
                raise ReportFailed(
                    f"{number} of {len(selection.items)} files were made ready in {self._rules.timeout:g} s: too slow.",
                    next_step="raise logs.timeout_seconds, or lower logs.largest_file_mb, and run it again.",
                )
            if now - said > SECONDS_BETWEEN_WORDS:
                said = now
                self._say(f"{number} of {len(selection.items)} files, {self._bytes} bytes")
            self._publish(item, selection)
        reasons = tuple(self._rules.mask.text(reason) for reason in selection.reasons())
        record = replace(record, files=self._files, bytes=self._bytes, left_out=reasons)
        self._write_pages(record)
        return record

    def _publish(self, item: Item, selection: Selection) -> None:
        if self._text > MAX_TEXT_IN_ALL:
            selection.leave_out(item.source, f"there are more than {MAX_TEXT_IN_ALL} bytes of text")
            return
        target = self._target.joinpath(*item.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            sources = []
            for part in item.all_sources():
                try:
                    stream = stack.enter_context(open_regular(self._root.joinpath(*part.source), self._root))
                except OSError as error:
                    selection.leave_out(part.source, error.strerror or str(error))
                    continue
                heading = f"\n===== {'/'.join(part.source)}\n" if item.more else ""
                sources.append(Source(stream, os.fstat(stream.fileno()).st_size, self._rules.mask.text(heading)))
            written = self._written(item, sources, target, selection) if sources else None
        if written is not None:
            self._count(item, written, selection)

    def _written(self, item: Item, sources: list[Source], target: Path, selection: Selection) -> Written | None:
        if item.kind in ("ours", "ours compressed"):
            if sources[0].size > LARGEST_OF_OURS:
                selection.leave_out(item.source, f"is larger than {LARGEST_OF_OURS} bytes")
                return None
            data = self._rules.mask.data(sources[0].stream.read(sources[0].size))
            return write_bytes(data, target, compress=item.kind == "ours compressed")
        try:
            mask, limit = self._rules.mask, self._rules.limit
            return write_text(sources, target, limit=limit, mask=mask, compress=item.kind == "text")
        except NotText:
            selection.leave_out(item.source, "is not text")
            return None

    def _count(self, item: Item, written: Written, selection: Selection) -> None:
        self._files += 1
        self._bytes += written.size
        self._text += written.text
        notes = [f"{written.left_out} bytes in the middle left out"] if written.left_out else []
        notes += written.problems
        for note in notes:
            selection.leave_out(item.source, note)
        *folders, name = item.name
        for depth, folder in enumerate(folders):
            self._folders[tuple(folders[:depth])].below.add(folder)
        row = Row(name, False, written.size, item.modified, "; ".join(notes))
        self._folders[tuple(folders)].rows.append(row)

    def _write_pages(self, record: Published) -> None:
        """A page in each folder; each folder readable and on disk."""
        mine = self._folders[()]
        mine.rows.append(Row(RECORD, False))
        name = f"{record.change},{record.patch_set} {record.job}"
        for path, folders, _ in os.walk(self._target, topdown=False):
            parts = Path(path).relative_to(self._target).parts
            folder = self._folders[parts]
            # A folder of which nothing was published has no place.
            folder.below &= {below for below in folders if Path(path, below).is_dir()}
            if not folder.rows and not folder.below:
                os.rmdir(path)
                continue
            rows = [
                *(Row(below, True) for below in sorted(folder.below)),
                *sorted(folder.rows, key=lambda row: row.name),
            ]
            facts, notes = (facts_of(record), record.left_out) if not parts else ([], ())
            report = REPORT_LINK if not parts and self._target.joinpath(*REPORT).is_file() else ""
            # The report is the page of its folder.
            if not any(row.name == INDEX for row in rows):
                text = page(" / ".join((name, *parts)), rows, up=True, facts=facts, notes=notes, report=report)
                write_bytes(text.encode("utf-8", "backslashreplace"), Path(path, INDEX))
            os.chmod(path, 0o755)
            sync_folder(Path(path))


def write_record(folder: Path, record: Published) -> None:
    """Write published.json into a folder that nobody else sees yet. Raises OSError."""
    with open(folder / RECORD, "wb") as file:
        file.write(record.as_text().encode())
        finish(file)
    sync_folder(folder)


def sync_folder(path: Path) -> None:
    """The names in a folder are on disk, too. Raises OSError."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
