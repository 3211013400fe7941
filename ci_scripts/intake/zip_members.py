"""The members of a zip file, by its list of members. Half a copy has none: see zip_pieces.py."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO

from ci_scripts.intake.expand import Allowance
from ci_scripts.intake.members import CHUNK, FILE, FOLDER, Member, MemberUnreadable, SourceCut
from ci_scripts.intake.zip_pieces import METHODS, members_one_by_one

LOCAL_HEADER = 30
KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


def zip_members(stream: BinaryIO, allowance: Allowance) -> Iterator[Member]:
    """The members in the order of the file's list.

    Raises SourceCut where there is no list (after the members that were found without it), where the list is too
    large, or where members overlap, as they do in some compression bombs.
    """
    bounded = _Bounded(stream, allowance.limits.directory)
    try:
        archive = zipfile.ZipFile(bounded)
    except zipfile.BadZipFile:
        stream.seek(0)
        yield from members_one_by_one(stream, allowance)
        return
    except (*UNREADABLE, OverflowError) as error:
        raise SourceCut(f"its list of members cannot be read: {error}") from error
    with archive:
        _require_apart(archive)
        for info in archive.infolist():
            allowance.member()
            yield from _member(archive, info, allowance)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, allowance: Allowance) -> Iterator[Member]:
    # Not filename: zipfile cuts that at a NUL.
    name, size = info.orig_filename, info.file_size
    kind = KINDS.get(stat.S_IFMT(info.external_attr >> 16), FOLDER if name.endswith("/") else FILE)
    if info.flag_bits & 0x1:
        kind = "encrypted"
    elif info.compress_type not in METHODS:
        kind = "compressed in a way that is not read"
    if kind != FILE:
        yield Member(name, kind, size)
        return
    content = _Content(archive, info, allowance)
    try:
        yield Member(name, kind, size, content.read, content.skip)
    finally:
        content.close()


class _Content:
    """The bytes of one member; opened when they are first asked for."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, allowance: Allowance) -> None:
        self._archive, self._info, self._allowance = archive, info, allowance
        self._stream: IO[bytes] | None = None

    def read(self, count: int) -> bytes:
        try:
            if self._stream is None:
                self._stream = self._archive.open(self._info)
            data = self._stream.read(min(count, CHUNK))
        except (*UNREADABLE, OSError) as error:
            raise MemberUnreadable(f"is damaged: {error}") from error
        self._allowance.expanded(len(data))
        return data

    def skip(self, count: int) -> None:
        while count > 0 and (data := self.read(count)):
            count -= len(data)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class _Bounded(io.RawIOBase):
    """A file of which at most ``limit`` bytes are read at once: zipfile reads the whole list of members."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._stream, self._limit = stream, limit

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def read(self, count: int = -1) -> bytes:
        if count is None or count < 0:
            # zipfile reads the comment at the end of the file so: 64 KiB at most.
            data = self._stream.read(self._limit + 1)
            count = len(data)
        else:
            data = self._stream.read(min(count, self._limit + 1))
        if count > self._limit:
            raise ValueError(f"it is larger than {self._limit} bytes")
        return data


def _require_apart(archive: zipfile.ZipFile) -> None:
    """Raises SourceCut where the bytes of one member are those of another, too."""
    places = sorted((info.header_offset, info.compress_size) for info in archive.infolist())
    ends = [start for start, _ in places[1:]] + [archive.start_dir]
    if any(start + LOCAL_HEADER + size > end for (start, size), end in zip(places, ends, strict=False)):
        raise SourceCut("its members overlap, as in a compression bomb")
