"""Depends-On on a real Gerrit, read and fetched without a password as a node does it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ci_scripts.depends_on import DependenciesRefused
from ci_scripts.gerrit.needed import OpenToAll
from ci_scripts.gerrit.pace import Patience
from ci_scripts.stage_log import stage
from ci_scripts.stages.change_options import find_change
from ci_scripts.stages.prepare_gate import prepare_gate
from ci_scripts.workspace import RUN_ID_VARIABLE, Workspace
from tests.repositories import ENVIRONMENT, make_settings

if TYPE_CHECKING:
    from tests.integration.gerrit_server import RealGerrit

pytest_plugins = ["tests.integration.gerrit_server"]


class AnyGate:
    """Needs nothing."""

    def prepare(self, context: object) -> dict[str, str]:
        return {}


def prepare(folder: Path, gerrit: RealGerrit, projects: list[str], number: int, project: str) -> Workspace:
    """ci-prepare-gate for a change as the Gerrit Trigger names it."""
    addresses = {name: {"url": f"{gerrit.url}/{name}"} for name in projects}
    settings = make_settings(folder, projects=addresses, gate={"kind": "devstack-gate"})
    variables = {
        "GERRIT_PROJECT": project,
        "GERRIT_BRANCH": "master",
        "GERRIT_CHANGE_NUMBER": str(number),
        "GERRIT_PATCHSET_NUMBER": "1",
        "GERRIT_CHANGE_URL": f"{gerrit.url}/c/{project}/+/{number}",
    }
    workspace = Workspace(folder / "run")
    workspace.make_folders()
    change = find_change(settings, variables, {}, None)
    with stage(workspace, "prepare-gate") as record:
        prepare_gate(settings, change, workspace, {**ENVIRONMENT, RUN_ID_VARIABLE: "20260131T120000Z-1a2b3c"}, record)
    return workspace


def test_what_a_change_needs_is_merged(
    real_gerrit: RealGerrit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ci_scripts.gates.gate_of", lambda kind: AnyGate())
    lib, neutron = real_gerrit.new_project(), real_gerrit.new_project()
    needed = real_gerrit.push(lib, files=["needed.py"])
    found = OpenToAll(real_gerrit.url, Patience()).found(f"change:{needed}")
    assert [(one.number, one.status, one.patch_set) for one in found] == [(needed, "NEW", 1)]
    page = f"{real_gerrit.url}/c/{lib}/+/{needed}"
    change = real_gerrit.push(neutron, files=["mine.py"], subject=f"Mine\n\nDepends-On: {page}")
    workspace = prepare(tmp_path, real_gerrit, [lib, neutron], change, neutron)
    assert (workspace.src / lib / "needed.py").exists() and (workspace.src / neutron / "mine.py").exists()
    assert [item["number"] for item in workspace.read_run()["also"]] == [str(needed)]
    real_gerrit.abandon(needed)
    with pytest.raises(DependenciesRefused, match="is abandoned"):
        prepare(tmp_path / "again", real_gerrit, [lib, neutron], change, neutron)
