"""The driver in a trial, with real uv: the same packages as in the run, as far as the trial has what the run had."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local.driver import install
from ci_scripts.python_environments import Places, Requirements, installed_packages, prepare_environment
from ci_scripts.settings import load_settings
from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace
from tests.fakes.fake_openstack import PROJECT, FakeIndex, driver_files
from tests.fakes.wheels import write_wheel
from tests.repositories import NEUTRON, write_config


class Trial:
    """An index, the run that a trial is to be like (its packages), and the trial's own environment."""

    def __init__(self, folder: Path, index: FakeIndex) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        (folder / "uv.toml").write_text(f"no-index = true\nfind-links = ['{self.wheels}']\n")
        own = {"UV_CONFIG_FILE": str(folder / "uv.toml"), "BUILD_FAKE_OPENSTACK": str(folder)}
        self.env = {**index.environment(), **own}
        for version in ("1.0", "2.0"):
            write_wheel(self.wheels, "beta", version, {})
            write_wheel(self.wheels, "gamma", version, {})

    def install(self, tested: str, before: str, *environment: str) -> list[str]:
        """The driver, which requires beta and gamma, beside ``environment``; ``before``: the run's packages.txt."""
        workspace = Workspace(self.folder / "run/trials/1-control")
        workspace.make_folders()
        write_config(self.folder, driver={"project": PROJECT, "source": "https://git.example.org/fake-driver"})
        settings = load_settings(self.folder / "ci.yaml", environment={"HOME": str(self.folder)})
        source = workspace.src / PROJECT
        source.mkdir(parents=True)
        for name, text in driver_files(requires=["beta", "gamma"]).items():
            (source / name).write_text(text)
        logs = self.folder / "run/logs"
        logs.mkdir(parents=True)
        (logs / "packages.txt").write_text(before)
        run: dict[str, Any] = {
            "like": str(self.folder / "run/environments"),
            "change": {"project": tested},
            "checkouts": {PROJECT: {"path": f"src/{PROJECT}", "commit": "a" * 40}},
        }
        wanted = Requirements("openstack", list(environment), [], [], sys.executable)
        place = prepare_environment(
            wanted, Places(workspace.environments_dir, self.folder / "cache", workspace.logs), self.env
        )
        context = GateContext(settings, workspace, run, self.env, {}, {}, StageRecord(workspace, "install-driver"))
        install(context, place)
        return [line for line in installed_packages(place, self.env).splitlines() if "==" in line]


@pytest.fixture
def trial(tmp_path: Path, fake_index: FakeIndex) -> Trial:
    return Trial(tmp_path, fake_index)


BEFORE = (
    "# openstack: Python 3.11.7\nbeta==1.0\ngamma==1.0\nneutron @ file:///x\n# tempest: Python 3.11.7\ngamma==2.0\n"
)


def test_what_only_the_driver_requires_is_what_the_run_had(trial: Trial) -> None:
    assert trial.install(NEUTRON, BEFORE, "beta==1.0") == ["beta==1.0", "gamma==1.0"]


def test_a_driver_under_test_may_require_other_things_than_its_branch(trial: Trial) -> None:
    assert trial.install(PROJECT, BEFORE, "beta==1.0") == ["beta==1.0", "gamma==2.0"]


def test_a_run_without_a_list_of_packages_holds_nothing(trial: Trial) -> None:
    assert trial.install(NEUTRON, "", "beta==1.0") == ["beta==1.0", "gamma==2.0"]


def test_the_trials_own_environment_wins_over_the_packages_of_the_run(trial: Trial) -> None:
    """The change requires another beta: without it the branch's own is there, and the driver goes with that."""
    assert trial.install(NEUTRON, BEFORE, "beta==2.0") == ["beta==2.0", "gamma==1.0"]
