"""The members of a zip file whose end is missing: each member's own header says what follows it."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from ci_scripts.intake.expand import PIECE, Allowance
from ci_scripts.intake.members import CHUNK, FILE, FOLDER, Member, SourceCut
from ci_scripts.verdict.byte_source import ByteSource

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED, SIZE_FOLLOWS, UTF8 = 0x1, 0x8, 0x800
# APPNOTE.TXT 4.3.7: signature, version, flags, method, time, date, CRC-32, sizes, lengths of name and extra field.
LOCAL = struct.Struct("<4sHHHHHLLLHH")
LOCAL_MAGIC, DESCRIPTOR_MAGIC = b"PK\x03\x04", b"PK\x07\x08"
LIST_MAGIC = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06")
ZIP64 = 0xFFFFFFFF
CUT = "the zip file is cut: it has no list of its members"


def members_one_by_one(stream: BinaryIO, allowance: Allowance) -> Iterator[Member]:
    """The members that can be found from the start. Always raises SourceCut in the end: the list is missing."""
    source = ByteSource(iter(lambda: stream.read(PIECE), b""))
    first = True
    while source.peek(4) == LOCAL_MAGIC:
        first = False
        allowance.member()
        fields = LOCAL.unpack(source.take(LOCAL.size)) if len(source.peek(LOCAL.size)) == LOCAL.size else None
        if fields is None:
            raise SourceCut(CUT)
        _, _, flags, method, _, _, _, packed, size, name_length, extra_length = fields
        raw, extra = source.take(name_length), source.take(extra_length)
        if len(raw) < name_length or len(extra) < extra_length:
            raise SourceCut(CUT)
        name = raw.decode("utf-8", "surrogateescape") if flags & UTF8 else raw.decode("cp437")
        if flags & ENCRYPTED or method not in METHODS or (flags & SIZE_FOLLOWS and method == zipfile.ZIP_STORED):
            raise SourceCut(f"{CUT}, and a member cannot be passed over")
        if not flags & SIZE_FOLLOWS and ZIP64 in (packed, size):
            raise SourceCut(f"{CUT}, and a member is too large to be found without it")
        content = _Content(source, allowance, method, None if flags & SIZE_FOLLOWS else packed)
        yield Member(name, FOLDER if name.endswith("/") else FILE, None, content.read, content.skip)
        content.finish()
        if flags & SIZE_FOLLOWS:
            source.take(_length_of_descriptor(source))
    raise SourceCut("it is no zip file" if first else CUT)


class _Content:
    """The bytes of one member. ``packed`` is how many they are in the file; None where their end tells."""

    def __init__(self, source: ByteSource, allowance: Allowance, method: int, packed: int | None) -> None:
        self._source, self._allowance, self._left = source, allowance, packed
        self._decoder = zlib.decompressobj(wbits=-15) if method == zipfile.ZIP_DEFLATED else None
        self._waiting = b""

    def read(self, count: int) -> bytes:
        """As Member.read. A folder, or what is stored, has its bytes as they are."""
        data = self._stored(count) if self._decoder is None else self._deflated(self._decoder, count)
        self._allowance.expanded(len(data))
        return data

    def skip(self, count: int) -> None:
        """As Member.skip."""
        while count > 0 and (data := self.read(min(count, CHUNK))):
            count -= len(data)

    def finish(self) -> None:
        """Pass over what nobody read."""
        while self.read(CHUNK):
            pass
        if self._left:
            self._take(self._left)

    def _take(self, count: int) -> bytes:
        wanted = count if self._left is None else min(count, self._left)
        data = self._source.take(wanted)
        if self._left is not None:
            self._left -= len(data)
        if wanted and not data:
            raise SourceCut(CUT)
        return data

    def _stored(self, count: int) -> bytes:
        return self._take(min(count, CHUNK)) if self._left else b""

    def _deflated(self, decoder: zlib._Decompress, count: int) -> bytes:
        try:
            while not decoder.eof:
                given = self._waiting or (b"" if self._left == 0 else self._take(PIECE))
                data = decoder.decompress(given, min(count, CHUNK))
                self._waiting = decoder.unconsumed_tail
                if decoder.eof and self._left is None:
                    self._source.put_back(decoder.unused_data)
                if data:
                    return data
                if not given and not decoder.eof:
                    raise SourceCut("the zip file is damaged: a member is shorter than it says")
        except zlib.error as error:
            raise SourceCut(f"the zip file is damaged: {error}") from error
        return b""


def _length_of_descriptor(source: ByteSource) -> int:
    """CRC-32 and two sizes of 4 or 8 bytes, with or without a signature; what follows says which."""
    signed = source.peek(4) == DESCRIPTOR_MAGIC
    for length in (16, 24) if signed else (12, 20):
        following = source.peek(4, length)
        if following == LOCAL_MAGIC or following in LIST_MAGIC or not following:
            return length
    raise SourceCut("the zip file is damaged: it cannot be read beyond a member")
