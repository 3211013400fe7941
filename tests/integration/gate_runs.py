"""Real runs for the tests of this folder: the installed commands on examples/, real OpenStack, a workspace each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ci_scripts.workspace import Workspace
from tests.fakes.left_behind import left_behind

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
DRIVER = "example/networking-example"
NEUTRON = "openstack/neutron"
SECONDS = 600
# Quick classes of Tempest, one per line of what they touch.
NETWORKS = r"^tempest\.api\.network\.test_networks\.NetworksTest\."
ADDRESS_PAIRS = r"^tempest\.api\.network\.test_allowed_address_pair\.AllowedAddressPairTestJSON\."
PORTS = r"^tempest\.api\.network\.test_ports\.PortsTestJSON\."
# What a trigger or an operator may have set where the tests run.
_OURS = re.compile(r"WORKSPACE|(?:CI_|ZUUL_|GERRIT_|OS_|TEMPEST_).*")


@dataclass
class Done:
    """A command that has ended."""

    exit_code: int
    output: str


@dataclass
class Run:
    """One workspace and how the commands are called for it."""

    folder: Path
    config: Path
    environment: dict[str, str]
    workspace: Workspace = field(init=False)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.folder / "workspace")

    def command(self, name: str, *arguments: object, **environment: str) -> Done:
        """Run an installed command in the run's workspace, from the run's folder."""
        done = subprocess.run(
            [str(BIN / name), "--workspace", str(self.workspace.root), *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return Done(done.returncode, done.stdout)

    def good(self, name: str, *arguments: object, **environment: str) -> str:
        """As ``command``, and it must end with 0; its output."""
        done = self.command(name, *arguments, **environment)
        assert done.exit_code == 0, done.output
        return done.output

    def job(self, repository: Path, ref: str, *more: object, project: str = DRIVER) -> Done:
        """ci-run-job for the change at ``ref``, which is refs/changes/NN/N/P."""
        return self.command("ci-run-job", *self._change(repository, ref, project), *more)

    def prepare(self, repository: Path, ref: str, project: str = DRIVER) -> None:
        """ci-prepare-gate for it."""
        self.good("ci-prepare-gate", *self._change(repository, ref, project))

    def _change(self, repository: Path, ref: str, project: str) -> list[object]:
        number, patchset = ref.split("/")[-2:]
        words = ["--config", self.config, "--change", f"{number},{patchset}", "--project", project]
        return [*words, "--ref", ref, "--url", repository]

    def read(self, name: str) -> Any:
        return json.loads((self.workspace.root / name).read_text())

    def tests(self) -> dict[str, str]:
        """Status by id, from tests.json, where each id must stand once."""
        entries = self.read("tests.json")["tests"]
        found = {entry["id"]: entry["status"] for entry in entries}
        assert len(found) == len(entries)
        return found

    def selected(self) -> list[str]:
        return self.workspace.selected_tests.read_text().split()

    def services(self) -> list[dict[str, Any]]:
        return list(self.read("logs/gate/gate-status.json")["services"])

    def left(self) -> list[str]:
        return left_behind(self.folder)


def configuration(folder: Path, change: Callable[[dict[str, Any]], None], name: str = "ci.yaml") -> Path:
    """A configuration of examples/, changed by ``change``, in ``folder``."""
    text = (EXAMPLES / name).read_text().replace("{config_dir}", str(EXAMPLES))
    content = yaml.safe_load(text)
    content["gate"]["constraints"] = str(EXAMPLES / "constraints.txt")
    change(content)
    path = folder / name
    path.write_text(json.dumps(content, indent=1))
    return path


def environment_of_user() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}


def make_repositories(folder: Path, *more: object) -> None:
    subprocess.run(
        [sys.executable, str(EXAMPLES / "make_repositories.py"), "--into", str(folder), *map(str, more)],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=SECONDS,
    )
