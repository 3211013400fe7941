"""ci-prepare-gate: as a function with a gate that only records, and as a command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.change import ChangeUnderTest, change_from_record
from ci_scripts.errors import ConfigurationError, NothingToTest
from ci_scripts.git import MergeConflict, Patience
from ci_scripts.stage_log import stage
from ci_scripts.stages.change_options import find_change
from ci_scripts.stages.opening import forget_earlier_run
from ci_scripts.stages.prepare_gate import prepare_gate
from ci_scripts.verdict.run_facts import read_run_facts
from ci_scripts.workspace import RUN_ID_VARIABLE, Workspace, read_json
from tests.fakes.fake_openstack import PROJECT, FakeSite, driver_files
from tests.repositories import DRIVER, ENVIRONMENT, NEUTRON, Remote, Waits, change_ref, make_settings, write_config

RUN_ID = "20260131T120000Z-1a2b3c"
COMMAND = "from ci_scripts.entry_point import prepare_gate; prepare_gate()"


class RecordingGate:
    """A kind of gate that needs nothing."""

    def __init__(self) -> None:
        self.checkouts: dict[str, Path] = {}

    def prepare(self, context: Any) -> dict[str, str]:
        self.checkouts = context.checkouts
        return {"openstack": "environments/openstack"}


class Site:
    """A server with Neutron and the driver, a configuration, and a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.neutron = Remote(folder / "server" / "openstack" / "neutron")
        self.driver = Remote(folder / "server" / "example" / "networking-example")
        self.workspace = Workspace(folder / "run")
        self.workspace.make_folders()
        self.sections: dict[str, Any] = {
            "projects": {NEUTRON: {"url": self.neutron.url, "irrelevant_files": ["^doc/", r"\.rst$"]}},
            "driver": {"project": DRIVER, "source": self.driver.url},
        }

    def prepare(self, **flags: str) -> dict[str, Any]:
        settings = make_settings(self.folder, **self.sections)
        change = find_change(settings, {}, {"project": NEUTRON, **flags}, None)
        return self.prepare_change(settings, change)

    def prepare_change(self, settings: Any, change: ChangeUnderTest) -> dict[str, Any]:
        environment = {**ENVIRONMENT, RUN_ID_VARIABLE: RUN_ID}
        with stage(self.workspace, "prepare-gate") as record:
            patience = Patience(sleep=Waits())
            return prepare_gate(settings, change, self.workspace, environment, record, patience=patience)

    def command(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        config = write_config(self.folder, **self.sections)
        return subprocess.run(
            [
                sys.executable,
                "-c",
                COMMAND,
                "--config",
                str(config),
                "--workspace",
                str(self.folder / "run"),
                *arguments,
            ],
            cwd=self.folder,
            env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> RecordingGate:
    made = RecordingGate()
    monkeypatch.setattr("ci_scripts.gates.gate_of", lambda kind: made)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_run_is_prepared(site: Site, gate: RecordingGate) -> None:
    revision = site.neutron.change(1, 1, {"plugin.py": "1"})
    tip = site.neutron.commit({"later": "x"})
    site.prepare(change="1,1")
    run = site.workspace.read_run()
    assert run["run_id"] == RUN_ID
    assert run["change"]["revision"] == revision
    assert run["change"]["ref"] == change_ref(1, 1)
    assert run["checkouts"][NEUTRON]["tip"] == tip
    assert run["checkouts"][NEUTRON]["contains_revision"] is True
    assert run["checkouts"][DRIVER]["commit"] == site.driver.tip()
    assert run["environments"] == {"openstack": "environments/openstack"}
    assert set(run["tools"]) == {"openstack-driver-ci", "python", "git", "uv"}
    assert gate.checkouts[NEUTRON] == site.workspace.src / NEUTRON
    assert (site.workspace.src / NEUTRON / "plugin.py").exists()
    assert change_from_record(run).name == "1,1"
    assert os.access(site.workspace.reproduce_sh, os.X_OK)
    assert f"ZUUL_COMMIT={revision}" in site.workspace.environment_sh.read_text()


def test_irrelevant_files_skip_the_run(site: Site, gate: RecordingGate) -> None:
    site.neutron.change(1, 1, {"doc/a": "1", "README.rst": "x"})
    with pytest.raises(NothingToTest, match="irrelevant files only: .*README.rst"):
        site.prepare(change="1,1")
    verdict = read_json(site.workspace.verdict_json)
    assert (verdict["outcome"], verdict["blame"], verdict["rule"]) == ("SKIPPED", "nobody", "irrelevant-files")
    assert (verdict["exit_code"], verdict["run_id"]) == (4, RUN_ID)
    assert read_run_facts(site.workspace.root).early_outcome == "SKIPPED"
    assert gate.checkouts == {}
    assert not list(site.workspace.src.iterdir())


def test_a_relevant_file_among_irrelevant_ones_runs(site: Site, gate: RecordingGate) -> None:
    site.neutron.change(1, 1, {"doc/a": "1", "plugin.py": "x"})
    assert site.prepare(change="1,1")["checkouts"]


def test_a_merge_conflict_blames_nobody(site: Site, gate: RecordingGate) -> None:
    site.neutron.change(1, 1, {"README": "mine\n"})
    site.neutron.commit({"README": "theirs\n"})
    with pytest.raises(MergeConflict):
        site.prepare(change="1,1")
    verdict = read_json(site.workspace.verdict_json)
    assert (verdict["outcome"], verdict["blame"], verdict["rule"]) == ("MERGER_FAILURE", "nobody", "merge-conflict")
    assert verdict["exit_code"] == 4
    record = read_json(site.workspace.stages_dir / "prepare-gate.json")
    assert (record["exit_code"], record["outcome"]) == (4, "MERGER_FAILURE")
    assert read_run_facts(site.workspace.root).early_outcome == "MERGER_FAILURE"


def test_a_project_of_somebody_else_is_nothing_to_test(site: Site, gate: RecordingGate) -> None:
    with pytest.raises(NothingToTest, match="example/other is not tested here"):
        site.prepare(change="1,1", project="example/other", url=site.neutron.url)
    assert read_json(site.workspace.verdict_json)["rule"] == "project-not-configured"


def test_dependencies_that_are_not_checked_out_are_said(site: Site, gate: RecordingGate) -> None:
    site.neutron.change(1, 1, {"plugin.py": "1"})
    settings = make_settings(site.folder, **site.sections)
    values = {"number": "9", "patchset": "1", "branch": "master", "ref": change_ref(9, 1)}
    other = ChangeUnderTest(project="openstack/nova", **values)
    change = find_change(settings, {}, {"project": NEUTRON, "change": "1,1"}, None)
    from dataclasses import replace

    site.prepare_change(settings, replace(change, also=(other,)))
    assert "change 9,1 of openstack/nova is not checked out here" in site.workspace.console_log.read_text()
    assert site.workspace.read_run()["also"][0]["project"] == "openstack/nova"


def test_a_missing_lab_credential_is_a_configuration_error(site: Site, gate: RecordingGate) -> None:
    site.neutron.change(1, 1, {"plugin.py": "1"})
    site.sections["secrets"] = [{"name": "controller", "environment": "LAB_PASSWORD"}]
    with pytest.raises(ConfigurationError, match="LAB_PASSWORD"):
        site.prepare(change="1,1")


def test_what_an_earlier_run_left_is_forgotten(site: Site) -> None:
    workspace = site.workspace
    elsewhere = site.folder / "elsewhere"
    (elsewhere / "keep").mkdir(parents=True)
    for path in (workspace.verdict_json, workspace.tests_json, workspace.stream, workspace.root / "mine.txt"):
        path.write_text("{}")
    workspace.src.rmdir()
    workspace.src.symlink_to(elsewhere)
    forget_earlier_run(workspace, "local")
    assert workspace.verdict_json.exists(), "without a run.json nothing here is known to be ours"
    workspace.run_json.write_text("{}")
    forget_earlier_run(workspace, "local")
    assert not any(
        p.exists() for p in (workspace.verdict_json, workspace.tests_json, workspace.stream, workspace.run_json)
    )
    assert (workspace.root / "mine.txt").exists() and (elsewhere / "keep").exists()
    assert workspace.src.is_dir() and not workspace.src.is_symlink()


def test_command_skips_and_leaves_a_verdict(site: Site) -> None:
    site.neutron.change(1, 1, {"doc/a": "1"})
    for _ in range(2):
        done = site.command("--change", "1,1", "--project", NEUTRON)
        assert done.returncode == 4, done.stderr
    assert "irrelevant files only: doc/a" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((site.folder / "run" / "verdict.json").read_text())["outcome"] == "SKIPPED"


def test_command_takes_the_change_from_a_trigger(site: Site) -> None:
    revision = site.neutron.change(1, 1, {"doc/a": "1"})
    done = site.command(
        GERRIT_PROJECT=NEUTRON,
        GERRIT_BRANCH="master",
        GERRIT_CHANGE_NUMBER="1",
        GERRIT_PATCHSET_NUMBER="1",
        GERRIT_PATCHSET_REVISION=revision,
        GERRIT_REFSPEC=change_ref(1, 1),
        GERRIT_EVENT_TYPE="patchset-created",
    )
    assert done.returncode == 4, done.stderr
    run = json.loads((site.folder / "run" / "run.json").read_text())
    assert (run["trigger"], run["change"]["event_type"]) == ("gerrit-trigger", "patchset-created")


def test_a_repository_may_be_named_by_a_relative_path(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site.folder)
    settings = make_settings(site.folder, **site.sections)
    flags = {"project": NEUTRON, "change": "1,1", "url": "server/openstack/neutron"}
    assert find_change(settings, {}, flags, None).url == str(site.neutron.folder.resolve())


def test_command_dry_run_writes_nothing(site: Site) -> None:
    site.workspace.root.rename(site.folder / "away")
    done = site.command("--change", "1,1", "--project", NEUTRON, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"{NEUTRON}: {site.neutron.url} refs/heads/master, change 1,1 (refs/changes/01/1/1)" in done.stdout
    assert f"{DRIVER}: {site.driver.url} refs/heads/master or refs/tags/master" in done.stdout
    assert not (site.folder / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "No change to test is given"),
        (["--change", "1,1", "--project", "../etc"], "'..'"),
        (["--change", "1,1", "--project", NEUTRON, "--url", "ext::sh -c id"], "git remote helper"),
        (["--change", "1,1", "--project", NEUTRON, "--ref=--upload-pack=x"], "leading dash|starts with a dash"),
        (["--change", "1,1", "--project", NEUTRON, "--branch", "a\nb"], "line break"),
        (["--change", "8,1", "--project", NEUTRON], "has no refs/changes/08/8/1"),
    ],
)
def test_command_refuses_bad_input(site: Site, arguments: list[str], said: str) -> None:
    done = site.command(*arguments)
    assert done.returncode == 2, done.stderr
    assert any(part in done.stderr for part in said.split("|")), done.stderr
    assert "Next: " in done.stderr and "Traceback" not in done.stderr


def test_command_help_shows_an_example(site: Site) -> None:
    done = site.command("--help")
    assert done.returncode == 0
    assert "Example: ci-prepare-gate --config ci.yaml --change 1,1" in " ".join(done.stdout.split())


def test_command_keeps_out_of_a_workspace_in_use(site: Site) -> None:
    site.neutron.change(1, 1, {"doc/a": "1"})
    with site.workspace.lock(run_id=RUN_ID, environment={}):
        done = site.command("--change", "1,1", "--project", NEUTRON)
    assert done.returncode == 2
    assert f"another run is active in {site.workspace.root} (process {os.getpid()})" in done.stderr
    assert not site.workspace.run_json.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_command_stops_its_children_on_a_signal(site: Site, number: signal.Signals, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        # A server that takes the connection and says nothing.
        site.sections["projects"][NEUTRON]["url"] = f"git://127.0.0.1:{server.getsockname()[1]}/neutron"
        config = write_config(site.folder, **site.sections)
        arguments = ["--config", str(config), "--workspace", str(site.workspace.root)]
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments, "--change", "1,1", "--project", NEUTRON],
            env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)},
            stderr=subprocess.PIPE,
            text=True,
        )
        server.settimeout(30)
        connection, _ = server.accept()
        with connection:
            time.sleep(0.3)
            process.send_signal(number)
            _, stderr = process.communicate(timeout=30)
            connection.settimeout(10)
            # The end of the stream: git is gone.
            while connection.recv(4096):
                pass
    assert process.returncode == code, stderr
    record = read_json(site.workspace.stages_dir / "prepare-gate.json")
    assert record["exit_code"] == code
    with site.workspace.lock(run_id="another", environment={}):
        pass


def test_command_names_a_server_that_cannot_be_reached(site: Site) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    site.sections["projects"][NEUTRON]["url"] = f"git://127.0.0.1:{port}/neutron"
    settings = make_settings(site.folder, **site.sections)
    change = find_change(settings, {}, {"project": NEUTRON, "change": "1,1"}, None)
    started = time.monotonic()
    with pytest.raises(Exception, match=f"127.0.0.1:{port} .*after 3 tries") as caught:
        site.prepare_change(settings, change)
    assert getattr(caught.value, "exit_code", None) == 3
    assert time.monotonic() - started < 20


def test_a_change_to_ci_yaml_and_the_hooks_is_not_used_for_its_own_run(fake_site: FakeSite) -> None:
    """The CI's configuration is kept beside the driver, and a change to both is tested with the operator's copy."""
    owned = fake_site.folder / "owned"
    script = f"#!/bin/sh\ntouch {owned}\nexit 1\n"
    scripts = ("pre_test_hook.sh", "gate_hook.sh", "post_test_hook.sh")
    evil = json.dumps({"name": "Evil CI", "gate": {"timeout_minutes": 1}, "projects": {}})
    change = {"ci.yaml": evil, "environment.sh": script, **{f"devstack-hooks/{name}": script for name in scripts}}
    fake_site.use_driver(driver_files(), change)
    done = fake_site.command("ci-run-job", *fake_site.change_flags())
    assert done.exit_code == 0, done.errors
    assert (fake_site.workspace.src / PROJECT / "ci.yaml").read_text() == evil
    run = fake_site.workspace.read_run()
    assert run["config"] == str(fake_site.config) and "Evil CI" not in json.dumps(run["settings"])
    assert not owned.exists()
