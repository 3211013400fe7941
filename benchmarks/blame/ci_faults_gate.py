"""Faults of the gate while it starts and while the tests run: dead, hanging and starved services, databases, clocks."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks.blame.case import Case
from benchmarks.blame.case_run import CaseRun, Unavailable, worker_processes
from benchmarks.blame.selections import FEW, NETWORKS, NETWORKS_AND_PORTS, PORTS

MEGABYTE = 1024 * 1024
LOCKED_SECONDS = 15.0
# A node that gets one tenth of a processor, in slices of 0.1 s.
AWAKE, ASLEEP = 0.1, 0.9


def _kill(name: str, number: signal.Signals, *, tests_run: bool) -> Callable[[CaseRun], None]:
    def arrange(run: CaseRun) -> None:
        def act() -> None:
            if run.wait_for(lambda: run.pid_of(name)) and (not tests_run or run.wait_for(run.tests_have_begun)):
                pid = run.pid_of(name)
                if pid is not None:
                    os.kill(pid, number)
                    run.note(f"{number.name} to {name}")

        run.beside(act)

    return arrange


def tempest_worker_killed(run: CaseRun) -> None:
    def act() -> None:
        if run.wait_for(run.tests_have_begun):
            for pid in worker_processes(run.workspace)[:1]:
                os.kill(pid, signal.SIGKILL)
                run.note("SIGKILL to a worker of Tempest")

    run.beside(act)


def neutron_without_memory(run: CaseRun) -> None:
    """Once, in the middle: what Neutron has now is all that it gets."""

    def act() -> None:
        if run.wait_for(run.tests_have_begun):
            _limit_memory(run, run.workspace, "while the tests run")

    run.beside(act)


def node_without_memory(run: CaseRun) -> None:
    """The same on every gate of this node, as soon as Neutron has loaded its code."""

    def act() -> None:
        limited: set[Path] = set()

        def look() -> bool:
            for gate in run.gates():
                if gate not in limited and (gate / "gate" / "access.json").exists():
                    _limit_memory(run, gate, gate.name)
                    limited.add(gate)
            return False

        run.wait_for(look)

    run.beside(act)


def _limit_memory(run: CaseRun, workspace: Path, where: str) -> None:
    pid = run.pid_of("neutron", workspace)
    if pid is None:
        return
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEGABYTE
        resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))
        run.note(f"neutron may have {limit // MEGABYTE} MB ({where})")


def database_locked(run: CaseRun) -> None:
    def act() -> None:
        if not run.wait_for(run.tests_have_begun):
            return
        file = run.workspace / "gate" / "shard0" / "neutron" / "neutron.db"
        with contextlib.closing(sqlite3.connect(file, timeout=20.0, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            run.note(f"neutron.db was locked for {LOCKED_SECONDS:g} s")
            run.over.wait(LOCKED_SECONDS)

    run.beside(act)


def slow_node(run: CaseRun) -> None:
    """Services and Tempest's workers get a tenth of the time on every gate, so the minute for the tests is over."""
    run.config["tempest"]["timeout_minutes"] = 1
    run.config["gate"]["hang_seconds"] = 60

    def act() -> None:
        while run.wait_for(lambda: True):
            pids = _tests_and_services(run)
            if not pids:
                run.over.wait(AWAKE)
                continue
            try:
                _signal_all(pids, signal.SIGSTOP)
                run.over.wait(ASLEEP)
            finally:
                _signal_all(pids, signal.SIGCONT)
            if not run.result.notes:
                run.note("a tenth of the time for services and tests")
            run.over.wait(AWAKE)

    run.beside(act)


def _tests_and_services(run: CaseRun) -> list[int]:
    """Of gates that are up. A gate that is starting may take its time."""
    found = []
    for gate in run.gates():
        if (gate / "gate" / "access.json").exists():
            with contextlib.suppress(OSError, ValueError, KeyError):
                found += [pid for name in ("neutron", "keystone") if (pid := run.pid_of(name, gate)) is not None]
                found += worker_processes(gate)
    return sorted(set(found))


def _signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def clock_jumps_back(run: CaseRun) -> None:
    """All programs of the job see the clock go back an hour when the tests have begun."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    compiler = shutil.which("cc")
    if not libraries or compiler is None:
        raise Unavailable("it needs libfaketime (package faketime) and a C compiler")
    mended = run.folder / "clock_nanosleep.so"
    source = Path(__file__).with_name("clock_nanosleep.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(mended), str(source)], check=True, timeout=60)
    clock = run.folder / "clock"
    clock.write_text("+0\n")
    run.environment |= {
        "LD_PRELOAD": f"{mended}:{libraries[0]}",
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    def act() -> None:
        if run.wait_for(run.tests_have_begun):
            clock.write_text("-3600\n")
            run.note("the clock went back an hour")

    run.beside(act)


_KILL = signal.SIGKILL
_NOT = ("ci", "nobody", "unknown")
_EARLY = (
    ("keystone-killed-at-start", "Keystone is killed when it starts", _kill("keystone", _KILL, tests_run=False), FEW),
    ("neutron-killed-at-start", "Neutron is killed when it starts", _kill("neutron", _KILL, tests_run=False), FEW),
    ("keystone-killed", "Keystone is killed while tests run", _kill("keystone", _KILL, tests_run=True), NETWORKS),
    ("neutron-killed", "Neutron is killed while tests run", _kill("neutron", _KILL, tests_run=True), NETWORKS),
    ("neutron-hangs", "Neutron is stopped and never goes on", _kill("neutron", signal.SIGSTOP, tests_run=True), PORTS),
    ("tempest-killed", "a worker of Tempest is killed", tempest_worker_killed, NETWORKS),
    ("neutron-out-of-memory", "Neutron gets no more memory, once", neutron_without_memory, NETWORKS_AND_PORTS),
    ("node-out-of-memory", "Neutron gets no more memory on any gate", node_without_memory, NETWORKS_AND_PORTS),
    ("database-locked", "the database is locked for 15 s", database_locked, NETWORKS_AND_PORTS),
    ("clock-back", "the clock jumps back an hour", clock_jumps_back, NETWORKS_AND_PORTS),
    ("slow-node", "the tests take longer than their time", slow_node, NETWORKS_AND_PORTS),
)
CASES = tuple(Case(name, "ci", what, arrange, _NOT, regex) for name, what, arrange, regex in _EARLY)
