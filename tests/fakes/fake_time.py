"""A clock that only moves when somebody sleeps."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FakeTime:
    """``slept`` are the waits in their order, in seconds."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
