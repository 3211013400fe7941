"""Bytes of a stream, plain or gzip, with looking ahead, putting back, and bounds on everything."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO

BLOCK = 64 * 1024
GZIP_MAGIC = b"\x1f\x8b"


def blocks_of(stream: BinaryIO, limit: int, report: Callable[[str], None]) -> Iterator[bytes]:
    """Blocks of the (decompressed) content, at most ``limit`` bytes in all.

    What is damaged, cut or too large ends the blocks and is told to ``report``; nothing is raised.
    """
    left = limit
    for block in _guarded(stream, report):
        if len(block) > left:
            yield block[:left]
            report(f"the stream is larger than {limit} bytes; the rest was not read")
            return
        left -= len(block)
        yield block


def _guarded(stream: BinaryIO, report: Callable[[str], None]) -> Iterator[bytes]:
    try:
        first = stream.read(BLOCK)
        if first.startswith(GZIP_MAGIC):
            yield from _decompressed(first, stream, report)
            return
        while first:
            yield first
            first = stream.read(BLOCK)
    except OSError as error:
        report(f"the stream could not be read to its end: {error.strerror or error}")


def _decompressed(first: bytes, stream: BinaryIO, report: Callable[[str], None]) -> Iterator[bytes]:
    # zlib and not GzipFile: it gives up every byte before the damage, GzipFile loses its last buffer.
    decoder = zlib.decompressobj(wbits=31)
    data = first
    try:
        while data:
            block = decoder.decompress(data, BLOCK)
            if block:
                yield block
            data = decoder.unconsumed_tail
            if decoder.eof:
                data = decoder.unused_data or stream.read(BLOCK)
                if not data:
                    return
                if not data.startswith(GZIP_MAGIC[: len(data)]):
                    report("the gzip file is followed by other bytes, which were not read")
                    return
                decoder = zlib.decompressobj(wbits=31)
            elif not data:
                data = stream.read(BLOCK)
        # A full last block can leave output inside the decoder when all input is used.
        rest = decoder.decompress(b"", BLOCK)
        while rest:
            yield rest
            rest = decoder.decompress(decoder.unconsumed_tail, BLOCK)
        if not decoder.eof:
            report("the gzip file is cut")
    except zlib.error as error:
        report(f"the gzip file is damaged: {error}")


class ByteSource:
    """Reads blocks; looks ahead as far as asked; takes back what was read too far."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._buffer = bytearray()
        self.offset = 0

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            block = next(self._blocks, None)
            if block is None:
                return
            self._buffer += block

    def peek(self, count: int, at: int = 0) -> bytes:
        """Up to ``count`` bytes from ``at`` bytes ahead, without taking them."""
        self._fill(at + count)
        return bytes(self._buffer[at : at + count])

    def take(self, count: int) -> bytes:
        """Up to ``count`` bytes; fewer only at the end."""
        data = self.peek(count)
        del self._buffer[: len(data)]
        self.offset += len(data)
        return data

    def line_length(self, limit: int) -> int:
        """Length of the next line with its end, at most ``limit``; 0 at the end of the stream."""
        searched = 0
        while True:
            found = self._buffer.find(b"\n", searched, limit)
            if found >= 0:
                return found + 1
            searched = len(self._buffer)
            if searched >= limit:
                return limit
            self._fill(searched + 1)
            if len(self._buffer) == searched:
                return searched

    def put_back(self, data: bytes) -> None:
        """Give back bytes that were taken last."""
        self._buffer[:0] = data
        self.offset -= len(data)
