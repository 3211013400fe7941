"""The members of a tar archive as a stream: nothing is kept of those before, every header is bounded.

tarfile's own reader remembers each member and reads extended headers of any size into memory.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from ci_scripts.intake.expand import Allowance, Expanded
from ci_scripts.intake.members import CHUNK, FILE, FOLDER, Member, SourceCut

BLOCK = 512
KINDS = {
    tarfile.REGTYPE: FILE,
    tarfile.AREGTYPE: FILE,
    tarfile.CONTTYPE: FILE,
    tarfile.DIRTYPE: FOLDER,
    tarfile.SYMTYPE: "a link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
WITHOUT_DATA = frozenset(kind for kind, word in KINDS.items() if word not in (FILE, "a sparse file"))
EXTENDED = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
CUT = "the archive is cut: it ends without its end mark"


def tar_members(source: Expanded, allowance: Allowance) -> Iterator[Member]:
    """The members in their order. Raises SourceCut where the archive ends too early, is damaged or goes too far."""
    reader = _Reader(source, allowance)
    while (member := reader.next()) is not None:
        yield member
    # The checksum of a compressed archive comes after its end mark.
    while source.read(CHUNK):
        pass


class _Reader:
    def __init__(self, source: Expanded, allowance: Allowance) -> None:
        self._source = source
        self._allowance = allowance
        # Bytes of the member's data, and of what fills its last block, that nobody has read yet.
        self._data = 0
        self._filling = 0
        self._first = True

    def next(self) -> Member | None:
        """The next member; None at the archive's end mark."""
        more: dict[str, str] = {}
        while True:
            self._pass(self._data + self._filling)
            self._data = self._filling = 0
            header = self._header()
            if header is None:
                return None
            self._allowance.member()
            if header.type in EXTENDED:
                more |= _records(self._extended(header.size))
            elif header.type == tarfile.XGLTYPE:
                self._extended(header.size)
            elif header.type in LONG:
                name = self._extended(header.size).partition(b"\0")[0].decode("utf-8", "surrogateescape")
                more |= {"path": name} if header.type == tarfile.GNUTYPE_LONGNAME else {}
            else:
                return self._member(header, more)

    def _member(self, header: tarfile.TarInfo, more: dict[str, str]) -> Member:
        kind = KINDS.get(header.type, "of an unknown kind")
        if any(key.startswith("GNU.sparse.") for key in more):
            kind = "a sparse file"
        size = _size(more.get("size")) if "size" in more else header.size
        if size < 0:
            raise SourceCut("the archive is damaged: a member's size is negative")
        if header.type == tarfile.GNUTYPE_SPARSE:
            self._sparse_headers(header)
        size = 0 if header.type in WITHOUT_DATA else size
        self._expect(size)
        return Member(more.get("path", header.name), kind, size, self._read, self._skip)

    def _header(self) -> tarfile.TarInfo | None:
        block = self._source.exactly(BLOCK)
        first, self._first = self._first, False
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            return None
        except tarfile.HeaderError as error:
            if first:
                raise SourceCut("it is no tar archive") from error
            raise SourceCut(CUT if len(block) < BLOCK else "the archive is damaged: a header is none") from error
        if header.size < 0:
            raise SourceCut("the archive is damaged: a member's size is negative")
        # frombuf takes the slash from a folder's name, and the block for the extra headers of old sparse files.
        header.chksum = block[482]
        return header

    def _extended(self, size: int) -> bytes:
        if size > self._allowance.limits.header:
            raise SourceCut(f"an extended header of {size} bytes is larger than {self._allowance.limits.header}")
        self._expect(size)
        data = self._source.exactly(size)
        self._data -= len(data)
        if len(data) < size:
            raise SourceCut(CUT)
        return data

    def _sparse_headers(self, header: tarfile.TarInfo) -> None:
        follows = header.chksum
        while follows:
            self._allowance.member()
            block = self._source.exactly(BLOCK)
            if len(block) < BLOCK:
                raise SourceCut(CUT)
            follows = block[504]

    def _expect(self, size: int) -> None:
        self._data, self._filling = size, -size % BLOCK

    def _read(self, count: int) -> bytes:
        data = self._source.read(min(count, self._data, CHUNK)) if self._data else b""
        if self._data and not data:
            raise SourceCut(CUT)
        self._data -= len(data)
        return data

    def _skip(self, count: int) -> None:
        count = min(count, self._data)
        self._data -= count
        self._pass(count)

    def _pass(self, count: int) -> None:
        while count:
            data = self._source.read(min(count, CHUNK))
            if not data:
                raise SourceCut(CUT)
            count -= len(data)


def _records(data: bytes) -> dict[str, str]:
    """The records of a pax header: path, size, and whether it is a sparse file; others are left out."""
    found = {}
    start = 0
    while start < len(data):
        blank = data.find(b" ", start, start + 11)
        digits = data[start:blank] if blank > start else b""
        # At least one byte is passed each time: the length of a record counts its own digits and the blank.
        end = start + int(digits) if digits.isdigit() else 0
        if not start < blank < end <= len(data):
            raise SourceCut("the archive is damaged: an extended header cannot be read")
        keyword, _, value = data[blank + 1 : end].removesuffix(b"\n").partition(b"=")
        if keyword in (b"path", b"size") or keyword.startswith(b"GNU.sparse."):
            found[keyword.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        start = end
    return found


def _size(text: str | None) -> int:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise SourceCut("the archive is damaged: a member's size is no number")
    return int(text)
