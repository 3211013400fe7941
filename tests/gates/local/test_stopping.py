"""What stop does when part of it fails; the processes are those of test_supervision.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import databases, gate, supervision
from ci_scripts.settings import load_settings
from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver: {project: example/networking-example, package: networking-example}
"""


@pytest.fixture
def context(tmp_path: Path) -> GateContext:
    (tmp_path / "ci.yaml").write_text(CONFIG)
    workspace = Workspace(tmp_path / "run")
    workspace.make_folders()
    settings = load_settings(tmp_path / "ci.yaml", environment={"HOME": str(tmp_path)})
    return GateContext(settings, workspace, {}, {}, {}, {}, StageRecord(workspace, "stop-gate"))


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    done: list[str] = []
    monkeypatch.setattr(supervision, "stop_supervisor", lambda *arguments: done.append("supervisor"))
    monkeypatch.setattr(databases, "drop_schemas", lambda *arguments: done.append("schemas"))
    return done


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"schema": 1}', '{"schema": 1, "shards": [{}]}', '{"schema": 1, "shards": 3}', '{"schema": 99}'],
)
def test_a_damaged_access_file_does_not_keep_the_gate_running(
    context: GateContext, stopped: list[str], text: str
) -> None:
    access_file = context.workspace.gate_dir / "access.json"
    access_file.write_text(text)
    gate.stop(context)
    assert stopped == ["supervisor", "schemas"]
    assert not access_file.exists()
    assert "access.json is damaged" in context.workspace.console_log.read_text()


def test_the_first_cause_is_kept_and_the_rest_is_done(
    context: GateContext, stopped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise InfrastructureError("the supervisor is stuck.")

    def has_no_server(*arguments: object) -> None:
        stopped.append("schemas")
        raise InfrastructureError("no server.")

    access_file = context.workspace.gate_dir / "access.json"
    access_file.mkdir()
    monkeypatch.setattr(supervision, "stop_supervisor", fails)
    monkeypatch.setattr(databases, "drop_schemas", has_no_server)
    with pytest.raises(InfrastructureError, match="the supervisor is stuck"):
        gate.stop(context)
    assert stopped == ["schemas"]
    said = context.workspace.console_log.read_text()
    assert "while stopping the gate: no server." in said and "access.json" in said
