"""A folder in which the installed commands work with the stand-in DevStack, a fake Tempest and a fake driver."""

from __future__ import annotations

import os
import pwd
import shutil
from pathlib import Path
from typing import Any

from tests.fakes.fake_openstack import FakeSite, driver_files
from tests.repositories import Remote

STANDIN = Path(__file__).parents[2] / "fakes" / "standin_devstack"
SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
CONTROLLER = {
    "name": "controller",
    "command": ["{python}", "-c", SERVER, "{port}"],
    "ready_url": "{service.controller.url}/",
}
SETUP_CFG = """\
[metadata]
name = fake-driver
version = 1.0
[entry_points]
neutron.ml2.mechanism_drivers =
    fake = fake_driver:FakeDriver
"""
PLUGIN = """\
if [[ $1 == stack && $2 == install ]]; then
    setup_develop "$DEST/fake-driver"
fi
"""


class DevstackSite:
    """``site`` is where the commands run, ``base`` DevStack's DEST, ``devstack`` the stand-in's repository."""

    def __init__(self, site: FakeSite, **more: Any) -> None:
        self.site = site
        self.base = site.folder / "opt" / "stack"
        self.devstack = Remote(site.folder / "server" / "openstack" / "devstack")
        shutil.copytree(STANDIN, self.devstack.folder, dirs_exist_ok=True)
        self.devstack.commit({})
        plugin = {"setup.cfg": SETUP_CFG, "devstack/plugin.sh": PLUGIN}
        self.driver = site.use_driver({**driver_files(), **plugin}, {"doc.txt": "harmless\n"})
        self.configure(**more)

    def configure(self, fault: str = "", **sections: Any) -> None:
        """Write ci.yaml; ``devstack`` is merged into the usual section gate.devstack."""
        localrc = {"CLOUDS_YAML": str(self.clouds), **({"STANDIN_FAULT": fault} if fault else {})}
        devstack = {
            "source": self.devstack.url,
            "base": str(self.base),
            "clouds_file": str(self.clouds),
            "user": pwd.getpwuid(os.geteuid()).pw_name,
            **sections.pop("devstack", {}),
        }
        devstack["localrc"] = {**localrc, **devstack.get("localrc", {})}
        options = {"ml2": {"mechanism_drivers": "logger,fake"}, "ml2_fake": {"url": "{service.controller.url}"}}
        driver = {
            "project": "example/fake-driver",
            "source": self.driver.url,
            "neutron_config": {"ml2_conf.ini": options},
        }
        self.site.write_config(
            **{"driver": driver, "services": [CONTROLLER], **sections},
            gate={"kind": "devstack", "hang_seconds": 4, "devstack": devstack},
        )

    @property
    def clouds(self) -> Path:
        return self.site.folder / "etc" / "openstack" / "clouds.yaml"

    def prepare(self) -> None:
        """ci-prepare-gate, which must succeed."""
        done = self.site.command("ci-prepare-gate", *self.site.change_flags())
        assert done.exit_code == 0, done.errors

    def calls(self) -> list[str]:
        """What was called of unstack.sh and clean.sh."""
        path = self.base / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def secrets_in_logs(self, *secrets: str) -> list[str]:
        """The files of the run below logs/ that hold one of these."""
        logs = self.site.workspace.logs
        files = [path for path in logs.rglob("*") if path.is_file() and not path.is_symlink()]
        return [str(path) for path in files for secret in secrets if secret.encode() in path.read_bytes()]
