"""The hidden folder, the pages above, and what is old enough to go."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import ReportFailed
from ci_scripts.publishing.due import find_due
from ci_scripts.publishing.hidden import HiddenFolder
from ci_scripts.publishing.layout import RunFolder
from ci_scripts.publishing.local_place import LocalPlace
from ci_scripts.publishing.pages import Row, page, page_of_parent
from ci_scripts.publishing.record import Published, identity_of, read_record
from ci_scripts.workspace import utc_text
from tests.publishing.made_runs import write

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = timedelta(days=31)
RUN = RunFolder("12345", "2", "check", "job", "1a2b3c")


def made(root: Path, place: RunFolder = RUN, *, days: float = 0, **more: Any) -> Path:
    """A published run so many days old."""
    time = utc_text(NOW - timedelta(days=days))
    record = Published("u", place.path, time, "run", "id", "SUCCESS", place.change, "2", "p", "check", "job")
    path = root / place.path
    write(path / "console.txt.gz", b"x")
    write(path / "published.json", {**record.as_json(), **more})
    return path


def due(root: Path) -> tuple[list[str], int, int]:
    found = find_due(root, NOW, MONTH)
    return [old.folder.run for old in found.old], found.kept, len(found.left_alone)


def test_age_is_what_the_record_says(tmp_path: Path) -> None:
    for name, days in (("young", 30.9), ("old", 31.1), ("older", 400), ("ahead", -0.001), ("future", -2)):
        os.utime(made(tmp_path, RUN.called(name), days=days), (0, 0))
    assert due(tmp_path) == (["older", "old"], 2, 1)


def test_an_upload_that_never_ended_goes_after_a_day(tmp_path: Path) -> None:
    made(tmp_path, RUN.called("a"), days=0.5, complete=False)
    made(tmp_path, RUN.called("b"), days=1.5, complete=False)
    assert due(tmp_path) == (["b"], 1, 0)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda run: (run / "published.json").unlink(),
        lambda run: (run / "published.json").write_text("{"),
        lambda run: (run / "published.json").write_text("[" * 100_000),
        lambda run: (run / "published.json").write_text(json.dumps({"schema": 1})),
        lambda run: write(run / "published.json", {**json.loads((run / "published.json").read_text()), "schema": 2}),
        lambda run: write(run / "published.json", {**json.loads((run / "published.json").read_text()), "folder": "x"}),
        lambda run: write(run / "published.json", {**json.loads((run / "published.json").read_text()), "time": "?"}),
        lambda run: [(run / "published.json").rename(run / "x"), (run / "published.json").symlink_to("x")],
        lambda run: [(run / "published.json").unlink(), os.mkfifo(run / "published.json")],
    ],
)
def test_without_a_record_of_ours_nothing_goes(tmp_path: Path, spoil: Any) -> None:
    spoil(made(tmp_path, days=400))
    assert due(tmp_path) == ([], 0, 1)


@pytest.mark.parametrize("depth", range(1, 7))
def test_behind_a_link_nothing_goes(tmp_path: Path, depth: int) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    made(elsewhere, days=400)
    parts = RUN.parts
    root.joinpath(*parts[: depth - 1]).mkdir(parents=True)
    root.joinpath(*parts[:depth]).symlink_to(elsewhere.joinpath(*parts[:depth]))
    assert due(root) == ([], 0, 0)


def test_other_folders_are_not_looked_into(tmp_path: Path) -> None:
    for name in (
        "backups",
        "4x",
        "45/12346/2/check/job/r",
        "45/12345/0/check/job/r",
        "45/12345/2/ch eck/job/r",
        ".publishing",
    ):
        write(tmp_path / name / "published.json", "{}")
    assert due(tmp_path) == ([], 0, 0)


def test_removing_takes_empty_folders_and_follows_no_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", write(tmp_path / "outside/kept", "x")
    root.mkdir()
    place = LocalPlace(root, 20)
    other = RunFolder("45", "1", "check", "job", "r")
    run, kept = made(root), made(root, other)
    (run / "logs").symlink_to(outside.parent)
    place.link([RUN, other])
    assert 'href="./12345/"' in (root / "45/index.html").read_text()
    place.remove([RUN])

    assert outside.exists() and kept.exists() and not (root / "45/12345").exists()
    page = (root / "45/index.html").read_text()
    assert "12345" not in page and 'href="./45/"' in page
    assert [path.name for path in (root / ".publishing").iterdir()] == ["lock"]


def test_a_room_whose_holder_died_is_cleaned_and_a_held_one_is_not(tmp_path: Path) -> None:
    hidden = HiddenFolder(tmp_path, 20)
    child = os.fork()
    if child == 0:
        with hidden.room() as room:
            (room / "half").write_text("x")
            os._exit(0)
    os.waitpid(child, 0)
    left = [path for path in hidden.path.iterdir() if path.is_dir()]
    assert len(left) == 1 and (left[0] / "half").exists()
    with hidden.room() as held:
        assert not left[0].exists()
        with hidden.room() as other:
            assert held.exists() and other != held
    assert [path.name for path in hidden.path.iterdir()] == ["lock"]


def test_waiting_for_the_others_has_an_end(tmp_path: Path) -> None:
    with HiddenFolder(tmp_path, 20).locked(), pytest.raises(ReportFailed, match="another command has held"):
        HiddenFolder(tmp_path, 0.2)._make()
        with HiddenFolder(tmp_path, 0.2).locked():
            pass


def test_a_link_in_the_hidden_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".publishing").symlink_to("elsewhere")
    with pytest.raises(ReportFailed, match="is a link"), HiddenFolder(tmp_path, 1).room():
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_name_that_is_taken_is_not_written_over(tmp_path: Path) -> None:
    place, theirs = LocalPlace(tmp_path, 20), made(tmp_path)
    record = read_record(theirs)
    assert record is not None and place.found(RUN) == record
    with place.room() as room:
        write(room / "run/console.txt.gz", b"mine")
        assert place.put(room / "run", RUN, replace(record, identity="mine")) is False
        assert place.put(room / "run", RUN.called("free"), replace(record, identity="mine")) is True
    assert (theirs / "console.txt.gz").read_bytes() == b"x"


def test_a_link_above_is_not_published_through(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (tmp_path / "elsewhere").mkdir()
    root.mkdir()
    (root / "45").symlink_to(tmp_path / "elsewhere")
    place = LocalPlace(root, 20)
    record = Published("u", RUN.path, "t", "run", "id", "SUCCESS", "12345", "2", "p", "check", "job")
    with place.room() as room, pytest.raises(ReportFailed, match="is a link"):
        (room / "run").mkdir()
        place.put(room / "run", RUN, record)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_pages_escape_everything(tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>\x1b[31m'
    text = page(evil, [Row(evil, False, 5, 0.0, evil)], up=True, facts=[(evil, evil)], notes=[evil])
    assert "<script" not in text and "\x1b" not in text
    assert "1970-01-01 00:00:00" in text and "Content-Security-Policy" in text
    assert Row("javascript:x?#", False).href == "./javascript%3Ax%3F%23"
    assert Row("x", False, time=1e300).when == "" and Row("x", False, time=float("nan")).when == ""


def test_pages_list_what_is_whole_the_newest_first(tmp_path: Path) -> None:
    for name, days in (("bbb", 3), ("aaa", 2), ("ccc", 1)):
        made(tmp_path, RUN.called(name), days=days)
    made(tmp_path, RUN.called("half"), complete=False)
    made(tmp_path, RUN.called("fake"), folder="elsewhere")
    write(tmp_path / "45/12345/2/check/job/x y/published.json", "{}")
    text = page_of_parent(tmp_path, RUN.parts[:-1])
    assert [text.index(f"./{name}/") for name in ("ccc", "aaa", "bbb")] == sorted(
        text.index(f"./{name}/") for name in ("ccc", "aaa", "bbb")
    )
    assert "half" not in text and "fake" not in text and "x y" not in text
    for patch_set in ("9", "10"):
        made(tmp_path, RunFolder("12345", patch_set, "check", "job", "r"))
    text = page_of_parent(tmp_path, RUN.parts[:2])
    assert text.index("./10/") < text.index("./9/") < text.index("./2/")


def test_the_identity_is_that_of_run_tests_and_verdict(tmp_path: Path) -> None:
    write(tmp_path / "tests.json", "{}")
    verdict = {"outcome": "SUCCESS", "made": "1", "history": "x"}
    first = identity_of(tmp_path, "run", verdict)
    assert identity_of(tmp_path, "run", {**verdict, "made": "2", "history": "y"}) == first
    assert identity_of(tmp_path, "run", {**verdict, "outcome": "FAILURE"}) != first
    assert identity_of(tmp_path, "run2", verdict) != first
    write(tmp_path / "tests.json", "{ }")
    assert identity_of(tmp_path, "run", verdict) != first
