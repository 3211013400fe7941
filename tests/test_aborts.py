"""Signals become one exception in the main thread, and none while cleaning up. In a process of its own each."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROLOGUE = """
import os, signal
from ci_scripts import aborts
from ci_scripts.errors import CIError
aborts.install()
def send(number):
    os.kill(os.getpid(), number)
"""


def run(code: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", PROLOGUE + code]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_a_signal_raises(name: str, code: int) -> None:
    said = run(f"try: send(signal.{name})\nexcept CIError as e: print(e.exit_code, e.what, e is aborts.under_way())")
    assert said == [f"{code} stopped by {name}. True"]


def test_the_first_one_counts() -> None:
    said = run(
        "try: send(signal.SIGTERM)\nexcept CIError: pass\n"
        "send(signal.SIGINT); send(signal.SIGTERM)\nprint(aborts.under_way().exit_code)"
    )
    assert said == ["143"]


def test_cleaning_up_is_not_cut_short() -> None:
    said = run(
        "try:\n"
        "    with aborts.deferred():\n"
        "        with aborts.deferred():\n"
        "            send(signal.SIGINT)\n"
        "            print('inner')\n"
        "        print('outer')\n"
        "    print('never')\n"
        "except CIError as error: print(error.exit_code)"
    )
    assert said == ["inner", "outer", "130"]


def test_nothing_is_under_way_at_first() -> None:
    assert run("print(aborts.under_way())\nwith aborts.deferred(): print('in')") == ["None", "in"]


def test_what_another_thread_cleans_up_does_not_hold_an_abort_up() -> None:
    said = run(
        "import threading\n"
        "inside, over = threading.Event(), threading.Event()\n"
        "def clean():\n"
        "    with aborts.deferred(): inside.set(); over.wait(20)\n"
        "thread = threading.Thread(target=clean); thread.start(); inside.wait(20)\n"
        "try: send(signal.SIGTERM); print('not raised')\n"
        "except CIError as error: print(error.exit_code)\n"
        "over.set(); thread.join()"
    )
    assert said == ["143"]
