"""Wait for an event, not for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """Look until there is something, and return it; an assertion error that says ``what`` when the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"in {seconds:g} s there was no {what}"
        time.sleep(0.01)
