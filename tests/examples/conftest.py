"""The example programs, run as a user runs them."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
# The programs are no package: each is run from its own folder, and finds its modules there.
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "controller")]


class RunningController:
    """controller.py as a process; `url` is its root."""

    def __init__(self, process, url):
        self.process = process
        self.url = url


@contextlib.contextmanager
def _running(*options):
    command = [sys.executable, str(EXAMPLES / "controller" / "controller.py"), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("listening on "), line + process.stderr.read()
        yield RunningController(process, f"http://127.0.0.1:{line.split()[-1]}")
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def start_controller():
    """A function that starts controller.py with options on a free port; stopped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *options: stack.enter_context(_running(*options))


@pytest.fixture
def controller(start_controller):
    """A running, empty controller."""
    return start_controller()
