"""The processes below us, with real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ci_scripts import process_tree
from ci_scripts.errors import InfrastructureError
from ci_scripts.process_tree import cpu_seconds, is_alive, start_time, stop_group
from tests.fakes.left_behind import processes_about
from tests.fakes.waiting import wait_for

ORPHANS = """
import subprocess, sys
from ci_scripts.process_tree import become_subreaper, stop_orphans
become_subreaper()
subprocess.run(["sh", "-c", "setsid sleep 600 & setsid sh -c 'trap \\"\\" TERM; while :; do sleep 0.05; done' &"])
print(len(stop_orphans(grace=0.3)) >= 2)
print(stop_orphans())
"""


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "600"], process_group=0)


def test_a_group_is_ended_and_its_leader_reaped() -> None:
    process = sleeper()
    assert stop_group(process, 5.0) == -signal.SIGTERM
    assert process.returncode == -signal.SIGTERM
    assert stop_group(process, 5.0) == -signal.SIGTERM


def test_the_exit_code_of_a_leader_that_ended_before_is_kept(tmp_path: Path) -> None:
    process = subprocess.Popen(["sh", "-c", f"cd {tmp_path}; sleep 600 & exit 5"], process_group=0)
    process.wait()
    assert stop_group(process, 5.0) == 5
    assert processes_about(tmp_path) == {}


def test_what_left_its_group_is_found(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", ORPHANS]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["True", "[]"], done.stderr
    assert processes_about(tmp_path) == {}


SPARED = """
import os, subprocess
from ci_scripts.process_tree import become_subreaper, is_alive, left_below_us, start_time, stop_orphans
become_subreaper()
kept = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True)
subprocess.Popen(["sleep", "600"], start_new_session=True)
ticks = start_time(kept.pid)
print(len(stop_orphans(grace=5.0, spare=(kept.pid,))))
print(is_alive(kept.pid, ticks), left_below_us((kept.pid,)))
stop_orphans()
print(left_below_us())
"""


def test_what_is_spared_stays_with_all_below_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", SPARED]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines() == ["1", "True []", "[]"], done.stderr
    assert processes_about(tmp_path) == {}


def test_cpu_time_of_a_family() -> None:
    busy = subprocess.Popen(["sh", "-c", "(while :; do :; done) & wait"], process_group=0)
    try:
        wait_for(lambda: cpu_seconds(busy.pid) > 0.1, "CPU time of the child")
    finally:
        stop_group(busy, 1.0)
    assert cpu_seconds(busy.pid) == 0.0


def test_a_process_is_known_by_its_start_time() -> None:
    process = sleeper()
    ticks = start_time(process.pid)
    assert ticks is not None
    assert is_alive(process.pid, ticks)
    assert not is_alive(process.pid, "1")
    process.kill()
    # A zombie is not alive.
    wait_for(lambda: start_time(process.pid) is None, "end of the process")
    process.wait()
    assert not is_alive(process.pid, ticks)


def test_a_process_that_cannot_be_ended_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    process, sent = sleeper(), []

    def unheard(group: int, number: int) -> bool:
        sent.append(number)
        return True

    # As for a process in state D: SIGKILL is accepted and nothing happens.
    monkeypatch.setattr(process_tree, "_signal_group", unheard)
    monkeypatch.setattr(process_tree, "GIVE_UP_SECONDS", 0.1)
    try:
        with pytest.raises(InfrastructureError, match=f"process {process.pid} could not be ended.*ps -o"):
            stop_group(process, 0.05)
        assert signal.SIGTERM in sent and signal.SIGKILL in sent
    finally:
        process.kill()
        process.wait()
