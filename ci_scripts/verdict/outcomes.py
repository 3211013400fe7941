"""What became of each test, collected from the events of a stream within bounds of memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Status = Literal["passed", "failed", "skipped", "incomplete"]

MAX_OUTCOMES = 100_000
MAX_ID = 2_000
MAX_ATTACHMENT = 1024 * 1024
MAX_ATTACHMENTS = 20
MAX_REASON = 2_000
MAX_TEXT_IN_ALL = 64 * 1024 * 1024
TEXT_BEYOND_ALL = 2_000
WORKER = re.compile(r"worker-\d{1,6}\Z")

# An expected failure is a success of the test's author; an unexpected success breaks what they promised.
STATUS_OF: dict[str, Status] = {
    "success": "passed",
    "successful": "passed",
    "xfail": "passed",
    "fail": "failed",
    "failure": "failed",
    "error": "failed",
    "uxsuccess": "failed",
    "skip": "skipped",
}


@dataclass(frozen=True)
class TestOutcome:
    """One outcome of one test; a test that ran twice has two.

    ``seconds`` is None where the stream has no usable times. ``reason`` is why it was skipped or is
    incomplete, ``text`` the details of a failure or of a test that did not end.
    """

    __test__ = False

    id: str
    status: Status
    started: datetime | None = None
    seconds: float | None = None
    worker: str | None = None
    reason: str | None = None
    text: str | None = None


class BoundedText:
    """The beginning and the end of something that may be too long to keep."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.size = 0

    def add(self, data: bytes) -> None:
        """Append bytes; what is in the middle of too much is dropped."""
        self.size += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def kept(self) -> int:
        """Bytes held in memory."""
        return len(self._head) + len(self._tail)

    def text(self) -> str:
        """The text, with a note in the place of what was left out."""
        tail = self._tail[-self._half :] if len(self._tail) > self._half else self._tail
        missing = self.size - len(self._head) - len(tail)
        if not missing:
            return (self._head + tail).decode("utf-8", "replace")
        note = f"\n[... {missing} bytes left out ...]\n"
        return self._head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace")


@dataclass
class OpenTest:
    """A test that has begun and not ended."""

    id: str
    started: datetime | None = None
    worker: str | None = None
    attachments: dict[str, BoundedText] = field(default_factory=dict)
    binary: set[str] = field(default_factory=set)
    announced: bool = True

    def release(self) -> int:
        """Forget the attachments; the bytes that were held."""
        kept = sum(text.kept for text in self.attachments.values())
        self.attachments = {}
        return kept


class OutcomeCollector:
    """Takes events in the order of the stream and gives the outcomes in the order in which tests ended."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self.outcomes: list[TestOutcome] = []
        self.open: dict[tuple[str, str], OpenTest] = {}
        self._report = report
        self.full = False
        self._held = 0
        self._text_left = MAX_TEXT_IN_ALL

    def begin(self, key: tuple[str, str], when: datetime | None, worker: str | None) -> OpenTest | None:
        """The test of this key, opened now if it is not; None beyond the bound of tests."""
        test = self.open.get(key)
        if test is not None:
            test.started = test.started or when
            test.worker = worker or test.worker
            return test
        if len(self.outcomes) + len(self.open) >= MAX_OUTCOMES:
            self.full = True
            self._report(f"the stream has more than {MAX_OUTCOMES} outcomes; the rest was not kept")
            return None
        test_id = key[0]
        if len(test_id) > MAX_ID:
            self._report(f"a test's id is longer than {MAX_ID} characters and was cut")
            test_id = test_id[:MAX_ID]
        test = self.open[key] = OpenTest(test_id, when, worker)
        return test

    def attach(self, test: OpenTest, name: str, data: bytes, *, binary: bool = False) -> None:
        """Add bytes to a named attachment of an open test."""
        if name not in test.attachments:
            if len(test.attachments) >= MAX_ATTACHMENTS:
                self._report(f"a test has more than {MAX_ATTACHMENTS} attachments; the rest was not kept")
                return
            room = 2 * MAX_TEXT_IN_ALL - self._held
            limit = MAX_ATTACHMENT if room > 2 * MAX_ATTACHMENT else TEXT_BEYOND_ALL
            test.attachments[name] = BoundedText(limit)
            if binary:
                test.binary.add(name)
        text = test.attachments[name]
        before = text.kept
        text.add(data)
        self._held += text.kept - before

    def end(self, key: tuple[str, str], status: Status, when: datetime | None, reason: str | None = None) -> None:
        """Close an open test with its outcome."""
        test = self.open.pop(key, None)
        if test is None:
            return
        if status == "skipped" and "reason" in test.attachments:
            reason = test.attachments["reason"].text().strip()
        text = self._within_budget(_failure_text(test)) if status in ("failed", "incomplete") else None
        self._held -= test.release()
        self.outcomes.append(
            TestOutcome(
                id=test.id,
                status=status,
                started=test.started,
                seconds=_seconds(test.started, when),
                worker=test.worker,
                reason=reason[:MAX_REASON] if reason else None,
                text=text or None,
            )
        )

    def end_of_stream(self) -> int:
        """Every test that is still open is incomplete; how many there were."""
        begun = 0
        for key, test in list(self.open.items()):
            if test.announced:
                begun += 1
                self.end(key, "incomplete", None, "the stream ends before the test does")
            else:
                del self.open[key]
        return begun

    def _within_budget(self, text: str) -> str:
        if len(text) > self._text_left:
            self._report(f"failures have more than {MAX_TEXT_IN_ALL} characters; later ones were cut")
            text = text[:TEXT_BEYOND_ALL] + f"\n[... {len(text) - TEXT_BEYOND_ALL} characters left out ...]\n"
        self._text_left = max(0, self._text_left - len(text))
        return text


def _failure_text(test: OpenTest) -> str:
    # Tracebacks first: logs can be a thousand times longer.
    names = sorted(test.attachments, key=lambda name: (not name.startswith("traceback"), name))
    parts = []
    for name in names:
        attachment = test.attachments[name]
        if name in test.binary:
            parts.append(f"--- {name} ({attachment.size} bytes that are no text) ---")
            continue
        text = attachment.text().strip("\r\n")
        if text:
            bare = len(names) == 1 or name.startswith("traceback")
            parts.append(text if bare else f"--- {name} ---\n{text}")
    return "\n\n".join(parts)


def _seconds(started: datetime | None, ended: datetime | None) -> float | None:
    if started is None or ended is None:
        return None
    seconds = (ended - started).total_seconds()
    return round(seconds, 6) if seconds >= 0 else None
