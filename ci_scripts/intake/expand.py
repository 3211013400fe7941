"""The bytes of a compressed file, a bounded piece at a time: plain, gzip, bzip2 or xz."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ci_scripts.intake.limits import Limits
from ci_scripts.intake.members import CHUNK, SourceCut

PIECE = 64 * 1024
# xz may ask its reader for a dictionary of 4 GiB; xz -9 makes one of 64 MiB.
XZ_MEMORY = 128 * 1024 * 1024
GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
WORDS = {GZIP: "gzip", BZIP2: "bzip2", XZ: "xz"}


class Allowance:
    """What a source of ``size`` bytes may still give, and until when. ``clock`` counts seconds."""

    def __init__(self, limits: Limits, size: int, clock: Callable[[], float]) -> None:
        self.limits = limits
        self._expanded = 0
        self._most = min(limits.expanded, limits.ratio_free + limits.ratio * size)
        self._clock = clock
        self._end = clock() + limits.seconds
        self._members = 0

    def member(self) -> None:
        """One more name was seen. Raises SourceCut beyond the limit, or when the time is up."""
        self._members += 1
        if self._members > self.limits.members:
            raise SourceCut(f"it holds more than {self.limits.members} names")
        self.time()

    def expanded(self, count: int) -> None:
        """So many bytes came out of the archive. Raises SourceCut for a compression bomb, or when the time is up."""
        self._expanded += count
        if self._expanded > self._most:
            raise SourceCut(f"it expands to more than {self._most} bytes, as a compression bomb does")
        self.time()

    def time(self) -> None:
        """Raises SourceCut when the time is up."""
        if self._clock() > self._end:
            raise SourceCut(f"it took longer than {self.limits.seconds:.0f} s")


class Expanded:
    """Reads from ``stream`` and expands what is compressed. ``read`` raises SourceCut where that is damaged or cut."""

    def __init__(self, stream: BinaryIO, allowance: Allowance) -> None:
        self._pieces = _pieces(stream, allowance)
        self._left = b""

    def read(self, count: int) -> bytes:
        """At most ``count`` bytes, at least one before the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = piece
        data, self._left = self._left[:count], self._left[count:]
        return data

    def exactly(self, count: int) -> bytes:
        """``count`` bytes, fewer only at the end."""
        data = bytearray()
        while len(data) < count and (piece := self.read(count - len(data))):
            data += piece
        return bytes(data)


def _pieces(stream: BinaryIO, allowance: Allowance) -> Iterator[bytes]:
    first = stream.read(PIECE)
    magic = next((magic for magic in WORDS if first.startswith(magic)), None)
    for piece in _plain(first, stream) if magic is None else _expanded(first, stream, magic):
        # Afterwards: a piece that goes beyond is bounded, and what comes before the bomb in it is not lost.
        yield piece
        allowance.expanded(len(piece))


def _plain(first: bytes, stream: BinaryIO) -> Iterator[bytes]:
    while first:
        yield first
        first = stream.read(PIECE)


def _expanded(data: bytes, stream: BinaryIO, magic: bytes) -> Iterator[bytes]:
    word = WORDS[magic]
    decoder = _Decoder(magic)
    try:
        while True:
            yield from decoder.pieces(data)
            data = decoder.rest() if decoder.eof else b""
            data = data or stream.read(PIECE)
            if decoder.eof:
                # Several may stand one after the other; zeros and other bytes after the last mean nothing.
                if not data.startswith(magic[: len(data)]) or not data:
                    return
                decoder = _Decoder(magic)
            elif not data:
                raise SourceCut(f"the {word} file is cut")
    except (zlib.error, lzma.LZMAError, ValueError, EOFError) as error:
        raise SourceCut(f"the {word} file is damaged: {error}") from error
    except OSError as error:
        # bz2 says so, without a number; a disk that cannot be read has one.
        raise SourceCut(f"the {word} file cannot be read: {error.strerror or error}") from error


class _Decoder:
    """zlib's, bz2's and lzma's decoders say in different ways how far they are."""

    def __init__(self, magic: bytes) -> None:
        self._decoder: Any
        if magic == GZIP:
            self._decoder = zlib.decompressobj(wbits=31)
        elif magic == BZIP2:
            self._decoder = bz2.BZ2Decompressor()
        else:
            self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        self._is_zlib = magic == GZIP

    @property
    def eof(self) -> bool:
        return bool(self._decoder.eof)

    def rest(self) -> bytes:
        """What came after the end."""
        return bytes(self._decoder.unused_data)

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """All that ``data`` expands to, in pieces of bounded size."""
        while True:
            piece = self._decoder.decompress(data, CHUNK)
            if piece:
                yield piece
            data = self._decoder.unconsumed_tail if self._is_zlib else b""
            if self._decoder.eof or (self._needs_input(data) and len(piece) < CHUNK):
                return

    def _needs_input(self, data: bytes) -> bool:
        return not data if self._is_zlib else bool(self._decoder.needs_input)
