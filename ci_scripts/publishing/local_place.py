"""Publishing into a folder of this machine (or one that is mounted): made ready out of sight, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import ReportFailed
from ci_scripts.publishing.build import sync_folder, write_record
from ci_scripts.publishing.hidden import HiddenFolder
from ci_scripts.publishing.layout import INDEX, RunFolder
from ci_scripts.publishing.pages import refresh
from ci_scripts.publishing.record import Published, read_record

TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


class LocalPlace:
    """The folder ``root``, which exists."""

    def __init__(self, root: Path, timeout: float) -> None:
        """Raises ReportFailed where there is no such folder: an unmounted disk must not be filled below its mount."""
        self.root = root
        self._hidden = HiddenFolder(root, timeout)
        if not root.is_dir():
            raise ReportFailed(f"there is no folder {root}.", next_step="make it or mount it, then run this again.")

    @contextlib.contextmanager
    def everything(self) -> Iterator[Path]:
        """The folder that has all runs."""
        yield self.root

    @contextlib.contextmanager
    def room(self) -> Iterator[Path]:
        """A hidden folder on the same disk in which a run is made ready."""
        with self._hidden.room() as room:
            yield room

    def found(self, folder: RunFolder) -> Published | None:
        """The record of what lies there; None where nothing is published."""
        return read_record(self.root / folder.path)

    def is_free(self, folder: RunFolder, identity: str) -> bool:
        """Whether nothing at all has this name: what lies here is complete."""
        return not os.path.lexists(self.root / folder.path)

    def put(self, ready: Path, folder: RunFolder, record: Published) -> bool:
        """Give the folder ``ready`` its name, in one step; False where somebody else has taken it meanwhile.

        Raises OSError, ReportFailed.
        """
        write_record(ready, record)
        target = self.root / folder.path
        with self._hidden.locked(), aborts.deferred():
            made = self._make_parents(folder)
            try:
                os.rename(ready, target)
                sync_folder(target.parent)
            except OSError as error:
                for parent in reversed(made):
                    with contextlib.suppress(OSError):
                        parent.rmdir()
                if error.errno in TAKEN:
                    return False
                raise
        return True

    def link(self, folders: Sequence[RunFolder]) -> None:
        """Write the pages of the folders above anew: the nearest first, so that no page leads to one that is not there.

        Raises OSError, ReportFailed.
        """
        parents = {parts for folder in folders for parts in folder.parents()}
        with self._hidden.locked():
            for parts in sorted(parents, key=len, reverse=True):
                if parts and not self.root.joinpath(*parts).is_dir():
                    continue
                refresh(self.root, parts)

    def remove(self, folders: Sequence[RunFolder]) -> None:
        """Take runs away: first out of sight and out of the pages, then from the disk. Raises OSError, ReportFailed."""
        with self._hidden.room() as room:
            with self._hidden.locked(), aborts.deferred():
                for number, folder in enumerate(folders):
                    # Another command may delete the same.
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(self.root / folder.path, room / str(number))
                for folder in folders:
                    self._remove_empty(folder)
            self.link(folders)

    def _make_parents(self, folder: RunFolder) -> list[Path]:
        made, parent = [], self.root
        for part in folder.parts[:-1]:
            parent = parent / part
            with contextlib.suppress(FileExistsError):
                parent.mkdir(mode=0o755)
                parent.chmod(0o755)
                made.append(parent)
            if not stat.S_ISDIR(parent.lstat().st_mode):
                raise ReportFailed(
                    f"{parent} is a link or no folder.", next_step="find out who made it, and put a folder there."
                )
        return made

    def _remove_empty(self, folder: RunFolder) -> None:
        """Folders above in which nothing but our page is left."""
        for parts in folder.parents():
            path = self.root.joinpath(*parts)
            if not parts or not path.is_dir() or os.listdir(path) not in ([], [INDEX]):
                return
            with contextlib.suppress(FileNotFoundError):
                (path / INDEX).unlink()
            path.rmdir()
