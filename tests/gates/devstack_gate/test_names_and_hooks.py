"""The names of the wrapper's variables, and how much time a hook gives the tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.gates.devstack_gate.environment import path_without_ours
from ci_scripts.gates.devstack_gate.repositories import require_distinct, variable_part
from ci_scripts.gates.devstack_gate.tails import TAIL_BYTES, tail_of
from ci_scripts.installed_files import installed_file


@pytest.mark.parametrize(
    ("project", "part"),
    [
        ("openstack/neutron", "NEUTRON"),
        ("openstack/neutron-lib", "NEUTRON_LIB"),
        ("x/networking-l2gw", "NETWORKING_LGW"),
        ("x/oslo.config", "OSLOCONFIG"),
        ("x/a1b2", "AB2"),
    ],
)
def test_the_part_of_a_variable(project: str, part: str) -> None:
    assert variable_part(project) == part


@pytest.mark.parametrize("projects", [["x/a.b.c"], ["one/same", "two/same"], ["x/a1", "x/a"]])
def test_projects_that_the_wrapper_cannot_tell_apart(projects: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        require_distinct(projects)
    assert "devstack-gate cannot" in str(caught.value)
    assert "gate.kind devstack" in str(caught.value)


@pytest.mark.parametrize(
    ("remaining", "configured", "minutes"),
    [("60", "120", "55"), ("60", "20", "20"), ("60", None, "55"), ("4", "120", "1"), ("08", "9", "3"), ("x", "9", "9")],
)
def test_tests_end_five_minutes_before_the_wrapper_kills_them(
    tmp_path: Path, remaining: str, configured: str | None, minutes: str
) -> None:
    command = tmp_path / "ci-run-tempest"
    command.write_text('#!/bin/sh\necho "$1 $2 $CI_TEMPEST_TIMEOUT_MINUTES"\n')
    command.chmod(0o755)
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "WORKSPACE": "/run", "REMAINING_TIME": remaining}
    env |= {"CI_TEMPEST_TIMEOUT_MINUTES": configured} if configured else {}
    hook = str(installed_file("devstack-hooks/post_test_hook.sh"))
    done = subprocess.run(["bash", hook], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"--workspace /run {minutes}\n"


def test_a_hook_takes_what_the_wrapper_must_not_have(tmp_path: Path) -> None:
    command = tmp_path / "ci-start-gate"
    command.write_text('#!/bin/sh\necho "$LAB_PASSWORD"\n')
    command.chmod(0o755)
    (tmp_path / "inner").write_text("export LAB_PASSWORD='a b'\n")
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "WORKSPACE": "/run", "CI_HOOK_ENVIRONMENT": str(tmp_path / "inner")}
    hook = str(installed_file("devstack-hooks/gate_hook.sh"))
    done = subprocess.run(["bash", hook], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "a b\n"


def test_our_virtual_environment_is_not_on_devstacks_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/venv/bin/python")
    assert path_without_ours("/venv/bin:/usr/bin:/venv/bin:/bin") == "/usr/bin:/bin"
    monkeypatch.setattr("sys.base_prefix", "/usr")
    monkeypatch.setattr("sys.prefix", "/usr")
    assert path_without_ours("/venv/bin:/usr/bin") == "/venv/bin:/usr/bin"


def test_the_end_of_a_log(tmp_path: Path) -> None:
    import gzip

    log = tmp_path / "a.txt"
    log.write_text("x" * TAIL_BYTES + "the end")
    assert (tail_of(log) or "").endswith("xthe end")
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"packed"))
    assert tail_of(tmp_path / "a.txt.gz") == "packed"
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(5000))[:1000])
    (tmp_path / "link.txt").symlink_to(log)
    os.mkfifo(tmp_path / "fifo.txt")
    (tmp_path / "folder").symlink_to(tmp_path)
    for name in ("cut.gz", "link.txt", "fifo.txt", "missing.txt", "folder/a.txt"):
        assert tail_of(tmp_path / name) is None


def test_the_example_is_a_right_configuration() -> None:
    from ci_scripts.settings import load_settings

    example = installed_file("devstack-hooks/gate_hook.sh").parents[1] / "examples" / "ci-devstack-gate.yaml"
    settings = load_settings(example, environment={"HOME": "/nonexistent"})
    assert settings.gate.kind == "devstack-gate"
    assert settings.gate.devstack_gate.ref.startswith("9cfd5cc")
    assert settings.gate.devstack_gate.environment == {"OVERRIDE_ENABLED_SERVICES": "key,mysql,rabbit,q-svc,tempest"}
