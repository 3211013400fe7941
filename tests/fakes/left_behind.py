"""What a run left: processes, open ports, held locks, a gate that passes for running, half-written files."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

LISTENING = "0A"


def processes_about(folder: Path) -> dict[int, str]:
    """Every living process but ours whose command line, environment or folder names ``folder`` (proc(5))."""
    found = {}
    for pid in _process_ids():
        if pid == os.getpid():
            continue
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            where = os.readlink(f"/proc/{pid}/cwd")
            if os.fsencode(folder) in words + b"\0" + environment + b"\0" + os.fsencode(where):
                found[pid] = words.replace(b"\0", b" ").decode(errors="replace").strip() or "(no command line)"
    return found


def left_behind(folder: Path, keep: frozenset[int] = frozenset()) -> list[str]:
    """What is left of the runs below ``folder``, in words; ``keep`` are processes of the test itself."""
    problems = [f"process {pid}: {words}" for pid, words in processes_about(folder).items() if pid not in keep]
    for status in folder.glob("**/logs/gate/gate-status.json"):
        for service in json.loads(status.read_text())["services"]:
            if service["state"] in ("starting", "running"):
                problems.append(f"the gate's status says that {service['name']} is {service['state']}")
    problems += [f"gate: {path}" for path in folder.glob("**/gate/access.json")]
    problems += [f"lock: {path}" for path in [*folder.glob("**/.lock"), *folder.glob("**/*.lock")] if is_held(path)]
    problems += [f"half-written: {path}" for path in folder.glob("**/.*.json.*")]
    problems += [f"FIFO: {path}" for path in folder.glob("**/*.tests") if path.is_fifo()]
    for port in ports_of(folder):
        if is_open(port) and (listener := _listener_about(folder, port)):
            problems.append(f"port {port} is held by process {listener}")
    return problems


def ports_of(folder: Path) -> set[int]:
    """Every port that the gates below ``folder`` were given."""
    texts = [path.read_text() for path in folder.glob("**/gate/supervisor.json")]
    texts += [path.read_text() for path in folder.glob("**/gate/service-urls.json")]
    return {int(port) for text in texts for port in re.findall(r"http://127\.0\.0\.1:(\d+)", text)}


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def is_held(lock: Path) -> bool:
    """Whether somebody holds the flock(2) of this file."""
    if not lock.is_file():
        return False
    with open(lock) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def kill_all(folder: Path, keep: frozenset[int] = frozenset()) -> None:
    """So that a failed test does not disturb the next."""
    for pid in processes_about(folder):
        if pid not in keep:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _listener_about(folder: Path, port: int) -> int | None:
    # Another test's process may have been given the same port meanwhile: that is not ours.
    inodes = {
        fields[9]
        for fields in (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    for pid in processes_about(folder):
        with contextlib.suppress(OSError):
            for handle in os.scandir(f"/proc/{pid}/fd"):
                if os.readlink(handle.path)[8:-1] in inodes:
                    return pid
    return None


def _process_ids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())
