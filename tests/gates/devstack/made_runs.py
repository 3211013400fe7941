"""A run on the devstack gate as prepare-gate leaves it, without git or DevStack: what local.conf is rendered from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ci_scripts.gates.context import GateContext
from ci_scripts.settings import load_settings, secret_values
from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

HEAD = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
"""
DRIVER = """\
driver:
  project: example/networking-example
  source: https://git.example.org/networking-example
  ref: master
"""
PASSWORDS = {
    "ADMIN_PASSWORD": "0000000000000000000a",
    "DATABASE_PASSWORD": "0000000000000000000b",
    "RABBIT_PASSWORD": "0000000000000000000c",
    "SERVICE_PASSWORD": "0000000000000000000d",
}
# A few lines in the form of DevStack's stackrc, with a library whose variables are not named after it.
STACKRC = """\
GIT_BASE=${GIT_BASE:-https://git.example.org}
NEUTRON_REPO=${NEUTRON_REPO:-${GIT_BASE}/openstack/neutron.git}
NEUTRON_BRANCH=${NEUTRON_BRANCH:-$TARGET_BRANCH}
KEYSTONE_REPO=${KEYSTONE_REPO:-${GIT_BASE}/openstack/keystone.git}
GITREPO["oslo.config"]=${OSLOCFG_REPO:-${GIT_BASE}/openstack/oslo.config.git}
GITREPO["neutron-lib"]=${NEUTRON_LIB_REPO:-${GIT_BASE}/openstack/neutron-lib.git}
"""


def made_context(
    folder: Path, more: str, branches: dict[str, str], secrets: dict[str, str] | None = None
) -> GateContext:
    """``more`` is the rest of ci.yaml, ``branches`` the checkouts of run.json with their branches."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ci.yaml").write_text(HEAD + more)
    workspace = Workspace(folder / "run")
    workspace.make_folders()
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", **(secrets or {})}
    settings = load_settings(folder / "ci.yaml", environment=environment)
    checkouts: dict[str, Any] = {}
    for number, (project, branch) in enumerate(branches.items()):
        checkouts[project] = {"path": f"src/{project}", "branch": branch, "commit": f"{number:040x}"}
        (workspace.src / project).mkdir(parents=True)
    run = {"change": {"project": next(iter(branches)), "branch": "master"}, "checkouts": checkouts, "gate": {}}
    (workspace.gate_dir / "devstack").mkdir()
    (workspace.gate_dir / "devstack" / "stackrc").write_text(STACKRC)
    write(workspace.gate_dir / "service-urls.json", {"urls": {"all": {"controller": "http://127.0.0.1:8181"}}})
    write(workspace.gate_dir / "devstack-passwords.json", {"passwords": PASSWORDS})
    record = StageRecord(workspace, "install-driver")
    values = secret_values(settings, environment)
    return GateContext(settings, workspace, run, {"PATH": environment["PATH"]}, {}, values, record)


def write(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps({"schema": 1, **data}))
