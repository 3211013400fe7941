"""Runs a command in a session of its own and ends all that it started when standard input ends, or on a signal.

    python3 -I -c SOURCE GRACE_SECONDS FOLDER COMMAND...

This text is handed to the system's Python, which runs it as DevStack's user: it imports nothing of ours, and keeps to
what Python 3.9 has. Whoever waits for us may not be allowed to send signals to this user's processes (sudo); closing
our standard input is always possible, also by dying.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time

LOOK_SECONDS = 0.2
PR_SET_CHILD_SUBREAPER = 36


def processes() -> dict[int, tuple[int, str]]:
    """Process ids with parent and state, from proc(5)."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stat:
                    fields = stat.read().rsplit(")", 1)[1].split()
                found[int(name)] = (int(fields[1]), fields[0])
            except (OSError, IndexError):
                continue
    return found


def descendants() -> list[int]:
    """Everything below us that is alive."""
    table, front, seen, below = processes(), [os.getpid()], set(), []
    while front:
        parent = front.pop()
        for pid, (its_parent, state) in table.items():
            if its_parent == parent and pid not in seen:
                seen.add(pid)
                front.append(pid)
                if state not in ("Z", "X"):
                    below.append(pid)
    return below


def send(pid: int, number: int) -> None:
    """A signal to a process, with sudo's help where it belongs to root: much of stack.sh is started through sudo."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
    except PermissionError:
        helper = os.fork()
        if helper == 0:
            try:
                os.execvp("sudo", ["sudo", "-n", "kill", f"-{int(number)}", str(pid)])
            finally:
                os._exit(127)
        os.waitpid(helper, 0)


def reap() -> None:
    """Zombies of the command become ours when their parents die."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def end_all(grace: float) -> None:
    """SIGTERM to everything below us, SIGKILL to what is left after ``grace`` seconds."""
    started = time.monotonic()
    told: set[int] = set()
    while time.monotonic() - started < grace + 3.0:
        reap()
        left = descendants()
        if not left:
            return
        late = time.monotonic() - started >= grace
        for pid in left:
            if late:
                send(pid, signal.SIGKILL)
            elif pid not in told:
                told.add(pid)
                send(pid, signal.SIGTERM)
                # A stopped process sees no SIGTERM until it goes on.
                send(pid, signal.SIGCONT)
        time.sleep(0.05)


def start(folder: str, argv: list[str]) -> int:
    """Start the command in a session of its own; its process id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(folder)
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"{error.filename or argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def main() -> int:
    """The command's exit code, 128 and the signal's number where one ended it, 143 where we did."""
    grace, folder, argv = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: asked.append(number))
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pid = start(folder, argv)
    while True:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            status = os.waitpid(pid, 0)[1]
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        ready = select.select([0], [], [], LOOK_SECONDS)[0]
        if asked or (ready and not os.read(0, 4096)):
            end_all(grace)
            return 143


if __name__ == "__main__":
    sys.exit(main())
