"""The example for Zuul as its executor runs it: each playbook by the real ansible-playbook, node and executor here.

Zuul itself and the node are stood in for: an inventory with Zuul's variables, a connection to this machine, the fake
OpenStack under the real commands, a fake Gerrit, and a module in the place of zuul_return.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.fake_gerrit import FakeGerrit, settings_for
from tests.fakes.fake_openstack import PROJECT, FakeSite

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "zuul"
BIN = Path(sys.executable).parent
STAND_IN = Path(__file__).with_name("zuul_stand_in")
CONFIG, JOBS = "ci-config", "ci-jobs"
PLAYBOOKS = {
    "pre": f"{CONFIG}/playbooks/pre.yaml",
    "run": f"{JOBS}/playbooks/run.yaml",
    "post": f"{JOBS}/playbooks/post.yaml",
    "report": f"{CONFIG}/playbooks/report.yaml",
}


@dataclass
class ZuulBuild:
    """One build of the example's job for change ``number``,1 of the fake driver."""

    site: FakeSite
    gerrit: FakeGerrit
    number: int

    def __post_init__(self) -> None:
        self.folder = self.site.folder / "zuul"
        shutil.copytree(EXAMPLE, self.folder)
        self.home = self.site.folder / "home"
        self.work = self.site.folder / "work"
        self.result = self.site.folder / "zuul-result.json"
        self.logs = self.site.folder / "published"
        for path in (self.work, self.logs):
            path.mkdir()
        self._write_config()
        self.inventory = self.site.folder / "inventory.yaml"
        self.inventory.write_text(json.dumps(self._inventory()))

    def _write_config(self) -> None:
        section = settings_for(self.gerrit, self.site.folder / "secrets")
        del section["password_file"]
        self.site.write_config(
            name="Demo CI",
            gerrit={**section, "password_environment": "DRIVER_CI_GERRIT_PASSWORD"},
            logs={"publish_to": str(self.logs), "url": "https://logs.example.org"},
            contacts=[{"name": "Ann", "email": "ann@example.org"}, {"name": "Bob", "irc": "bob"}],
        )
        shutil.copy(self.site.config, self.folder / CONFIG / "ci" / "ci.yaml")

    def _inventory(self) -> dict[str, Any]:
        zuul = {
            "branch": "master",
            "build": "5" * 32,
            "change": str(self.number),
            "change_url": f"https://review.example.org/c/{PROJECT}/+/{self.number}",
            "executor": {"work_root": str(self.work), "inventory_file": str(self.site.folder / "inventory.yaml")},
            "job": "example-networks-tempest",
            "patchset": "1",
            "pipeline": "check",
            "project": {"name": PROJECT, "canonical_name": f"review.example.org/{PROJECT}"},
            "tenant": "example-networks",
        }
        own = {
            "driver_ci_requirement": "",
            "driver_ci_home": str(self.home),
            "driver_ci_bin": str(BIN),
            "driver_ci_trusted_bin": str(BIN),
            "driver_ci_trusted_cache": str(self.site.index.cache),
        }
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        # localhost is implicit in Zuul's inventories as well: what is said for all is said for it.
        return {"all": {"hosts": {"node": None}, "vars": {"zuul": zuul, **own, **here}}}

    def play(self, name: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook; the secrets are given to those of the config project alone, as Zuul does."""
        secrets = {"driver_ci_secrets": {"gerrit_password": self.gerrit.password("demo-ci")}}
        given = ["--extra-vars", json.dumps(secrets)] if PLAYBOOKS[name].startswith(CONFIG) else []
        argv = [str(BIN / "ansible-playbook"), "--inventory", str(self.inventory), *given, *more]
        return subprocess.run(
            [*argv, str(self.folder / PLAYBOOKS[name])],
            cwd=self.folder,
            env={**self.site.environment(), **ansible_environment(self.site.folder), "WORKSPACE": ""}
            | {"ZUUL_STAND_IN_RESULT": str(self.result), "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def ansible_environment(folder: Path) -> dict[str, str]:
    """Ansible writes nothing outside of ``folder`` and finds the stand-in for Zuul's module."""
    return {
        "ANSIBLE_HOME": str(folder / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible" / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "ansible" / "remote"),
        "ANSIBLE_LIBRARY": str(STAND_IN),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "1",
    }
