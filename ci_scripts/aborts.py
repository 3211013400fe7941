"""SIGINT and SIGTERM become an exception in the main thread, once, and never in the middle of cleaning up."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ci_scripts.errors import CIError, Interrupted, Terminated

_KINDS: dict[int, type[CIError]] = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
_seen: CIError | None = None
_raised = False
_deferred = 0


def install() -> None:
    """From now on the first SIGINT or SIGTERM raises Interrupted or Terminated; later ones do nothing.

    SIGHUP (the terminal went away) counts as SIGTERM.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)


def under_way() -> CIError | None:
    """The abort that has been asked for, if any: it wins over the failures that it causes."""
    return _seen


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Inside, a signal is only noted; it is raised on leaving. For code that must not be left half done."""
    global _deferred
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread is ever interrupted: what another one does must neither hold the abort up nor get it.
        yield
        return
    _deferred += 1
    try:
        yield
    finally:
        _deferred -= 1
        _raise_once()


def _on_signal(number: int, frame: FrameType | None) -> None:
    global _seen
    if _seen is None:
        kind = _KINDS.get(number, Terminated)
        _seen = kind(f"stopped by {signal.Signals(number).name}.", next_step="run the same command again.")
    _raise_once()


def _raise_once() -> None:
    global _raised
    if _seen is not None and not _raised and _deferred == 0:
        _raised = True
        raise _seen
