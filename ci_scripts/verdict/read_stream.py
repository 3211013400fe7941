"""Read a subunit stream: v1 or v2 or both, plain or gzip, whole or damaged, within bounds of memory.

Whatever the bytes are, nothing is raised: what is readable is kept, and what is not is said in ``problems``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ci_scripts.verdict.byte_source import ByteSource, blocks_of
from ci_scripts.verdict.outcomes import OutcomeCollector, TestOutcome
from ci_scripts.verdict.subunit_v1 import LINE_LIMIT, TIME, LineReader
from ci_scripts.verdict.subunit_v2 import SIGNATURE, PacketEvents, PacketFinder
from ci_scripts.verdict.untrusted_file import open_regular

MAX_STREAM = 1024 * 1024 * 1024
MAX_LINES = 3_000_000
MAX_PROBLEMS = 50
SAMPLE = 120


@dataclass
class StreamContent:
    """What a stream holds.

    ``format`` is v1, v2, v1+v2 or none. ``tests`` has every outcome in the order in which tests ended; a test
    that ran twice is there twice. ``truncated`` is true where the stream ends within something or a bound cut
    it. ``bytes`` counts the content after decompression.
    """

    format: str = "none"
    tests: list[TestOutcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    truncated: bool = False
    bytes: int = 0


def read_stream(path: Path, *, inside: Path | None = None) -> StreamContent:
    """Read the stream of a file.

    ``inside`` is a trusted folder: no part of the path below it may be a link. A file that is missing or
    cannot be opened gives a content without tests and a problem. Never raises on account of the file.

    Outcomes: xfail counts as passed and uxsuccess as failed. A test that was started and has no end is
    ``incomplete`` (python-subunit's tools count it as an error). Damage is never a failed test, unlike
    python-subunit's ``subunit.parser``: it would blame a change for a broken disk.
    """
    try:
        with open_regular(path, inside) as stream:
            reading = _Reading()
            reading.read(ByteSource(blocks_of(stream, MAX_STREAM, reading.stream_damaged)))
            return reading.content
    except OSError as error:
        return StreamContent(problems=[f"{path.name}: {error.strerror or error}"])


class _Reading:
    def __init__(self) -> None:
        self.content = StreamContent()
        self._problems: Counter[str] = Counter()
        self._noise_lines = 0
        self._stray = 0
        self._noise_sample = b""
        self._lost = False

    def stream_damaged(self, problem: str) -> None:
        self.content.truncated = True
        self._report(problem)

    def _report(self, problem: str) -> None:
        if problem in self._problems or len(self._problems) < MAX_PROBLEMS:
            self._problems[problem] += 1

    def read(self, source: ByteSource) -> None:
        collector = OutcomeCollector(self._report)
        lines = LineReader(source, collector, self._report)
        packets = PacketFinder(source)
        events = PacketEvents(collector, self._report)
        formats = set()
        left = MAX_LINES
        while source.peek(1):
            length = packets.length() if source.peek(1) == SIGNATURE else 0
            if length:
                formats.add("v2")
                self._lost = False
                events.feed(source.take(length))
                continue
            if source.peek(1) == SIGNATURE:
                self._damage(source)
                continue
            if left == 0:
                self.stream_damaged(f"the stream has more than {MAX_LINES} lines; the rest was not read")
                break
            left -= 1
            line = source.take(_length_to_packet(source, packets))
            if self._take_line(lines, line):
                formats.add("v1")
        self.content.bytes = source.offset
        begun = collector.end_of_stream()
        self.content.truncated |= packets.cut or lines.cut or collector.full or begun > 0
        self.content.tests = collector.outcomes
        self.content.format = "+".join(sorted(formats)) or "none"
        self._conclude(packets.cut or lines.cut)

    def _take_line(self, lines: LineReader, line: bytes) -> bool:
        # The inside of a damaged packet can hold any text; a time is what every v1 stream of stestr has.
        if self._lost and TIME.match(line):
            self._lost = False
        if not self._lost and lines.line(line):
            return True
        if line.strip():
            self._noise_lines += 1
            self._noise_sample = self._noise_sample or line.strip()[:SAMPLE]
        return False

    def _damage(self, source: ByteSource) -> None:
        header = source.peek(2)
        if len(header) == 2 and header[1] & 0xF0 == 0x20:
            if not self._lost:
                self._report(f"a packet is damaged at byte {source.offset}")
            self._lost = True
        self._stray += len(source.take(1))

    def _conclude(self, cut: bool) -> None:
        if not self.content.bytes and not self.content.truncated:
            self._report("the stream is empty")
        if cut:
            self._report("the stream ends in the middle of a packet or of a test's details")
        if self._stray:
            self._report(f"{self._stray} bytes look like the start of a packet and are none")
        if self._noise_lines:
            sample = ascii(self._noise_sample.decode("utf-8", "replace"))
            self._report(f"{self._noise_lines} lines are not subunit, the first: {sample}")
        runs = Counter(test.id for test in self.content.tests)
        repeated = [test_id for test_id, count in runs.items() if count > 1]
        if repeated:
            first = ascii(repeated[0][:SAMPLE])
            self._report(f"{len(repeated)} tests have more than one outcome, the first: {first}")
        for problem, count in self._problems.items():
            self.content.problems.append(problem if count == 1 else f"{problem} ({count} times)")


def _length_to_packet(source: ByteSource, packets: PacketFinder) -> int:
    """Length of the next line, or of its part before a packet that begins within it."""
    length = source.line_length(LINE_LIMIT)
    line = source.peek(length)
    at = line.find(SIGNATURE, 1)
    while at >= 0:
        if packets.length(at):
            return at
        at = line.find(SIGNATURE, at + 1)
    return length
