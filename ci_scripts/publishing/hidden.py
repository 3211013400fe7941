"""A hidden folder in which things are made ready or thrown away; what a killed command left there is cleaned."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import ReportFailed

NAME = ".publishing"
LOCK = "lock"
SECONDS_BETWEEN_TRIES = 0.1


class HiddenFolder:
    """``.publishing`` in a folder. It is ours alone: mode 0700, and no link."""

    def __init__(self, above: Path, timeout: float) -> None:
        self.path = above / NAME
        self._timeout = timeout

    @contextlib.contextmanager
    def room(self) -> Iterator[Path]:
        """An empty folder of its own; gone in the end, whatever happens. Raises OSError, ReportFailed."""
        with contextlib.ExitStack() as stack:
            with self.locked():
                self._clean()
                room = self.path / secrets.token_hex(8)
                room.mkdir(mode=0o700)
                stack.callback(_discard, room)
                # The lock ends with this process, however that ends: a room without a holder is left over.
                lock = stack.enter_context(open(room / LOCK, "xb"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield room

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One at a time. Raises ReportFailed when others hold it for too long, OSError."""
        self._make()
        number = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + self._timeout
            while not _taken(number):
                if time.monotonic() > deadline:
                    raise ReportFailed(
                        f"another command has held {self.path / LOCK} for {self._timeout:g} s.",
                        next_step="see what it does (fuser shows it), then run this again.",
                    )
                time.sleep(SECONDS_BETWEEN_TRIES)
            yield
        finally:
            os.close(number)

    def _make(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        found = self.path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise ReportFailed(
                f"{self.path} is a link, or belongs to somebody else.", next_step="find out who made it, delete it."
            )

    def _clean(self) -> None:
        """Delete rooms whose holder has died."""
        for room in self.path.iterdir():
            if room.name == LOCK:
                continue
            try:
                number = os.open(room / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError:
                _discard(room)
                continue
            try:
                if _taken(number):
                    _discard(room)
            finally:
                os.close(number)


def _taken(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _discard(room: Path) -> None:
    # rmtree follows no link, here by file descriptors (shutil.rmtree.avoids_symlink_attacks).
    with aborts.deferred():
        shutil.rmtree(room, ignore_errors=True)
