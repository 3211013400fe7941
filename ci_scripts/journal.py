"""A journal: a file of JSON lines that is only appended to, each line on the disk before the next thing is done.

It survives a kill at any point: a last line that was cut off is left out when it is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError, InfrastructureError

SCHEMA = 1
LARGEST = 256 * 1024 * 1024
Line = dict[str, Any]


class Journal:
    """The journal in the file ``path``. Reading needs nothing; before the first `add` its folder is made."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[Line]:
        """Every whole line, oldest first; none where there is no file.

        Raises InfrastructureError for a file that cannot be read, or that a newer version wrote.
        """
        try:
            with self.path.open("rb") as file:
                raw = file.read(LARGEST)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InfrastructureError(f"the journal {self.path} cannot be read: {error.strerror}.") from error
        lines = [line for line in map(_parsed, raw.split(b"\n")) if line is not None]
        if lines and lines[0].get("schema") != SCHEMA:
            raise InfrastructureError(
                f"the journal {self.path} has schema {lines[0].get('schema')!r}; this version reads {SCHEMA}.",
                next_step="use the version of openstack-driver-ci that wrote it, or a newer one.",
            )
        return lines

    def add(self, line: Mapping[str, Any]) -> None:
        """Append a line; it is on the disk when this returns. Raises InfrastructureError."""
        data = json.dumps(line, ensure_ascii=True).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                # A kill may have left half a line; what comes now must not become a part of it.
                if file.tell() and not _ends_with_line_feed(file.fileno(), file.tell()):
                    data = b"\n" + data
                file.write(data + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise InfrastructureError(
                f"the journal {self.path} cannot be written: {error.strerror}.",
                next_step="make room, or name another cache_dir, and run the same command again.",
            ) from error


@contextlib.contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of ``folder``, so that ``what`` is done by one process at a time. It ends with the process.

    Raises ConfigurationError where another process holds it, or the folder cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be used: {error.strerror}.", next_step="name another cache_dir in ci.yaml."
        ) from error
    with open(number, "r+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = handle.read(20).strip() or "unknown"
            raise ConfigurationError(
                f"another {what} is under way (process {holder}).", next_step="wait for it, or stop it, and try again."
            ) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def _parsed(raw: bytes) -> Line | None:
    if not raw.strip():
        return None
    try:
        line = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) else None


def _ends_with_line_feed(number: int, size: int) -> bool:
    return os.pread(number, 1, size - 1) == b"\n"
