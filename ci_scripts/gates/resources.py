"""How much disk and memory is left (Linux: statvfs(3), proc(5)), kept in logs/resources.jsonl."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from ci_scripts.gates.line_file import LineFile
from ci_scripts.workspace import Workspace, utc_text

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")


def samples_file(workspace: Workspace) -> LineFile:
    """logs/resources.jsonl, which ``ci_scripts.verdict.node_evidence`` reads."""
    return LineFile(workspace.logs / "resources.jsonl")


def record(log: LineFile, folder: Path) -> None:
    """Note a sample of now; never raises."""
    log.append({"time": utc_text(), **sample(folder)})


def sample(folder: Path, proc: Path = PROC, cgroup: Path = CGROUP) -> dict[str, int | float | None]:
    """Bytes free for ordinary users on the file system of ``folder``, bytes of memory, processes that the kernel has
    killed for want of memory since it started, and the load of the last minute. None is what cannot be had.
    """
    disk_free: int | None = None
    load: float | None = None
    with contextlib.suppress(OSError):
        found = os.statvfs(folder)
        disk_free = found.f_bavail * found.f_frsize
    with contextlib.suppress(OSError):
        load = round(os.getloadavg()[0], 2)
    memory = _numbers(proc / "meminfo")
    return {
        "disk_free": disk_free,
        "memory_available": _bytes(memory, "MemAvailable"),
        "memory_total": _bytes(memory, "MemTotal"),
        "oom_kills": _oom_kills(proc, cgroup),
        "load": load,
    }


def _oom_kills(proc: Path, cgroup: Path) -> int | None:
    # The machine's count has those of every control group in it, and the database may run in another one than we do.
    # Kernels in a sandbox may not have it.
    for path in (proc / "vmstat", cgroup / "memory.events"):
        number = _numbers(path).get("oom_kill")
        if number is not None:
            return number
    return None


def _bytes(memory: Mapping[str, int], name: str) -> int | None:
    return memory[name] * 1024 if name in memory else None


def _numbers(path: Path) -> dict[str, int]:
    """Lines of a name and a number; those of meminfo have a colon and a unit."""
    found = {}
    with contextlib.suppress(OSError):
        for line in path.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) > 1 and words[1].isdecimal():
                found[words[0].rstrip(":")] = int(words[1])
    return found
