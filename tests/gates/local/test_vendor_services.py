"""Waiting for a vendor's service, with a supervisor that only tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import supervision, vendor_services
from ci_scripts.gates.local.services import DIED, RUNNING, Service, ServiceStatus
from ci_scripts.settings import MASK, load_settings
from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver: {project: example/networking-example, package: networking-example}
"""
PASSWORD = "hunter 2"
READY = "http://127.0.0.1:1/?key=hunter%202"


@pytest.mark.parametrize(
    ("state", "words"), [(RUNNING, "was not ready after 0 s at"), (DIED, "did not start: refused")]
)
def test_why_a_service_is_not_ready_shows_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, words: str
) -> None:
    (tmp_path / "ci.yaml").write_text(CONFIG)
    workspace = Workspace(tmp_path / "run")
    workspace.make_folders()
    settings = load_settings(tmp_path / "ci.yaml", environment={"HOME": str(tmp_path)})
    record = StageRecord(workspace, "run-gate")
    context = GateContext(settings, workspace, {}, {}, {}, {"lab": PASSWORD}, record)
    service = Service("controller", None, ("controller",), str(tmp_path), {}, str(tmp_path / "log"))
    status = ServiceStatus("controller", None, service.log, state=state, reason=f"refused {PASSWORD}")
    monkeypatch.setattr(supervision, "status_of", lambda *arguments: status)
    with pytest.raises(InfrastructureError, match=words) as caught:
        vendor_services._wait_until_ready(context, service, READY, 0.0)
    assert "hunter" not in str(caught.value)
    assert MASK in str(caught.value)
