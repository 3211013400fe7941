"""The processes below us: end a group, end what escaped from its group, measure their CPU time (Linux, proc(5))."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from ci_scripts.errors import CIError, InfrastructureError

PR_SET_CHILD_SUBREAPER = 36
GIVE_UP_SECONDS = 10.0


class Leader(Protocol):
    """A started process that leads its group, as subprocess.Popen has it."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self) -> int: ...


def stop_group(process: Leader, grace: float) -> int:
    """SIGTERM to the process group, SIGKILL to what is left after ``grace`` seconds; reaps the leader.

    A member that has left the group is not seen here; ``stop_orphans`` finds those.

    Raises InfrastructureError when something is left 10 s after SIGKILL (a process in state D, waiting for a device).
    """
    deadline = time.monotonic() + grace
    give_up = deadline + GIVE_UP_SECONDS
    sent = signal.SIGTERM
    while True:
        code = process.poll()
        if not _signal_group(process.pid, 0):
            return code if code is not None else process.wait()
        if sent == signal.SIGTERM:
            _signal_group(process.pid, signal.SIGTERM)
            sent = signal.SIGCONT
        elif time.monotonic() >= give_up:
            raise _not_ended(process.pid)
        elif time.monotonic() >= deadline:
            _signal_group(process.pid, signal.SIGKILL)
            deadline = time.monotonic() + 1.0
        elif sent == signal.SIGCONT:
            # A stopped process sees no SIGTERM until it goes on.
            _signal_group(process.pid, signal.SIGCONT)
        time.sleep(0.02)


def _not_ended(group: int) -> InfrastructureError:
    left = sorted(_alive_in_group(group)) or [group]
    return InfrastructureError(
        f"process {', '.join(map(str, left))} could not be ended, not even with SIGKILL.",
        next_step=f"look at what it waits for: ps -o pid,stat,wchan:32,args {' '.join(map(str, left))}",
    )


def _signal_group(group: int, number: int) -> bool:
    """Whether anybody alive was there. A zombie that somebody else must reap does not count."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return number != 0 or any(True for _ in _alive_in_group(group))


def _alive_in_group(group: int) -> Iterator[int]:
    for pid, fields in _processes():
        if int(fields[2]) == group and fields[0] not in ("Z", "X"):
            yield pid


def _processes() -> Iterator[tuple[int, list[str]]]:
    """Process ids with the fields of /proc/PID/stat from the state on (proc(5))."""
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = Path(entry.path, "stat").read_text(errors="replace")
                yield int(entry.name), stat.rsplit(")", 1)[1].split()


def become_subreaper() -> None:
    """From now on descendants whose parent dies become our children instead of init's (Linux, prctl(2))."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stop_orphans(grace: float = 5.0, spare: Collection[int] = ()) -> list[int]:
    """End every descendant that is left and return their process ids. Only for a process that keeps none.

    ``spare`` are processes that stay, with everything below them. SIGKILL comes ``grace`` seconds after SIGTERM.

    Raises CIError for what is left 5 s after SIGKILL.
    """
    stopped: list[int] = []
    deadline = time.monotonic() + grace
    while left := left_below_us(spare):
        number = signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL
        for pid in left:
            if pid not in stopped:
                stopped.append(pid)
                _send(pid, number)
            elif number == signal.SIGKILL:
                _send(pid, number)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)
        if time.monotonic() > deadline + 5.0:
            raise CIError(
                f"processes {left} could not be ended",
                next_step="look at them with ps and kill them by hand.",
            )
    return stopped


def left_below_us(spare: Collection[int] = ()) -> list[int]:
    """The descendants of this process, but for those in ``spare`` and what is below them."""
    return _descendants(os.getpid(), spare)


def _descendants(ancestor: int, spare: Collection[int] = ()) -> list[int]:
    parents = {pid: (int(fields[1]), fields[0]) for pid, fields in _processes()}
    found: list[int] = []
    front = [ancestor]
    while front:
        parent = front.pop()
        for pid, (its_parent, state) in parents.items():
            if its_parent == parent and pid not in found and pid not in spare and state != "X":
                if state != "Z":
                    found.append(pid)
                front.append(pid)
    return found


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def cpu_seconds(ancestor: int) -> float:
    """User and system time of a process and its descendants, in seconds; 0.0 when it is gone."""
    family = {ancestor, *_descendants(ancestor)}
    ticks = sum(int(fields[11]) + int(fields[12]) for pid, fields in _processes() if pid in family)
    return ticks / os.sysconf("SC_CLK_TCK")


def is_alive(pid: int, started_ticks: str) -> bool:
    """Whether the process still runs that had this start time; a process id alone may have been given anew."""
    return start_time(pid) == started_ticks


def start_time(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot, None when it is gone or a zombie."""
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()
        if fields[0] not in ("Z", "X"):
            return fields[19]
    return None
