"""Publishing to another machine with rsync and nothing else: an account that may only run rsync is enough.

rsync cannot rename a folder. A run is uploaded under its own name, its record first and marked as not complete, its
page and its whole record last, the pages above after that: half an upload is linked from nowhere and has no page. The
next attempt for the same run goes on with it; one that nobody goes on with is pruned after a day.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.publishing.build import write_record
from ci_scripts.publishing.hidden import HiddenFolder
from ci_scripts.publishing.layout import DEPTH, INDEX, RECORD, RunFolder
from ci_scripts.publishing.pages import names_in, refresh
from ci_scripts.publishing.record import Published, read_record
from ci_scripts.publishing.rsync import Rsync

if TYPE_CHECKING:
    from ci_scripts.settings_trusted import Logs

ATTEMPTS = 3
NOTHING_ELSE = "- *"


class RemotePlace:
    """The folder ``logs.publish_to`` of another machine; ``here`` is a folder for what is made ready."""

    def __init__(self, logs: Logs, environment: Mapping[str, str], here: Path) -> None:
        self._rsync = Rsync(logs, environment)
        self._hidden = HiddenFolder(here, logs.timeout_seconds)
        self._seen: dict[str, Published] | None = None

    @contextlib.contextmanager
    def room(self) -> Iterator[Path]:
        """A hidden folder here in which a run is made ready."""
        with self._hidden.room() as room:
            yield room

    def found(self, folder: RunFolder) -> Published | None:
        """The record of what is complete there. Raises ReportFailed."""
        record = self._look(folder).get(folder.run)
        return record if record is not None and record.complete else None

    def is_free(self, folder: RunFolder, identity: str) -> bool:
        """Whether the name can be used: nothing has it, or an upload of this same run that did not end."""
        # Making a run ready takes a while; somebody may have come meanwhile.
        self._seen = None
        record = self._look(folder).get(folder.run)
        return record is None or (not record.complete and record.identity == identity)

    def put(self, ready: Path, folder: RunFolder, record: Published) -> bool:
        """Upload ``ready``; False where another run has the name meanwhile. Raises OSError, ReportFailed."""
        tree = ready.parent / "tree"
        shutil.rmtree(tree, ignore_errors=True)
        target = tree / folder.path
        target.parent.mkdir(parents=True)
        os.rename(ready, target)
        try:
            own = f"/{folder.path}"
            write_record(target, replace(record, complete=False))
            self._rsync.push(tree, [*_way(folder.parts), f"+ {own}/{RECORD}", NOTHING_ELSE])
            kept_back = [f"- {own}/{RECORD}", f"- {own}/{INDEX}"]
            self._rsync.push(tree, [*kept_back, *_all_of(folder), NOTHING_ELSE], delete=True)
            write_record(target, record)
            self._rsync.push(tree, [*_way(folder.parts), f"+ {own}/{INDEX}", f"+ {own}/{RECORD}", NOTHING_ELSE])
        finally:
            os.rename(target, ready)
        self._seen = None
        now = self._look(folder).get(folder.run)
        return now is not None and now.identity == record.identity

    def link(self, folders: Sequence[RunFolder]) -> None:
        """Write the pages above anew, and again where somebody else published meanwhile.

        Raises OSError, ReportFailed.
        """
        listed: dict[tuple[str, ...], list[str]] = {}
        for _ in range(ATTEMPTS):
            with self._mirror(folders) as mirror:
                now = _names_above(mirror, folders)
                if now == listed:
                    return
                listed = now
                rules = []
                for parts in sorted(now, key=len, reverse=True):
                    refresh(mirror, parts)
                    rules.append(f"+ /{'/'.join((*parts, INDEX))}")
                # The folders of runs are only skeletons here.
                self._rsync.push(mirror, [*_ways(folders), *rules, NOTHING_ELSE])

    def remove(self, folders: Sequence[RunFolder]) -> None:
        """Delete runs: first their pages, then the rest, their records last. Raises OSError, ReportFailed."""
        ways = _ways(folders)
        pages = [f"+ /{folder.path}/{INDEX}" for folder in folders]
        runs = [f"+ /{folder.path}/" for folder in folders]
        records = [f"- /{folder.path}/{RECORD}" for folder in folders]
        everything = [f"+ /{folder.path}/**" for folder in folders]
        with tempfile.TemporaryDirectory(prefix="ci-prune-") as name:
            skeleton = Path(name)
            for folder in folders:
                (skeleton / folder.path).mkdir(parents=True)
            self._rsync.push(skeleton, [*ways, *runs, *pages, NOTHING_ELSE], delete=True)
            self._rsync.push(skeleton, [*ways, *runs, *records, *everything, NOTHING_ELSE], delete=True)
            for folder in folders:
                (skeleton / folder.path).rmdir()
            self._rsync.push(skeleton, [*ways, *runs, *everything, NOTHING_ELSE], delete=True)
        self._remove_empty(folders)
        self.link(folders)

    @contextlib.contextmanager
    def everything(self) -> Iterator[Path]:
        """A skeleton of all runs with their records and nothing else. Raises OSError, ReportFailed."""
        with tempfile.TemporaryDirectory(prefix="ci-published-") as name:
            depth = "/*" * DEPTH
            self._rsync.pull(Path(name), [f"+ {depth}/{RECORD}", f"- {depth}/**", "+ */", NOTHING_ELSE])
            yield Path(name)

    def _look(self, folder: RunFolder) -> dict[str, Published]:
        """Records of the runs beside ``folder``, complete or not."""
        if self._seen is None:
            with self._mirror([folder]) as mirror:
                beside = mirror.joinpath(*folder.parts[:-1])
                names = os.listdir(beside) if beside.is_dir() else []
                records = {name: read_record(beside / name) for name in names}
                self._seen = {name: record or _UNKNOWN for name, record in records.items()}
        return self._seen

    @contextlib.contextmanager
    def _mirror(self, folders: Sequence[RunFolder]) -> Iterator[Path]:
        """A skeleton of the folders above these: the names in each, and the records beside."""
        jobs = {folder.parts[:-1] for folder in folders}
        rules = [f"+ /{'/'.join(job)}/*/{RECORD}" for job in sorted(jobs)]
        above = {job[:length] for job in jobs for length in range(DEPTH)}
        rules += [f"+ {''.join(f'/{part}' for part in parts)}/*/" for parts in sorted(above, key=len, reverse=True)]
        with tempfile.TemporaryDirectory(prefix="ci-published-") as name:
            self._rsync.pull(Path(name), [*rules, NOTHING_ELSE])
            yield Path(name)

    def _remove_empty(self, folders: Sequence[RunFolder]) -> None:
        """Folders above in which no run is left, and nothing else but our page."""
        with tempfile.TemporaryDirectory(prefix="ci-prune-") as name, self._mirror(folders) as mirror:
            gone: set[tuple[str, ...]] = set()
            for folder in folders:
                for parts in folder.parents():
                    path = mirror.joinpath(*parts)
                    below = [(*parts, entry) for entry in os.listdir(path)] if path.is_dir() else []
                    if not parts or any(entry not in gone for entry in below):
                        break
                    gone.add(parts)
            for parts in gone:
                if parts[:-1] not in gone:
                    Path(name).joinpath(*parts[:-1]).mkdir(parents=True, exist_ok=True)
            if gone:
                # What is not named here is kept, and with it the folder that it is in.
                rules = [rule for parts in sorted(gone) for rule in (*_way(parts), f"+ /{'/'.join(parts)}/{INDEX}")]
                self._rsync.push(Path(name), [*rules, NOTHING_ELSE], delete=True)


_UNKNOWN = Published("", "", "", "", "", "", "", "", "", "", "", complete=False)


def _way(parts: tuple[str, ...]) -> list[str]:
    """Rules that let rsync go down to a folder."""
    return [f"+ /{'/'.join(parts[:length])}/" for length in range(1, len(parts) + 1)]


def _ways(folders: Sequence[RunFolder]) -> list[str]:
    """As `_way` for the folders in which these lie."""
    return list(dict.fromkeys(rule for folder in folders for rule in _way(folder.parts[:-1])))


def _all_of(folder: RunFolder) -> list[str]:
    return [*_way(folder.parts), f"+ /{folder.path}/**"]


def _names_above(mirror: Path, folders: Sequence[RunFolder]) -> dict[tuple[str, ...], list[str]]:
    """The names that the page of each folder above lists, of those that are there."""
    above = {parts for folder in folders for parts in folder.parents()}
    found = {}
    for parts in above:
        if mirror.joinpath(*parts).is_dir():
            names = names_in(mirror, parts)
            whole = [name for name in names if len(parts) < DEPTH - 1 or _is_whole(mirror.joinpath(*parts, name))]
            found[parts] = whole
    return found


def _is_whole(folder: Path) -> bool:
    record = read_record(folder)
    return record is not None and record.complete
