"""stages/<name>.json and the console log."""

from __future__ import annotations

import errno
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import InfrastructureError, Terminated
from ci_scripts.stage_log import current_workspace, stage
from ci_scripts.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(tmp_path)
    made.make_folders()
    return made


def record_of(workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workspace.stages_dir / "run-tempest.json").read_text())
    return found


def test_a_stage_that_ends_well(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with stage(workspace, "run-tempest") as record:
        under_way = record_of(workspace)
        assert current_workspace() is workspace
        with record.step("list the tests"):
            record.say("52 tests")
        record.notes["workers"] = 2
    assert (under_way["schema"], under_way["ended"], under_way["exit_code"]) == (1, None, None)
    found = record_of(workspace)
    assert (found["exit_code"], found["reason"], found["workers"]) == (0, None, 2)
    assert datetime.fromisoformat(found["started"]) <= datetime.fromisoformat(found["ended"])
    (step,) = found["steps"]
    assert (step["name"], step["ended"]) == ("list the tests", "done")
    assert step["seconds"] >= 0
    said = capsys.readouterr().err
    assert said == workspace.console_log.read_text()
    assert [line[9:].split(":")[0] for line in said.splitlines()] == [
        "==> list the tests",
        "52 tests",
        "    list the tests",
    ]


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InfrastructureError("no.", next_step="mend."), 3, "no. Next: mend."),
        (Terminated("stopped by SIGTERM."), 143, "stopped by SIGTERM."),
        (ZeroDivisionError("x"), 70, "a bug in this command: ZeroDivisionError: x."),
        (OSError(errno.ENOSPC, "full", "a"), 3, "the disk is full: a could not be written."),
    ],
)
def test_a_stage_that_fails(workspace: Workspace, error: Exception, code: int, reason: str) -> None:
    with pytest.raises(type(error)), stage(workspace, "run-tempest") as record, record.step("work"):
        record.outcome = "ERROR"
        raise error
    found = record_of(workspace)
    assert found["exit_code"] == code
    assert found["reason"].startswith(reason)
    assert found["outcome"] == "ERROR"
    assert found["steps"][0]["ended"] == "failed"
    # The traceback of a bug goes beside the other logs.
    assert current_workspace() is workspace


def test_the_first_cause_is_kept_when_the_record_cannot_be_written(workspace: Workspace) -> None:
    with pytest.raises(InfrastructureError, match="first cause"), stage(workspace, "run-tempest") as record:
        record.path = workspace.root / "run.json" / "impossible"
        workspace.run_json.write_text("a file, no folder")
        raise InfrastructureError("first cause")
