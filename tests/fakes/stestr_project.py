"""A small project of the tests' own, the fake driver's, whose unit tests the real stestr runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_openstack import FakeIndex, FakeSite, driver_files

SECONDS = 300
MODULE = "unit.test_driver"
CLASS = f"{MODULE}.DriverTest"
CONTROLLER = {
    "name": "controller",
    "command": ["{python}", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "{config_dir}", "{port}"],
    "ready_url": "{service.controller.url}/ci.yaml",
    "per_shard": True,
}
HEAD = """\
import os
import signal
import sys
import time
import unittest

import fake_driver


class DriverTest(unittest.TestCase):
"""


def index_with_stestr(folder: Path) -> FakeIndex:
    """An index that has the real stestr and what it requires; skips where they cannot be had."""
    index = FakeIndex(folder)
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    argv += ["--dest", str(index.wheels), "stestr"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no word"])[-1]
        pytest.skip(f"stestr cannot be had from the package index: {last}")
    # The fake Tempest's wheel brings a package of this name along, in another environment.
    return index


def project_files(tests: Mapping[str, str], head: str = HEAD, **changes: Any) -> dict[str, str]:
    """The driver with unit tests: the body of each by its name. ``changes`` as ``driver_files`` takes them."""
    bodies = "".join(f"    def {name}(self):\n        {body}\n\n" for name, body in tests.items())
    return {
        **driver_files(**changes),
        ".stestr.conf": "[DEFAULT]\ntest_path=${OS_TEST_PATH:-./unit}\ntop_dir=./\n",
        "test-requirements.txt": "# What the tests need\nneeded-by-tests>=1.0 # MIT\n",
        "unit/__init__.py": "",
        "unit/test_driver.py": head + bodies,
    }


def use_project(site: FakeSite, before: Mapping[str, str], change: Mapping[str, str], **sections: Any) -> None:
    """Test this project from now on: its branch, and what change 1,1 changes in it."""
    site.use_driver(before, change, **{"services": [CONTROLLER], **sections})


def prepare(site: FakeSite) -> None:
    """ci-prepare-gate for change 1,1."""
    done = site.command("ci-prepare-gate", *site.change_flags())
    assert done.exit_code == 0, done.errors


def forget_environments(site: FakeSite) -> None:
    """They are large, and looking through their files for what is left takes long."""
    for folder in (site.workspace.root, *site.workspace.trials.glob("[0-9]*")):
        shutil.rmtree(folder / "environments", ignore_errors=True)
