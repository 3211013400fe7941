"""How patiently a server is asked, how often, and when a request is made again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


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


class Trouble(Exception):
    """No good answer came. ``begun``: what was asked may have been done. ``passing``: again, later, may help.

    ``after`` is how many seconds the server asks to wait; ``attempts`` how many were made.
    """

    def __init__(self, why: str, *, begun: bool, passing: bool = True, after: float | None = None) -> None:
        super().__init__(why)
        self.begun = begun
        self.passing = passing
        self.after = after
        self.attempts = 1


def persist(once: Callable[[float], T], patience: Patience, pace: Pace, *, repeatable: bool) -> T:
    """The result of ``once``, which is given the seconds that are left; again after Trouble that may pass.

    What is not ``repeatable`` (it writes) is made again only where it is certain not to have begun.

    Raises the last Trouble.
    """
    attempt = 0
    deadline = patience.clock() + patience.total
    while True:
        attempt += 1
        deadline += pace.wait()
        try:
            return once(max(1.0, deadline - patience.clock()))
        except Trouble as trouble:
            trouble.attempts = attempt
            wait = max(patience.first_wait * 2 ** (attempt - 1), trouble.after or 0.0)
            too_long = wait > patience.longest_wait or patience.clock() + wait > deadline
            certain = repeatable or not trouble.begun
            if not trouble.passing or not certain or attempt >= patience.tries or too_long:
                raise
        patience.sleep(wait)
