"""How patiently a server is asked, and how often."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Patience:
    """Seconds; ``tries`` is the number of attempts of one request and ``total`` the limit for all of them together.

    Waits double from ``first_wait`` on. A server that asks for a longer wait than ``longest_wait`` is not waited for.
    """

    answer: float = 30.0
    tries: int = 4
    first_wait: float = 1.0
    longest_wait: float = 60.0
    total: float = 180.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def for_answers_within(cls, seconds: float) -> Patience:
        """As the setting ``timeout_seconds`` says it: so long for one answer, six times that for all attempts."""
        return cls(answer=seconds, total=6 * seconds)

    def wait_before(self, attempt: int) -> float:
        """Before the second attempt (1), the third (2) and so on."""
        return float(min(self.first_wait * 2 ** (attempt - 1), self.longest_wait))


@dataclass
class Pace:
    """At most ``per_minute`` requests in any sixty seconds, all verbs of one process together; None: no limit."""

    per_minute: int | None
    patience: Patience
    _times: deque[float] = field(default_factory=deque)

    def wait(self) -> float:
        """Until the next request may be sent; the seconds that it took."""
        if self.per_minute is None:
            return 0.0
        now, over = self.patience.clock(), 0.0
        if len(self._times) >= self.per_minute:
            over = max(0.0, self._times.popleft() + 60.0 - now)
            if over:
                self.patience.sleep(over)
        self._times.append(now + over)
        return over
