"""A site whose gate is of kind devstack-gate, with the stand-in wrapper and servers of the projects that it clones."""

from __future__ import annotations

import json
import os
import pwd
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from tests.fakes.fake_openstack import CLASS, PROJECT, FakeIndex, FakeSite, driver_files
from tests.repositories import Remote, git

HERE = Path(__file__).parent
DEVSTACK = HERE.parent / "standin_devstack"
SCRIPTS = ("devstack-vm-gate-wrap.sh", "devstack-vm-gate.sh", "functions.sh")
NEUTRON = {"ml2_conf.ini": {"ml2": {"mechanism_drivers": "logger,fake"}}}
PLUGIN_FILES = {
    "setup.cfg": "[metadata]\nname = fake-driver\nversion = 1.0\n"
    "[entry_points]\nneutron.ml2.mechanism_drivers =\n    fake = fake_driver:FakeDriver\n",
    "devstack/plugin.sh": 'if [[ $1 == stack && $2 == install ]]; then setup_develop "$DEST/fake-driver"; fi\n',
}
# Minutes: with a buffer of 1, the wrapper gives its first hook 13 - 1 - 5 = 7.
TIMES = {"timeout_minutes": 13, "devstack_gate": {"timeout_buffer_minutes": 1}}


def stand_in() -> dict[str, str]:
    """The files of the stand-in devstack-gate."""
    return {name: (HERE / name).read_text() for name in SCRIPTS}


def make_executable(remote: Remote, *names: str) -> None:
    """In the newest commit of the branch."""
    for name in names:
        (remote.folder / name).chmod(0o755)
    git(remote.folder, "add", "--all")
    git(remote.folder, "commit", "--quiet", "--amend", "--no-edit")


class GateSite(FakeSite):
    """``server`` has openstack/devstack-gate and openstack/devstack; BASE is a folder of the test's own."""

    def __init__(self, folder: Path, index: FakeIndex) -> None:
        self.server = folder / "server"
        self.base = folder / "stack"
        self.devstack_gate = Remote(self.server / "openstack" / "devstack-gate")
        self.devstack_gate.commit(stand_in())
        make_executable(self.devstack_gate, *SCRIPTS)
        self.good = self.devstack_gate.tip()
        # As it is upstream: the branch goes on to a commit without scripts.
        git(self.devstack_gate.folder, "rm", "--quiet", *SCRIPTS)
        self.devstack_gate.commit({"README.rst": "This project is no longer maintained.\n"})
        self.devstack = Remote(self.server / "openstack" / "devstack")
        shutil.copytree(DEVSTACK, self.devstack.folder, dirs_exist_ok=True)
        self.devstack.commit({})
        self.driver = Remote(self.server / PROJECT)
        self.driver.commit({**driver_files(), **PLUGIN_FILES})
        self.driver.change(1, 1, {"doc.txt": "harmless\n"})
        super().__init__(folder, index)
        self.points = self.control / "devstack-gate"
        self.points.mkdir()

    def write_config(self, **sections: Any) -> None:
        """ci.yaml of this kind; ``gate`` and its ``devstack_gate`` are merged with the usual ones."""
        gate = {**TIMES, **sections.pop("gate", {})}
        wanted = {
            "source": self.devstack_gate.url,
            "ref": self.good,
            "environment": {"GIT_BASE": self.server.as_uri()},
            **TIMES["devstack_gate"],  # type: ignore[dict-item]
            **gate.pop("devstack_gate", {}),
        }
        clouds = str(self.folder / "clouds.yaml")
        user = pwd.getpwuid(os.geteuid()).pw_name
        devstack = {"base": str(self.base), "user": user, "clouds_file": clouds, "localrc": {"CLOUDS_YAML": clouds}}
        gate = {"kind": "devstack-gate", "devstack": devstack, **gate, "devstack_gate": wanted}
        driver = {"project": PROJECT, "source": self.driver.url, "neutron_config": NEUTRON}
        super().write_config(**{"driver": driver, **sections, "gate": gate})

    @property
    def layout(self) -> WrapperLayout:
        return WrapperLayout(self.workspace, self.base)

    def at(self, point: str, script: str = "") -> None:
        """Have the stand-in do something at a point; see its functions.sh."""
        (self.points / point).write_text(script)

    def prepare(self) -> None:
        done = self.command("ci-prepare-gate", *self.change_flags())
        assert done.exit_code == 0, done.errors

    def hooks(self, **scripts: str) -> None:
        """Other hooks than ours, by name; those that are not given end well and leave the record of their stage."""
        stages = {"pre_test_hook": "install-driver", "gate_hook": "start-gate", "post_test_hook": "run-tempest"}
        folder = self.folder / "hooks"
        folder.mkdir()
        for name, stage in stages.items():
            record = json.dumps({"schema": 1, "name": stage, "exit_code": 0})
            quiet = f"echo '{record}' > \"$WORKSPACE/stages/{stage}.json\"\n"
            (folder / f"{name}.sh").write_text(scripts.get(name, quiet))
        with open(self.workspace.environment_sh, "a") as script:
            script.write(f"export CI_HOOKS={folder}\n")

    def console(self) -> str:
        """What the wrapper said."""
        return self.layout.console.read_text(errors="replace")

    def steps(self) -> Mapping[str, str]:
        """How the steps of ci-run-gate ended, by name, in their order."""
        return {step["name"]: step["ended"] for step in self.stage("run-gate")["steps"]}


TEST = f"{CLASS}.test_first"
