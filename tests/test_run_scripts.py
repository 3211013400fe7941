"""environment.sh and reproduce.sh, read by a real shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.change import ChangeUnderTest, change_from
from ci_scripts.run_scripts import write_environment_script, write_reproduce_script, zuul_variables
from ci_scripts.workspace import Workspace

NASTY = "/srv/a b'c\"d$(touch hostile)`touch hostile`\n}/ci.yaml"
SHA = "0123456789" * 4


def change(number: str = "1", **more: Any) -> ChangeUnderTest:
    values = {
        "project": "openstack/neutron",
        "branch": "stable/2026.1",
        "ref": f"refs/changes/0{number}/{number}/2",
        "url": "https://review.example.org/r/openstack/neutron",
        "revision": SHA,
        "comment": "recheck $(touch hostile)",
        **more,
    }
    return ChangeUnderTest(number=number, patchset="2", **values)


def run_record(config: str = "/srv/ci.yaml") -> dict[str, Any]:
    checkouts = {"openstack/neutron": {"branch": "master", "commit": SHA}}
    return {"run_id": "20260131T120000Z-1a2b3c", "config": config, "checkouts": checkouts}


def sourced(workspace: Workspace, cwd: Path) -> dict[str, str]:
    done = subprocess.run(
        ["bash", "-c", 'set -eu; . "$1"; env -0', "bash", str(workspace.environment_sh)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(entry.split("=", 1) for entry in done.stdout.split("\0") if entry)


def reproduced(workspace: Workspace, cwd: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """What ci-run-job is called with, arguments and variables."""
    fake = cwd / "bin" / "ci-run-job"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\" > arguments\nenv -0 > variables\n")
    fake.chmod(0o755)
    env = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "WORKSPACE": str(workspace.root), "CI_RUN_ID": "then"}
    subprocess.run([str(workspace.reproduce_sh), *arguments], cwd=cwd, env=env, check=True)
    words = (cwd / "arguments").read_text().split("\0")[:-1]
    variables = (cwd / "variables").read_text().split("\0")
    return words, dict(entry.split("=", 1) for entry in variables if entry)


def test_environment_tells_what_the_run_is_about(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    write_environment_script(workspace, run_record(), change())
    found = sourced(workspace, tmp_path)
    assert found["CI_WORKSPACE"] == found["WORKSPACE"] == str(workspace.root)
    assert found["ZUUL_CHANGES"] == "openstack/neutron:stable/2026.1:refs/changes/01/1/2"
    assert found["ZUUL_URL"] == "https://review.example.org/r"
    assert (found["ZUUL_CHANGE"], found["ZUUL_PATCHSET"], found["ZUUL_PIPELINE"]) == ("1", "2", "check")
    assert "ZUUL_UUID" not in found


@pytest.mark.parametrize("secret", ["CI_RUN_ID", "recheck", "20260131T120000Z-1a2b3c="])
def test_environment_holds_nothing_that_opens_a_lock(tmp_path: Path, secret: str) -> None:
    workspace = Workspace(tmp_path / "run")
    write_environment_script(workspace, run_record(), change())
    assert secret not in workspace.environment_sh.read_text()


def test_hostile_values_stay_values(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "a b'$(touch hostile)")
    hostile = change(pipeline="x'; touch hostile; '", url="/srv/$(touch hostile)/p")
    write_environment_script(workspace, run_record(NASTY), hostile)
    write_reproduce_script(workspace, run_record(NASTY), hostile)
    found = sourced(workspace, tmp_path)
    assert (found["CI_CONFIG"], found["ZUUL_PIPELINE"]) == (NASTY, "x'; touch hostile; '")
    assert found["CI_WORKSPACE"] == str(workspace.root)
    words, _ = reproduced(workspace, tmp_path)
    assert words[:2] == ["--config", NASTY]
    assert words[words.index("--url") + 1] == "/srv/$(touch hostile)/p"
    assert not list(tmp_path.rglob("hostile"))


def test_reproduce_runs_the_same_change(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    write_reproduce_script(workspace, run_record(), change())
    words, _ = reproduced(workspace, tmp_path, "/elsewhere/ci.yaml", "--workspace", "w")
    assert words[:2] == ["--config", "/elsewhere/ci.yaml"]
    assert words[-2:] == ["--workspace", "w"]
    flags = dict(zip(words[2:-2:2], words[3:-2:2], strict=True))
    given = {name.removeprefix("--"): value for name, value in flags.items()}
    again = change_from({}, flags=given)
    expected = change()
    assert (again.name, again.project, again.branch, again.ref, again.url) == (
        expected.name,
        expected.project,
        expected.branch,
        expected.ref,
        expected.url,
    )


def test_reproduce_runs_dependencies_too(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    tested = change(
        "3", also=(change("1"), change("2", project="example/p", url="https://review.example.org/r/example/p"))
    )
    write_reproduce_script(workspace, run_record(), tested)
    _, variables = reproduced(workspace, tmp_path)
    again = change_from(variables)
    assert [item.name for item in again.also] == ["1,2", "2,2"]
    assert [item.url for item in again.also] == [item.url for item in tested.also]
    assert (again.name, again.ref, again.revision) == ("3,2", tested.ref, SHA)


def test_zuul_refs_survive(tmp_path: Path) -> None:
    ref = "refs/zuul/stable/2026.1/Z" + "0" * 32
    again = change_from(zuul_variables(change("3", ref=ref, also=(change("1", ref=ref),))))
    assert again.ref == again.also[0].ref == ref
    assert again.also[0].number == "1"


def test_reproduce_says_what_is_missing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "run")
    write_reproduce_script(workspace, run_record(), change())
    done = subprocess.run(
        ["/bin/bash", str(workspace.reproduce_sh)], env={"PATH": "/nonexistent"}, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "install openstack-driver-ci" in done.stderr


@pytest.mark.parametrize("also", [(), (change("2"),)])
def test_reproduce_leaves_the_old_workspace_alone(tmp_path: Path, also: tuple[ChangeUnderTest, ...]) -> None:
    workspace = Workspace(tmp_path / "run")
    write_reproduce_script(workspace, run_record(), change(also=also))
    _, variables = reproduced(workspace, tmp_path)
    assert not {"WORKSPACE", "CI_WORKSPACE", "CI_RUN_ID"} & set(variables)
