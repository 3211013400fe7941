"""The content of one published file: text only, masked, with head and tail where it is too large, compressed."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, BinaryIO, cast

from ci_scripts.publishing.masking import Mask
from ci_scripts.verdict.byte_source import BLOCK, GZIP_MAGIC, blocks_of

COMPRESSION = 6
# A log that compresses better than this is more likely a bomb.
UNPACKED_TIMES = 20
LARGEST_TAIL = 64 * 1024 * 1024
_ODD = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f]")
MOST_ODD = 0.05


class NotText(Exception):
    """The file does not look like text to a reader."""


@dataclass(frozen=True)
class Source:
    """An open file of ``size`` bytes; what is written to it meanwhile is not read. ``heading`` goes before its text."""

    stream: BinaryIO
    size: int
    heading: str = ""


@dataclass(frozen=True)
class Written:
    """``size``: bytes on disk; ``text``: bytes of text in it; ``left_out``: bytes of the file that are not in it."""

    size: int
    text: int
    left_out: int
    problems: tuple[str, ...] = ()


def write_text(sources: Sequence[Source], target: Path, *, limit: int, mask: Mask, compress: bool = True) -> Written:
    """Write the texts of ``sources`` to the new file ``target``: at most ``limit`` bytes, of each half head, half tail.

    A gzip file is published by what is in it. Terminal escapes stay: a browser shows them, nothing obeys them.

    Raises NotText where none is text (then there is no ``target``), and OSError.
    """
    problems: list[str] = []
    parts: list[Iterable[bytes | _Gap]] = []
    for source in sources:
        with contextlib.suppress(NotText):
            found = _parts(source, max(limit // len(sources), 2), mask, problems)
            parts += [[source.heading.encode()], found] if source.heading else [found]
    if not parts:
        raise NotText
    with open(target, "xb") as file:
        output: IO[bytes] = file
        if compress:
            # No name and no time in the header: the same text gives the same file.
            output = cast(IO[bytes], gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0))
        text, left_out = _written(output, chain.from_iterable(parts))
        if compress:
            output.close()
        finish(file)
        return Written(os.fstat(file.fileno()).st_size, text, left_out, tuple(problems))


def _parts(source: Source, limit: int, mask: Mask, problems: list[str]) -> Iterator[bytes | _Gap]:
    """The text of one file as it is read. Raises NotText at once, OSError at once or later."""
    first = source.stream.read(min(BLOCK, source.size))
    source.stream.seek(0)
    if first.startswith(GZIP_MAGIC):
        blocks = blocks_of(source.stream, limit * UNPACKED_TIMES, problems.append)
        first = next(blocks, b"")
        parts = _of_unknown_length(chain([first], blocks), limit, mask)
    else:
        parts = _of_file(source, limit, mask)
    if not looks_like_text(first):
        raise NotText
    return parts


def write_bytes(data: bytes, target: Path, *, compress: bool = False) -> Written:
    """Write a file of ours as it is. Raises OSError."""
    with open(target, "xb") as file:
        file.write(gzip.compress(data, COMPRESSION, mtime=0) if compress else data)
        finish(file)
        return Written(os.fstat(file.fileno()).st_size, len(data), 0)


def finish(file: IO[bytes]) -> None:
    """All of it on disk, and readable for the web server whatever our umask is."""
    file.flush()
    os.fchmod(file.fileno(), 0o644)
    os.fsync(file.fileno())


def looks_like_text(first: bytes) -> bool:
    """Whether the beginning of a file is text: few control characters, and mostly UTF-8 or one byte per letter."""
    if b"\0" in first:
        return False
    if first and len(_ODD.findall(first)) > MOST_ODD * len(first):
        return False
    broken = first.decode("utf-8", "replace").count("\ufffd")
    return broken <= 0.3 * len(first)


def note_of(left_out: int) -> bytes:
    """The line that stands for what was left out in the middle of a file."""
    return f"\n[... {left_out} bytes are left out here: the file is too large to be published whole ...]\n".encode()


@dataclass(frozen=True)
class _Gap:
    count: int


def _written(output: IO[bytes], parts: Iterable[bytes | _Gap]) -> tuple[int, int]:
    text = left_out = 0
    for part in parts:
        if isinstance(part, _Gap):
            left_out += part.count
            output.write(note_of(part.count))
        else:
            text += len(part)
            output.write(part)
    return text, left_out


def _of_file(source: Source, limit: int, mask: Mask) -> Iterator[bytes | _Gap]:
    if source.size <= limit:
        for _, piece, _ in mask.pieces(_blocks(source.stream, 0, source.size)):
            yield piece
        return
    head, tail = limit - limit // 2, source.size - limit // 2
    # Values that lie across a cut are looked for as a whole, so that no half of one is shown.
    yield from _before(mask.pieces(_blocks(source.stream, 0, min(head + mask.longest, source.size))), head)
    yield _Gap(tail - head)
    start = max(0, tail - mask.longest)
    yield from _after(mask.pieces(_blocks(source.stream, start, source.size)), tail - start)


def _of_unknown_length(blocks: Iterable[bytes], limit: int, mask: Mask) -> Iterator[bytes | _Gap]:
    """The head as it comes, the tail out of what is kept; masks are set before anything is cut."""
    room = limit - limit // 2
    keep = min(limit // 2, LARGEST_TAIL)
    tail: deque[bytes] = deque()
    held = dropped = 0
    for _, piece, masked in mask.pieces(blocks):
        if room > 0:
            yield piece[:room] if not masked else piece
            rest = piece[room:] if not masked else b""
            room -= len(piece)
        else:
            rest = piece
        if rest:
            tail.append(rest)
            held += len(rest)
        while tail and held - len(tail[0]) >= keep:
            dropped += len(tail[0])
            held -= len(tail.popleft())
    if dropped:
        yield _Gap(dropped)
    yield from tail


def _before(pieces: Iterable[tuple[int, bytes, bool]], end: int) -> Iterator[bytes]:
    place = 0
    for count, piece, masked in pieces:
        if place >= end:
            return
        yield piece if masked else piece[: end - place]
        place += count


def _after(pieces: Iterable[tuple[int, bytes, bool]], start: int) -> Iterator[bytes]:
    place = 0
    for count, piece, masked in pieces:
        if place + count > start:
            yield piece if masked else piece[max(0, start - place) :]
        place += count


def _blocks(stream: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    stream.seek(start)
    left = end - start
    while left > 0 and (block := stream.read(min(BLOCK, left))):
        left -= len(block)
        yield block
