"""The real devstack-gate, where DEVSTACK_GATE_CHECKOUT names a checkout of it: its own scripts run by ci-run-gate.

What its node would have is stood in for: root's rights, ansible, dsconf, the package index, and DevStack.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_openstack import CLASS, FakeIndex
from tests.fakes.standin_devstack_gate.site import HERE, GateSite, make_executable
from tests.repositories import git

CHECKOUT = os.environ.get("DEVSTACK_GATE_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="DEVSTACK_GATE_CHECKOUT names no checkout of devstack-gate")
PROGRAMS = ("ansible", "ansible-playbook", "dsconf")
NOTHING = (
    "pip",
    "pip3",
    "ara",
    "virtualenv",
    "apt-get",
    "dpkg",
    "ip",
    "systemctl",
    "journalctl",
    "ss",
    "iptables-save",
)


class RealSite(GateSite):
    """A site with the real devstack-gate, whose ansible is not in /tmp, which all tests share."""

    def __init__(self, folder: Path, index: FakeIndex) -> None:
        super().__init__(folder, index)
        ansible, programs = folder / "ansible" / "bin", folder / "programs"
        for place, names in ((ansible, (*PROGRAMS, "pip", "ara")), (programs, ("sudo", *NOTHING))):
            place.mkdir(parents=True)
            for name in names:
                source = HERE / "node" / name
                shutil.copy(source if source.exists() else HERE / "node" / "nothing", place / name)
        shutil.copytree(str(CHECKOUT), self.devstack_gate.folder, dirs_exist_ok=True, ignore=lambda *_: {".git"})
        for script in self.devstack_gate.folder.glob("*.sh"):
            script.write_text(script.read_text().replace("/tmp/ansible", str(ansible.parent)))
        self.devstack_gate.commit({})
        make_executable(self.devstack_gate, "devstack-vm-gate-wrap.sh", "devstack-vm-gate.sh")
        self.good = self.devstack_gate.tip()
        self.devstack.commit({"inc/ini-config": "# iniset is in functions\n"})
        self.variables["PATH"] = f"{programs}:{os.environ['PATH']}"
        self.write_config()

    def write_config(self, **sections: Any) -> None:
        gate = sections.pop("gate", {})
        own = {
            "GIT_BASE": self.server.as_uri(),
            # Else the matrix of features asks the node for a Python with YAML.
            "OVERRIDE_ENABLED_SERVICES": "q-svc",
            "NODE_ROOT": str(self.folder),
            "PROCESS_STACKVIZ": 0,
        }
        wanted = {"environment": own, "projects": [], **gate.pop("devstack_gate", {})}
        super().write_config(**sections, gate={"timeout_minutes": 40, **gate, "devstack_gate": wanted})


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[RealSite]:
    site = RealSite(tmp_path / "site", fake_index)
    try:
        yield site
        assert site.left() == []
    finally:
        site.clear()


def test_a_whole_run_passes_and_is_proved(site: RealSite) -> None:
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert set(site.steps().values()) == {"done"}
    assert "SUCCESSFULLY FINISHED" in site.console()
    assert (site.layout.dest / "fake-driver" / "doc.txt").exists()
    assert git(site.layout.dest / "devstack-gate", "rev-parse", "HEAD") == site.good
    local_conf = (site.layout.dest / "devstack" / "local.conf").read_text()
    assert f"enable_plugin fake-driver {site.layout.dest}/fake-driver" in local_conf
    assert "[[post-config|/$Q_PLUGIN_CONF_FILE]]" in local_conf
    assert (site.layout.collected / "devstack-gate-pre_test_hook.txt").exists()
    assert site.command("ci-summarize-results").exit_code == 0
    assert site.verdict()["proof"]["complete"], site.verdict()["proof"]


def test_failed_tests(site: RealSite) -> None:
    site.tests({f"{CLASS}.test_bad": "fail"})
    site.prepare()
    assert site.command("ci-run-gate").exit_code == 0
    assert "*** FAILED with status: 1" in site.console()


def test_a_host_that_cannot_be_set_up(site: RealSite) -> None:
    site.prepare()
    site.at("playbook", "echo 'fatal: [localhost]: FAILED!'; exit 2\n")
    done = site.command("ci-run-gate")
    assert done.exit_code == 3
    reason = done.paragraph("ci-run-gate")
    assert "devstack-gate could not set up the host (exit code 2): fatal: [localhost]: FAILED!" in reason


def test_a_project_that_cannot_be_cloned(site: RealSite) -> None:
    site.write_config(gate={"devstack_gate": {"projects": ["openstack/devstack-gate", "openstack/gone"]}})
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 3
    assert "devstack-gate could not set up the workspace (exit code " in done.paragraph("ci-run-gate")


@pytest.mark.parametrize("hook", ["pre_test_hook", "gate_hook", "post_test_hook"])
def test_a_hook_that_fails(site: RealSite, hook: str) -> None:
    site.prepare()
    site.hooks(**{hook: "exit 9\n"})
    done = site.command("ci-run-gate")
    assert done.exit_code == 3
    assert f"{hook} ended with exit code 9" in done.paragraph("ci-run-gate")


def test_no_time_is_left(site: RealSite) -> None:
    site.prepare()
    with open(site.workspace.environment_sh, "a") as script:
        script.write("export DEVSTACK_GATE_TIMEOUT_BUFFER=60\n")
    done = site.command("ci-run-gate")
    assert done.exit_code == 3
    assert "devstack-gate had no time left for pre_test_hook" in done.paragraph("ci-run-gate")
