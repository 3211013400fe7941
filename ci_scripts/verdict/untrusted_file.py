"""Opening and reading files that a node which ran untrusted code may have written.

Such a node can leave a link to /etc/passwd, a FIFO that blocks its reader for ever, or a file of any size.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

MAX_JSON_BYTES = 16 * 1024 * 1024


class UnsafeFile(OSError):
    """The path leads through a link, out of its folder, or to something that is no regular file."""


def open_regular(path: Path, inside: Path | None = None) -> BinaryIO:
    """Open a regular file for reading and follow no link.

    ``inside`` is a folder that is trusted itself; no part of the path below it may be a link. Without it
    only the last part is checked.

    Raises:
        UnsafeFile: the path is a link, leads through one, leaves ``inside`` or is no regular file.
        OSError: the file is missing or cannot be read.
    """
    if inside is None:
        return _as_regular(os.open(path, _flags()), path)
    parts = _parts_below(path, inside)
    folder = os.open(inside, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, _flags() | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = below
        return _as_regular(os.open(parts[-1], _flags(), dir_fd=folder), path)
    finally:
        os.close(folder)


def read_text(path: Path, *, limit: int, inside: Path | None = None) -> tuple[str, bool]:
    """The first ``limit`` bytes of a file as text, and whether there was more.

    Bytes that are not UTF-8 become replacement characters. Raises as ``open_regular``.
    """
    with open_regular(path, inside) as stream:
        data = stream.read(limit + 1)
    return data[:limit].decode("utf-8", "replace"), len(data) > limit


def read_object(path: Path, *, inside: Path | None = None) -> dict[str, Any]:
    """A JSON object from a file of at most ``MAX_JSON_BYTES``.

    Raises:
        ValueError: too large, no JSON, no object, or nested too deeply.
        OSError: as ``open_regular``.
    """
    with open_regular(path, inside) as stream:
        data = stream.read(MAX_JSON_BYTES + 1)
    if len(data) > MAX_JSON_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_JSON_BYTES} bytes")
    try:
        content = json.loads(data)
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return content


def _flags() -> int:
    # O_NONBLOCK: opening a FIFO for reading would wait for a writer.
    return os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _parts_below(path: Path, inside: Path) -> tuple[str, ...]:
    try:
        parts = path.relative_to(inside).parts
    except ValueError as error:
        raise UnsafeFile(f"{path} is not inside {inside}") from error
    if not parts or ".." in parts:
        raise UnsafeFile(f"{path} is not inside {inside}")
    return parts


def _as_regular(descriptor: int, path: Path) -> BinaryIO:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFile(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")
