"""intake.json and the workspace that it makes one of the trusted side's."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.change import ChangeUnderTest
from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.intake.arrival import beginning, claim, require_free, take_in
from ci_scripts.intake.record import Intake, read_intake, write_intake
from ci_scripts.intake.take import Taken
from ci_scripts.workspace import Workspace
from tests.intake.made_archives import folder_of

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DEPENDENCY = ChangeUnderTest("5", "1", "openstack/neutron", "master", "refs/changes/05/5/1", trigger="gerrit-trigger")
CHANGE = ChangeUnderTest(
    "7", "2", "openstack/neutron", "master", "refs/changes/07/7/2", trigger="gerrit-trigger", also=(DEPENDENCY,)
)
RUN = {"run.json": b'{"schema": 1, "run_id": "run-1"}', "stages/run-gate.json": b"{}", "logs/console.log": b"x"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "trusted").mkdir()
    return Workspace(tmp_path / "trusted")


def test_what_is_written_is_read_again(workspace: Workspace) -> None:
    intake = Intake(CHANGE, "job", "/from", "run-1", Taken(3, 99, ("a", "b"), ("b",)), "", True)
    write_intake(workspace, intake, NOW)
    found = read_intake(workspace)
    assert found is not None and found.time == "2026-01-31T12:00:00.000Z"
    assert (found.change, found.job, found.taken, found.run_id) == (CHANGE, "job", intake.taken, "run-1")
    data = json.loads(workspace.intake_json.read_text())
    assert data["schema"] == 1 and data["trigger"] == "gerrit-trigger" and data["change"]["number"] == "7"
    assert [item["number"] for item in data["also"]] == ["5"] and data["taken"] == {"files": 3, "bytes": 99}


def test_a_workspace_of_a_run_has_none(workspace: Workspace) -> None:
    assert read_intake(workspace) is None
    assert read_intake(Workspace(workspace.root / "missing")) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 2),
        ("run_id", "../x"),
        ("job", "a b"),
        ("taken", None),
        ("left_out", "text"),
        ("change", {"number": "7; rm"}),
        ("trigger", "nobody"),
    ],
)
def test_one_that_is_damaged_is_refused(workspace: Workspace, key: str, value: Any) -> None:
    write_intake(workspace, Intake(CHANGE, "job", "/from", "run-1"), NOW)
    data = json.loads(workspace.intake_json.read_text())
    workspace.intake_json.write_text(json.dumps({**data, key: value}))
    with pytest.raises(InfrastructureError):
        read_intake(workspace)


def test_a_link_in_its_place_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("{}")
    workspace.intake_json.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InfrastructureError):
        read_intake(workspace)


def taken_in(workspace: Workspace, source: Path, change: ChangeUnderTest | None = CHANGE) -> Intake:
    intake = beginning(change, "job", source, require_free(workspace, source))
    claim(workspace, intake, NOW)
    return take_in(workspace, intake, source, NOW)


def test_the_files_appear_as_a_whole_and_again(workspace: Workspace, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "trials/1-control/run.json": b"{}"})
    first = taken_in(workspace, source)
    assert first.run_id == "run-1" and first.taken.files == 4 and first.ended
    for path in (workspace.verdict_json, workspace.published_json, workspace.reported_json):
        path.write_text("{}")
    (workspace.root / "mine.txt").write_text("stays")
    (source / "logs/console.log").unlink()
    assert taken_in(workspace, source).taken.files == 3
    names = sorted(path.relative_to(workspace.root).as_posix() for path in workspace.root.rglob("*"))
    assert names == [
        "intake.json",
        "mine.txt",
        "run.json",
        "stages",
        "stages/run-gate.json",
        "trials",
        "trials/1-control",
        "trials/1-control/run.json",
    ]


@pytest.mark.parametrize("run_id", [b"", b', "run_id": "../../x"', b', "run_id": 7', b', "run_id": "a b"'])
def test_without_a_usable_run_id_the_trusted_side_gives_one_and_keeps_it(
    workspace: Workspace, tmp_path: Path, run_id: bytes
) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "run.json": b'{"schema": 1%s}' % run_id})
    first = taken_in(workspace, source).run_id
    assert first.startswith("20260131T120000Z-")
    assert taken_in(workspace, source).run_id == first
    assert taken_in(workspace, source, None).run_id != first


def test_an_interrupted_one_leaves_no_half_and_is_made_again(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "from", RUN)

    def stop(files: int, count: int) -> None:
        raise KeyboardInterrupt

    intake = beginning(CHANGE, "job", source, require_free(workspace, source))
    claim(workspace, intake, NOW)
    with pytest.raises(KeyboardInterrupt):
        take_in(workspace, intake, source, NOW, tick=stop)
    assert os.listdir(workspace.root) == ["intake.json"]
    found = read_intake(workspace)
    assert found is not None and not found.ended and found.taken.missing
    # As kill -9 leaves it.
    (workspace.root / ".intake").mkdir()
    (workspace.root / ".intake/run.json").write_text("[]")
    assert taken_in(workspace, source).taken.files == 3


@pytest.mark.parametrize("name", ["run.json", "stages", "logs", "trials", "verdict.json", "report", "tests.json"])
def test_a_workspace_with_another_run_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    (workspace.root / name).symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match=f"holds another run: {name}") as caught:
        require_free(workspace, folder_of(tmp_path / "from", RUN))
    assert "fresh folder" in str(caught.value)


def test_a_workspace_with_another_source_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    taken_in(workspace, folder_of(tmp_path / "from", RUN))
    with pytest.raises(ConfigurationError, match="holds what was taken from .*/from"):
        require_free(workspace, folder_of(tmp_path / "other", RUN))


def test_neither_may_be_inside_of_the_other(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is inside of"):
        require_free(workspace, tmp_path)
    with pytest.raises(ConfigurationError, match="is inside of"):
        require_free(workspace, workspace.root)
    for name in ("logs", "logs/x", ".intake", "report/x.tar.gz", "intake.json"):
        with pytest.raises(ConfigurationError, match="is where the files of a run go"):
            require_free(workspace, workspace.root / name)
    folder_of(workspace.root / "copied", RUN)
    assert taken_in(workspace, workspace.root / "copied").taken.files == 3
