"""One reporter at a time for a patch set: a lock for those on this machine, a claim in the history for all machines.

Neither is what keeps a comment from being posted twice after a crash: Gerrit's own record is. They keep two that look
at that record at the same moment from both finding it empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import socket
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.errors import ReportFailed
from ci_scripts.history import HistoryFailed, history_url, open_history

if TYPE_CHECKING:
    from ci_scripts.history.verbs import History
    from ci_scripts.settings_model import Settings

FOLDER = "reporting"
# Files are few, whatever the number of changes; two places that share one wait for each other.
FILES = 64
LOOK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True)
class Waiting:
    """How long others are waited for, and when one on another machine is taken for dead. Seconds."""

    seconds: float = 120.0
    stale_after: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass
class Turn:
    """It is our turn at ``place``. ``runs`` are those that the history says were reported there last."""

    place: str
    runs: frozenset[str] = frozenset()
    _history: History | None = field(default=None, repr=False)
    _say: Callable[[str], None] = print

    def note(self, runs: frozenset[str], message: str, vote: int) -> None:
        """Write down what was reported. A history that fails is said and changes nothing."""
        if self._history is not None:
            with _said_only(self._say, "the report was not written down"):
                self._history.note_report(self.place, runs, message, vote)


@contextlib.contextmanager
def our_turn(
    settings: Settings, environment: Mapping[str, str], place: str, say: Callable[[str], None], waiting: Waiting
) -> Iterator[Turn]:
    """Nobody else reports at ``place`` (patch set, pipeline and server) meanwhile.

    Without a history, or with one that fails, only those on this machine are kept out; that is said.

    Raises ReportFailed where somebody else is at it for longer than we wait.
    """
    with contextlib.ExitStack() as stack:
        locked = stack.enter_context(_file_lock(settings.cache_dir / FOLDER, place, say, waiting))
        # Whoever holds this machine's lock may take over a claim of this machine: its holder is dead.
        holder = _machine(settings.cache_dir) if locked else secrets.token_hex(8)
        turn = Turn(place, _say=say)
        with _said_only(say, "other machines cannot be told that this run is being reported"):
            history = stack.enter_context(
                open_history(history_url(settings, environment), timeout=settings.history.timeout_seconds)
            )
            runs = _claimed(history, place, holder, waiting)
            stack.callback(_give_back, history, place, holder)
            turn = Turn(place, runs, history, say)
        yield turn


def _claimed(history: History, place: str, holder: str, waiting: Waiting) -> frozenset[str]:
    """Claim the place; the runs that were reported there last. Raises ReportFailed, HistoryFailed."""
    deadline = waiting.clock() + waiting.seconds
    while not (claim := history.claim_report(place, holder, waiting.stale_after)).taken:
        if waiting.clock() > deadline:
            raise _busy(place, f"{claim.holder} since {claim.age} s")
        waiting.sleep(5 * LOOK_AGAIN_SECONDS)
    return frozenset(claim.runs)


def _give_back(history: History, place: str, holder: str) -> None:
    # After `note` there is nothing to give back. One that is left behind grows stale.
    with contextlib.suppress(HistoryFailed):
        history.give_back_report(place, holder)


@contextlib.contextmanager
def _file_lock(folder: Path, place: str, say: Callable[[str], None], waiting: Waiting) -> Iterator[bool]:
    """A lock that ends with its process, however that ends. False where there cannot be one."""
    path = folder / f"{zlib.crc32(place.encode()) % FILES:02d}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    except OSError as error:
        say(f"{path} cannot be locked ({error.strerror or error}): another reporter on this machine is not kept out")
        yield False
        return
    with open(number, "rb") as file:
        deadline = waiting.clock() + waiting.seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if waiting.clock() > deadline:
                    raise _busy(place, "another process of this machine") from None
            waiting.sleep(LOOK_AGAIN_SECONDS)
        yield True


def _machine(cache_dir: Path) -> str:
    """Names all who share the lock in ``cache_dir``."""
    return f"{socket.gethostname()[:60]}:{hashlib.sha256(str(cache_dir.resolve()).encode()).hexdigest()[:16]}"


def _busy(place: str, who: str) -> ReportFailed:
    return ReportFailed(
        f"somebody else is reporting on {place}: {who}.", next_step="run ci-report-to-gerrit again in a while."
    )


@contextlib.contextmanager
def _said_only(say: Callable[[str], None], consequence: str) -> Iterator[None]:
    try:
        yield
    except HistoryFailed as error:
        say(f"{consequence}: {error}")
