"""Progress of the tests: a live line at a terminal, one line a minute where nobody watches."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

MINUTE = 60.0
WATCHED_SECONDS = 5.0


class Progress:
    """``ended`` is called for each test; ``say`` prints a line. ``watched``: a person sees the lines."""

    def __init__(self, total: int, say: Callable[[str], None], *, watched: bool) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()
        self.started = time.monotonic()
        self._say = say
        self._every = WATCHED_SECONDS if watched else MINUTE
        self._next = self.started + self._every
        self._live: Any = None
        self._task: Any = None
        self._lock = threading.Lock()

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Live

            columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            self._live = Live(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
            self._task = self._live.add_task(self.line(), total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        self._say(self.line())

    def ended(self, test_id: str, status: str) -> None:
        """A test has its outcome; a failure is told at once."""
        with self._lock:
            self.counts[status] += 1
        if status == "failed":
            self._say(f"FAILED {test_id}")

    def tick(self) -> None:
        """To be called a few times a second."""
        now = time.monotonic()
        if self._live is not None:
            self._live.update(self._task, completed=sum(self.counts.values()), description=self.line())
        elif now >= self._next:
            self._next = now + self._every
            self._say(self.line())

    def line(self) -> str:
        """passed, failed, skipped, remaining, estimate."""
        done = sum(self.counts.values())
        left = max(0, self.total - done)
        text = ", ".join(f"{self.counts[word]} {word}" for word in ("passed", "failed", "skipped"))
        if left and done:
            seconds = (time.monotonic() - self.started) / done * left
            return f"tests: {text}, {left} remaining, about {seconds:.0f} s"
        return f"tests: {text}, {left} remaining"
