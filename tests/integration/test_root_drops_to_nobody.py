"""Root gives its rights up for OpenStack's services where another user can reach what they need."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.gate_runs import ADDRESS_PAIRS, Run

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = [
    pytest.mark.gate,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up; this is another user"),
]

_LOOK = "import json, sys, os, venv; print(json.dumps([sys.version_info[:2], os.path.realpath(sys.executable)]))"


@pytest.fixture(scope="module")
def interpreter() -> str:
    """A Python that everybody may run: root's own often lies below /root."""
    found = "/usr/bin/python3"
    try:
        done = subprocess.run([found, "-c", _LOOK], capture_output=True, text=True, timeout=60, user="nobody", cwd="/")
        version, where = json.loads(done.stdout)
    except (OSError, ValueError):
        pytest.skip(f"{found} is not there or nobody cannot run it")
    if version < [3, 11]:
        pytest.skip(f"{found} is Python {version[0]}.{version[1]}; 3.11 is needed")
    return str(where)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter: pytest's own is root's alone."""
    folder = Path(tempfile.mkdtemp(prefix="ci-unprivileged-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _users_of(pid: int) -> set[int]:
    """Real, effective, saved and file system user (proc(5))."""
    (line,) = [text for text in Path(f"/proc/{pid}/status").read_text().splitlines() if text.startswith("Uid:")]
    return {int(word) for word in line.split()[1:]}


def test_keystone_and_neutron_run_as_nobody_and_tempest_passes(
    open_folder: Path, make_run: Callable[..., Run], driver_repository: Path, interpreter: str
) -> None:
    run = make_run(open_folder, CI_GATE_PYTHON=interpreter, CI_GATE_SHARDS="1")
    run.prepare(driver_repository, "refs/changes/01/1/1")
    run.good("ci-install-driver")
    assert "services run as nobody" in run.good("ci-start-gate")
    try:
        users = {service["name"]: _users_of(service["pid"]) for service in run.services()}
        nobody = {pwd.getpwnam("nobody").pw_uid}
        assert users["keystone"] == nobody and users["neutron"] == nobody
        run.good("ci-run-tempest", "--regex", ADDRESS_PAIRS)
    finally:
        run.good("ci-stop-gate")
    run.good("ci-summarize-results")
    assert "failed" not in run.tests().values()
