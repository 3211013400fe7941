"""stages/<name>.json and the console log."""

from __future__ import annotations

import errno
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import InfrastructureError, Terminated
from ci_scripts.settings import MASK
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


def test_secrets_are_neither_said_nor_recorded(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        with stage(workspace, "run-tempest") as record:
            record.mask(["hunter", "hunter2"])
            record.notes["where"] = {"urls": ["http://x/?token=hunter2"], "count": 1}
            with record.step("log in with hunter2"):
                record.say("hunter2 was refused")
            try:
                raise ValueError("inner hunter2")
            except ValueError as error:
                raise InfrastructureError("no hunter2.", next_step="try hunter2") from error

    with pytest.raises(InfrastructureError) as caught:
        work()
    found = record_of(workspace)
    written = json.dumps(found) + workspace.console_log.read_text() + capsys.readouterr().err
    assert "hunter" not in written + str(caught.value) + str(caught.value.__cause__)
    assert found["reason"] == f"no {MASK}. Next: try {MASK}"
    assert found["where"] == {"urls": [f"http://x/?token={MASK}"], "count": 1}
    assert found["steps"][0]["name"] == f"log in with {MASK}"


@pytest.mark.parametrize("name", ["stages", "logs"])
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    workspace = Workspace(tmp_path / "run")
    workspace.root.mkdir()
    (workspace.root / name).symlink_to(tmp_path / "elsewhere")
    workspace.make_folders()
    refused = pytest.raises(InfrastructureError, match=f"/run/{name} is a link.*Next: delete it")
    with refused, stage(workspace, "run-tempest"):
        raise AssertionError("it was worked with")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_the_console_log_is_a_file_of_ours(workspace: Workspace, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "precious"
    target.write_text("as it was")
    if kind == "link":
        workspace.console_log.symlink_to(target)
    else:
        os.mkfifo(workspace.console_log)
    with stage(workspace, "run-tempest") as record:
        record.say("something")
    assert target.read_text() == "as it was"
    assert record_of(workspace)["exit_code"] == 0
