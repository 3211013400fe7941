"""The folder of a run: names, the lock, atomic files, strict reading."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.workspace import (
    JSON_BYTES,
    RUN_ID_VARIABLE,
    Workspace,
    create_workspace,
    find_workspace,
    new_run_id,
    read_json,
    utc_text,
    write_json_atomically,
    write_text_atomically,
)
from tests.fakes.left_behind import is_held

HOLD = """
import sys
from pathlib import Path
from ci_scripts.workspace import Workspace
with Workspace(Path(sys.argv[1])).lock(run_id="a", environment={}):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_new_workspace_of_our_own_is_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = create_workspace(None, "run-1"), create_workspace(None, "run-2")
    assert find_workspace(None, {}).root == second.root == (tmp_path / ".ci-runs" / "run-2").resolve()
    assert first.logs.is_dir()
    assert os.readlink(tmp_path / ".ci-runs" / "latest") == "run-2"


def test_jenkins_workspace_is_found_and_a_flag_wins(tmp_path: Path) -> None:
    (tmp_path / "jenkins").mkdir()
    (tmp_path / "flag").mkdir()
    environment = {"WORKSPACE": str(tmp_path / "jenkins")}
    assert find_workspace(None, environment).root == tmp_path / "jenkins"
    assert find_workspace(tmp_path / "flag", environment).root == tmp_path / "flag"


def test_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=r"there is no run in .ci-runs/latest.*Next: run ci-prepare-gate"):
        find_workspace(None, {})
    with pytest.raises(ConfigurationError, match="holds no run.json"):
        Workspace(tmp_path).read_run()


def test_the_lock_keeps_others_out_and_lets_children_in(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with workspace.lock(run_id="a", environment={}):
        refused = pytest.raises(ConfigurationError, match=rf"another run is active in .* \(process {os.getpid()}\)")
        with refused, workspace.lock(run_id="a", environment={RUN_ID_VARIABLE: "b"}):
            raise AssertionError("two runs in one workspace")
        with workspace.lock(run_id="a", environment={RUN_ID_VARIABLE: "a"}):
            assert is_held(workspace.lock_file)
        assert is_held(workspace.lock_file)
    assert not is_held(workspace.lock_file)


def test_the_lock_ends_with_its_holder_however_that_ended(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert is_held(tmp_path / ".lock")
    holder.kill()
    holder.communicate()
    with Workspace(tmp_path).lock(run_id="b", environment={}):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "a.json"
    write_json_atomically(path, {"schema": 1, "text": "grün"})
    assert read_json(path)["text"] == "grün"
    assert path.stat().st_mode & 0o777 == 0o644

    def no_space(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        write_text_atomically(path, "half")
    assert [entry.name for entry in path.parent.iterdir()] == ["a.json"]
    assert read_json(path)["text"] == "grün"


def test_what_is_no_text_is_written_all_the_same(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a", "name-\udcff", mode=0o600)
    assert (tmp_path / "a").read_text() == "name-\\udcff"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[1]", "holds no JSON object"),
        ("{}", "has schema None"),
        ('{"schema": true}', "has schema True"),
        ('{"schema": "1"}', "has schema '1'"),
        ('{"schema": 0}', "has schema 0"),
        ('{"schema": 2}', "use the version of openstack-driver-ci that wrote it, or a newer one"),
        ("[" * 200_000, "cannot be read"),
    ],
)
def test_what_is_not_ours_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InfrastructureError, match=words):
        read_json(tmp_path / "run.json")


def test_links_fifos_and_huge_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text('{"schema": 1}')
    (tmp_path / "link").symlink_to("secret")
    os.mkfifo(tmp_path / "fifo")
    with open(tmp_path / "huge", "wb") as huge:
        huge.truncate(JSON_BYTES + 1)
    for name in ("link", "fifo", "huge", "missing"):
        with pytest.raises(InfrastructureError):
            read_json(tmp_path / name)


def test_names_of_runs_sort_by_time() -> None:
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    names = [new_run_id(moment + timedelta(seconds=second)) for second in range(3)]
    assert names == sorted(names)
    assert names[0].startswith("20260131T120000Z-")
    assert new_run_id(moment) != new_run_id(moment)


def test_times_are_utc() -> None:
    there = datetime(2026, 1, 31, 1, 2, 3, 4000, tzinfo=timezone(timedelta(hours=2)))
    assert utc_text(there) == "2026-01-30T23:02:03.004Z"
    assert datetime.fromisoformat(utc_text()).tzinfo is not None
    assert json.dumps(utc_text(there)) == '"2026-01-30T23:02:03.004Z"'


def test_a_place_that_cannot_be_a_workspace_is_the_operators_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("file", "loop", "file/below", "n" * 300):
        with pytest.raises(ConfigurationError, match=r"cannot be used as the workspace.*Next: name a folder") as caught:
            create_workspace(tmp_path / name, "run-1")
        assert str(tmp_path / name) in caught.value.what
    with (
        pytest.raises(ConfigurationError, match="cannot be used"),
        Workspace(tmp_path / "file").lock(run_id="a", environment={}),
    ):
        raise AssertionError("a file was locked")


def test_a_full_disk_is_no_mistake_of_the_operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", no_space)
    with pytest.raises(OSError, match="No space left"):
        create_workspace(tmp_path / "run", "run-1")


def test_a_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    (tmp_path / ".lock").symlink_to("precious")
    refused = pytest.raises(ConfigurationError, match="cannot be used")
    with refused, Workspace(tmp_path).lock(run_id="a", environment={}):
        raise AssertionError("the link was followed")
    assert (tmp_path / "precious").read_text() == "as it was"
