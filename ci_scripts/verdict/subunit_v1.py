"""Lines of subunit v1, the format that stestr stores.

python-subunit's ``TestProtocolServer`` is not used here: it keeps whole attachments in memory, raises on a
line it cannot read, and a chunk whose length is wrong costs it every test that follows. It is the reference
in the tests instead. Format: https://github.com/testing-cabal/subunit#version-1
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from ci_scripts.verdict.byte_source import BLOCK, ByteSource
from ci_scripts.verdict.outcomes import STATUS_OF, WORKER, OpenTest, OutcomeCollector

LINE_LIMIT = 64 * 1024
COMMAND = re.compile(
    rb"(test|testing|success|successful|failure|error|skip|xfail|uxsuccess|tags|time|progress)(:?)[ \t]+(.*)",
    re.DOTALL,
)
TIME = re.compile(rb"time: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?)\d*Z\r?\n?\Z")
RESTART = re.compile(rb"(?:test|testing): \S|time: \d{4}-\d\d-\d\d ")
AFTER = re.compile(rb"(?:(?:tags|time|test|testing|progress): |\Z)")
CHUNK = re.compile(rb"([0-9a-fA-F]{1,12})\r\n\Z")
# A writer makes one chunk of one attachment; more than this is a damaged length that would swallow the stream.
MAX_CHUNK = 64 * 1024 * 1024
# A block of details is read again, line by line, when its chunks are wrong: so many bytes of one, and of all.
REPLAY_BLOCK = 8 * 1024 * 1024
REPLAY_IN_ALL = 256 * 1024 * 1024


class BrokenDetails(Exception):
    """A block of details does not follow the format."""


class LineReader:
    """Takes lines that are commands; details are read from the source directly."""

    def __init__(self, source: ByteSource, collector: OutcomeCollector, report: Callable[[str], None]) -> None:
        self._source = source
        self._collector = collector
        self._report = report
        self._now: datetime | None = None
        self._tags: dict[str, None] = {}
        self._raw = bytearray()
        self._raw_complete = True
        self._replay_left = REPLAY_IN_ALL
        self.cut = False

    def line(self, line: bytes) -> bool:
        """Handle one line; False if it is no subunit."""
        match = COMMAND.match(line)
        if match is None:
            return False
        word, colon, rest = match.group(1).decode(), bool(match.group(2)), match.group(3).rstrip(b"\r\n")
        if word in ("test", "testing"):
            return self._start(_text(rest), colon)
        if word == "time":
            return self._time(line)
        if word == "tags":
            self._change_tags(_text(rest))
            return True
        if word == "progress":
            return colon
        return self._outcome(word, _text(rest))

    def _start(self, test_id: str, colon: bool) -> bool:
        key = (test_id, "")
        if key in self._collector.open and colon:
            self._collector.end(key, "incomplete", None, "the test was started again before it ended")
        worker = next((tag for tag in reversed(self._tags) if WORKER.match(tag)), None)
        test = self._collector.begin(key, self._now, worker)
        if test is not None:
            # "testing the connection" on a console looks like a start; only an outcome proves that it is.
            test.announced = colon
        return colon

    def _time(self, line: bytes) -> bool:
        match = TIME.match(line)
        try:
            # Colons and digits were checked; months and hours out of range are not.
            self._now = datetime.fromisoformat(match.group(1).decode() + "+00:00") if match else None
        except ValueError:
            self._now = None
        if self._now is None:
            self._report("a time cannot be read")
        return match is not None

    def _change_tags(self, tags: str) -> None:
        for tag in tags.split():
            if tag.startswith("-"):
                self._tags.pop(tag[1:], None)
            elif len(self._tags) < 100:
                self._tags[tag] = None

    def _outcome(self, word: str, label: str) -> bool:
        for suffix, read in (("", None), (" [ multipart", self._multipart), (" [", self._simple)):
            key = (label.removesuffix(suffix) if suffix else label, "")
            test = self._collector.open.get(key)
            if test is None or not label.endswith(suffix):
                continue
            whole = True
            if read is not None:
                whole = self._details(test, word, read)
            status = STATUS_OF[word]
            if not whole and status != "failed":
                # The word was said, but its report is cut: nobody knows what else would have come.
                self._collector.end(key, "incomplete", self._now, "the stream ends within its report")
            else:
                self._collector.end(key, status, self._now)
            return True
        return False

    def _details(self, test: OpenTest, word: str, read: Callable[[OpenTest, str], None]) -> bool:
        """Read details; False if the stream ends within them."""
        self._raw.clear()
        self._raw_complete = True
        try:
            read(test, word)
            return True
        except BrokenDetails:
            pass
        raw = bytes(self._raw)
        if not self._raw_complete or len(raw) > self._replay_left:
            self._report(f"the details of a test are damaged near byte {self._source.offset}")
            more = bool(self._source.peek(1))
            self.cut = self.cut or not more
            return more
        self._replay_left -= len(raw)
        self._source.put_back(raw)
        return self._salvage(test)

    def _salvage(self, test: OpenTest) -> bool:
        """Take the lines of damaged details up to their end or to where the stream starts anew."""
        start = self._source.offset
        lines = bytearray()
        while True:
            length = self._source.line_length(LINE_LIMIT)
            if not length:
                self.cut = True
                if not test.attachments:
                    self._collector.attach(test, "damaged details", bytes(lines[-LINE_LIMIT:]))
                return False
            line = self._source.peek(length)
            # A traceback can hold a line "]" of its own; the real one is followed by the next command.
            ended = line.rstrip(b"\r\n") == b"]" and AFTER.match(self._source.peek(16, length)) is not None
            if ended or RESTART.match(line):
                break
            lines += self._source.take(length)
            del lines[: -2 * LINE_LIMIT]
        if ended:
            self._source.take(length)
        self._report(f"the details of a test are damaged near byte {start}")
        test.attachments.clear()
        self._collector.attach(test, "damaged details", bytes(lines))
        return True

    def _take_line(self) -> bytes:
        line = self._remember(self._source.take(self._source.line_length(LINE_LIMIT)))
        if not line.endswith(b"\n"):
            raise BrokenDetails
        return line

    def _remember(self, data: bytes) -> bytes:
        if len(self._raw) + len(data) > REPLAY_BLOCK:
            self._raw.clear()
            self._raw_complete = False
        elif self._raw_complete:
            self._raw += data
        return data

    def _simple(self, test: OpenTest, word: str) -> None:
        name = {"skip": "reason"}.get(word, "traceback")
        while True:
            length = self._source.line_length(LINE_LIMIT)
            line = self._remember(self._source.take(length))
            if line in (b"]\n", b"]\r\n"):
                return
            if not line:
                raise BrokenDetails
            self._collector.attach(test, name, line[1:] if line.startswith(b" ]") else line)

    def _multipart(self, test: OpenTest, word: str) -> None:
        while True:
            line = self._take_line()
            if line == b"]\n":
                return
            field, _, mime = line.rstrip(b"\n").partition(b" ")
            if field.lower() != b"content-type:" or b"/" not in mime:
                raise BrokenDetails
            name = _text(self._take_line().rstrip(b"\n"))[:200]
            binary = not (mime.startswith(b"text/") or mime.startswith(b"application/json"))
            self._chunks(test, name, binary)

    def _chunks(self, test: OpenTest, name: str, binary: bool) -> None:
        while True:
            header = CHUNK.match(self._take_line())
            if header is None:
                raise BrokenDetails
            left = int(header.group(1), 16)
            if not left:
                return
            if left > MAX_CHUNK:
                raise BrokenDetails
            while left:
                data = self._remember(self._source.take(min(left, BLOCK)))
                if not data:
                    raise BrokenDetails
                left -= len(data)
                self._collector.attach(test, name, data, binary=binary)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
