"""ci-operate doctor, run as the installed command."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repositories import git

OPERATE = Path(sys.executable).with_name("ci-operate")
CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
cache_dir: cache
driver: {{project: example/networking-example, source: {source}, ref: {ref}}}
services:
  - {{name: controller, command: ["{program}", "{{port}}"]}}
probes:
  - {{name: lab, tcp: "127.0.0.1:{port}", timeout_seconds: 2}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "driver"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=master")
    (folder / "setup.cfg").write_text("[metadata]\nname = networking-example\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "driver")
    return folder


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def doctor(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    argv = [str(OPERATE), "doctor", "--config", "ci.yaml", *flags]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def write_config(folder: Path, **values: object) -> None:
    values = {"ref": "master", "program": "{python}", **values}
    (folder / "ci.yaml").write_text(CONFIG.format(**values))


def test_all_is_well(tmp_path: Path, repository: Path, listener: int) -> None:
    write_config(tmp_path, source=repository, port=listener)
    done = doctor(tmp_path, "--json")
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    # The package index is a matter of the machine; everything else is made by this test.
    bad = [what for what, finding in found.items() if not finding["good"] and what != "package index"]
    assert bad == []
    assert found["driver.source"]["text"].endswith("has master")
    assert found["probes.lab"]["good"]
    assert done.returncode == (0 if found["package index"]["good"] else 3)


def test_what_is_wrong_is_named_with_its_cure(tmp_path: Path, repository: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    write_config(tmp_path, source=repository, ref="stable/none", program="no-such-controller", port=closed)
    done = doctor(tmp_path)
    assert done.returncode == 3
    for what in ("driver.source", "services.controller", "probes.lab"):
        assert f"BAD  {what}" in done.stdout, done.stdout
        assert what in done.stderr
    assert done.stdout.count("mend it:") >= 3
    assert "stable/none" in done.stdout


def test_a_wrong_configuration_is_exit_code_2_with_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "ci.yaml").write_text(
        "name: Example Networks CI\nwiki: https://wiki.example.org/x\ngate: {shrads: 2}\n"
    )
    done = doctor(tmp_path)
    assert done.returncode == 2
    assert "shards" in done.stderr and "ci.yaml:3" in done.stderr
    assert "driver" in done.stderr


def test_settings_are_shown_with_their_origin(tmp_path: Path, repository: Path) -> None:
    write_config(tmp_path, source=repository, port=1)
    done = doctor(tmp_path, "--show-settings")
    assert done.returncode == 0
    assert "driver.ref" in done.stdout and "ci.yaml:4" in done.stdout
    assert "gate.hang_seconds" in done.stdout and "(default)" in done.stdout


def test_the_schema_knows_the_keys(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--schema")
    assert done.returncode == 0
    schema = json.loads(done.stdout)
    assert {"gate", "projects", "driver", "services", "tempest"} <= set(schema["properties"])
