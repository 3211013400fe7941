"""Signatures in the lines of one stream, which comes in blocks of any size and is never held as a whole."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

from ci_scripts.untrusted_words import without_control_characters
from ci_scripts.verdict.line_patterns import LinePatterns
from ci_scripts.verdict.signatures import Signature

CHUNK = 1024 * 1024
# Of a longer line only so much is looked at.
LONGEST_LINE = 256 * 1024
# A signature is counted so often in one stream. After so many lines that tell nothing new, it is looked for no more.
MOST_COUNTED = 200
MOST_IN_VAIN = 500
SHOWN = 300
BEFORE_MATCH = 100
_ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_CONTINUATION = bytes(range(0x80, 0xC0))
_TIME = re.compile(
    rb"\[?(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?: ?(Z|[+-]\d\d:?\d\d))?(?![0-9.:,+-])", re.ASCII
)


@dataclass
class FirstSeen:
    """Where a signature was first seen in a stream: line (from 1), its bytes, the match's start in them.

    ``count``: in how many lines it was seen, at most ``MOST_COUNTED``.
    """

    signature: Signature
    line: int
    bytes: bytes
    start: int
    count: int = 1

    @property
    def time(self) -> str | None:
        """As `time_of`."""
        return time_of(self.bytes)

    @property
    def text(self) -> str:
        """The line, or the part around the match, in at most 300 characters without control characters."""
        begin = max(0, self.start - BEFORE_MATCH) if len(self.bytes) > SHOWN else 0
        # Four bytes for a character at most, and some for escape sequences.
        part = self.bytes[begin : begin + 8 * SHOWN]
        if begin:
            part = part.lstrip(_CONTINUATION)
        text = _ANSI.sub(b"", part).decode("utf-8", "replace").replace("\r", " ")
        text = without_control_characters(text).strip()
        return ("... " + text if begin else text)[:SHOWN]


@dataclass
class LineScan:
    """Looks for signatures in the lines of one stream, fed in blocks.

    What is found does not depend on the blocks, nor on ``chunk``, the bytes that are looked at together. Of a line only
    the first ``longest`` bytes are looked at.
    """

    signatures: tuple[Signature, ...]
    chunk: int = CHUNK
    longest: int = LONGEST_LINE
    _found: dict[str, FirstSeen] = field(default_factory=dict)
    _buffer: bytearray = field(default_factory=bytearray)
    _line: int = 1
    _in_long_line: bool = False
    _in_vain: int = 0

    def __post_init__(self) -> None:
        self._wanted = self.signatures
        self._patterns = _patterns_of(self._wanted)

    def feed(self, block: bytes) -> bool:
        """Take the next bytes; False when every signature was seen so often that nothing is left to look for."""
        if self._in_long_line:
            end = block.find(b"\n")
            if end < 0:
                return True
            block = block[end + 1 :]
            self._line += 1
            self._in_long_line = False
        self._buffer += block
        if len(self._buffer) >= self.chunk:
            end = self._buffer.rfind(b"\n") + 1
            self._look_at(end)
            del self._buffer[:end]
            if len(self._buffer) > self.longest:
                self._look_at_long(0)
                self._buffer.clear()
                self._in_long_line = True
        return bool(self._wanted)

    def finish(self) -> list[FirstSeen]:
        """What was found, once the last block was fed."""
        self._look_at(len(self._buffer))
        self._buffer.clear()
        return list(self._found.values())

    def _look_at(self, end: int) -> None:
        """Look at the whole lines that ``_buffer[:end]`` is."""
        buffer = self._buffer
        begin = counted = 0
        while begin < end and self._wanted:
            place = self._patterns.first_place(buffer, begin, end)
            if place is None:
                break
            begin = max(begin, buffer.rfind(b"\n", begin, place) + 1)
            self._line += buffer.count(b"\n", counted, begin)
            counted = begin
            stop = buffer.find(b"\n", place, end)
            stop = end if stop < 0 else stop
            if stop - begin > self.longest:
                self._look_at_long(begin)
            else:
                line = bytes(buffer[begin:stop])
                self._seen(self._patterns.in_line(line), line)
            begin = stop + 1
        self._line += buffer.count(b"\n", counted, end)

    def _look_at_long(self, begin: int) -> None:
        # One byte more than is looked at, so that $ does not match where the line is only cut.
        part = bytes(self._buffer[begin : begin + self.longest + 1])
        if self._wanted and self._patterns.first_place(part, 0, self.longest) is not None:
            self._seen(self._patterns.in_part(part, self.longest), part)

    def _seen(self, indices: Sequence[int], line: bytes) -> None:
        in_vain = True
        for index in indices:
            entry = self._wanted[index]
            known = self._found.get(entry.id)
            if known is None:
                shown_whole = len(line) <= SHOWN
                start = 0 if shown_whole else self._patterns.start_in(line, min(len(line), self.longest), index) or 0
                self._found[entry.id] = FirstSeen(entry, self._line, line[: self.longest], start)
            elif known.count < MOST_COUNTED:
                known.count += 1
            else:
                continue
            in_vain = False
        self._in_vain += in_vain
        if self._in_vain >= MOST_IN_VAIN:
            self._want_less()

    def _want_less(self) -> None:
        # The rest of a log that has nothing but lines that match is then as cheap as any other log. New patterns cost
        # milliseconds, so they are not made for every signature alone.
        seen_enough = {name for name, known in self._found.items() if known.count >= MOST_COUNTED}
        self._wanted = tuple(entry for entry in self._wanted if entry.id not in seen_enough)
        self._in_vain = 0
        if self._wanted:
            self._patterns = _patterns_of(self._wanted)


@lru_cache(maxsize=4)
def _patterns_of(signatures: tuple[Signature, ...]) -> LinePatterns:
    return LinePatterns([signature.pattern for signature in signatures])


def time_of(line: bytes) -> str | None:
    """The date and time with which a line starts, ISO 8601; None where it starts with something else.

    In UTC with Z where the line names a zone; otherwise as the line has it, without a zone.
    """
    match = _TIME.match(line)
    if match is None:
        return None
    date, clock, fraction, zone = (part.decode() if part else "" for part in match.groups())
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}.{fraction[:6].ljust(6, '0')}{zone}")
        if moment.tzinfo is None:
            return moment.isoformat(timespec="milliseconds")
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None
