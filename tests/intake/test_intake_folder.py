"""Folders: read without following anything, whoever changes them meanwhile."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ci_scripts.intake import folder as folder_module
from ci_scripts.intake.limits import DEFAULT
from ci_scripts.intake.members import Member
from ci_scripts.intake.source import open_source
from tests.intake.made_archives import SMALL, Target, folder_of

LOG = b"a line\n" * 20
RUN = {"run.json": b"{}", "stages/run-gate.json": b"{}", "logs/console.log": LOG}
NAMES = ["logs/console.log", "run.json", "stages/run-gate.json"]


@pytest.mark.parametrize("around", ["", "archive/"])
def test_a_folder_is_taken_whole_and_stays_as_it_is(tmp_path: Path, target: Target, around: str) -> None:
    source = folder_of(tmp_path / "from", {around + name: content for name, content in RUN.items()})
    folder_of(source, {around + "src/p/setup.py": b"x", around + "verdict.json": b"{}"})
    before = {path: path.lstat().st_mtime_ns for path in source.rglob("*")}
    taken = target.take(source)
    assert (taken.files, taken.bytes, taken.left_out, taken.missing) == (3, 144, (), ())
    assert target.names() == NAMES and target.read("logs/console.log") == LOG
    assert before == {path: path.lstat().st_mtime_ns for path in source.rglob("*")}


def test_modes_are_ours(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", RUN)
    (source / "run.json").chmod(0o4777)
    mask = os.umask(0o077)
    try:
        target.take(source)
    finally:
        os.umask(mask)


def specials(path: Path) -> Iterator[tuple[str, object]]:
    (path / "link.log").symlink_to("/etc/passwd")
    yield "link.log", "a link"
    (path / "dangling").symlink_to("nowhere")
    yield "dangling", "a link"
    (path / "loop").symlink_to("loop")
    yield "loop", "a link"
    (path / "up").symlink_to("..")
    yield "up", "a link"
    os.mkfifo(path / "pipe.log")
    yield "pipe.log", "a pipe"
    os.link(path / "console.log", path / "twin.log")
    yield "twin.log", "a hard link"
    yield "console.log", "a hard link"


def test_only_regular_files_of_one_name_are_taken(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "logs/good.log": b"x"})
    wanted = {f"logs/{name} is {word}" for name, word in specials(source / "logs")}
    taken = target.take(source)
    assert set(taken.left_out) == wanted and taken.missing == ()
    assert target.names() == ["logs/good.log", "run.json", "stages/run-gate.json"]


def test_a_socket_is_left_out(tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of(tmp_path / "from", RUN)
    # The name of a socket has to be short.
    monkeypatch.chdir(source / "logs")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("s")
        assert target.take(source).left_out == ("logs/s is a socket",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a device")
def test_a_device_is_not_opened(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", RUN)
    try:
        os.mknod(source / "logs/zero.log", 0o020666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no device can be made here")
    assert target.take(source).left_out == ("logs/zero.log is a device",)


@pytest.mark.parametrize("name", ["logs", "stages", "run.json", "trials"])
def test_a_link_in_the_place_of_a_part_of_the_workspace_is_not_followed(
    tmp_path: Path, target: Target, name: str
) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "trials/1-control/run.json": b"{}"})
    (source / name).rename(tmp_path / "elsewhere")
    (source / name).symlink_to(tmp_path / "elsewhere")
    target.take(source)
    assert not any(found.startswith(name) for found in target.names())


def test_a_source_that_is_a_link_is_refused(tmp_path: Path, target: Target) -> None:
    folder_of(tmp_path / "from", RUN)
    (tmp_path / "link").symlink_to("from")
    assert target.take(tmp_path / "link").missing == ("link: it is a link: name what it leads to",)
    assert target.names() == []


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "logs/sub/a.log": b"x"})
    folder_of(tmp_path / "secret", {"a.log": b"secret"})
    look = os.stat

    def swap(path: object, *args: object, **more: object) -> os.stat_result:
        found = look(path, *args, **more)  # type: ignore[call-overload]
        if path == "sub" and not (source / "logs/sub").is_symlink():
            (source / "logs/sub").rename(tmp_path / "was")
            (source / "logs/sub").symlink_to(tmp_path / "secret")
        return found  # type: ignore[no-any-return]

    monkeypatch.setattr(folder_module.os, "stat", swap)
    taken = target.take(source)
    monkeypatch.undo()
    assert target.names() == NAMES and taken.left_out[0].startswith("logs/sub is not there to be read")


def test_a_file_that_becomes_a_pipe_meanwhile_is_not_waited_for(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "from", RUN)
    look = os.stat

    def swap(path: object, *args: object, **more: object) -> os.stat_result:
        found = look(path, *args, **more)  # type: ignore[call-overload]
        if path == "console.log":
            (source / "logs/console.log").unlink()
            os.mkfifo(source / "logs/console.log")
        return found  # type: ignore[no-any-return]

    monkeypatch.setattr(folder_module.os, "stat", swap)
    taken = target.take(source)
    monkeypatch.undo()
    assert taken.left_out == ("logs/console.log is a pipe",)


def test_a_file_that_vanishes_and_one_that_grows(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "logs/z.log": b"x"})
    found: dict[str, bytes] = {}
    with open_source(source, SMALL) as members:
        for member in members:
            found[member.name] = member.read(100_000)
            if member.name == "logs/console.log":
                with open(source / "logs/console.log", "ab") as more:
                    more.write(b"more")
                found[member.name] += member.read(100_000)
                (source / "logs/z.log").unlink()
            if member.name == "logs/z.log":
                assert member.kind.startswith("not there to be read")
    assert found["logs/console.log"] == LOG


def test_a_folder_that_somebody_changes_all_the_time_gives_only_what_was_a_file(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "from", RUN)
    folder_of(tmp_path / "secret", {"console.log": b"secret"})
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(source / "logs", tmp_path / "aside")
            os.symlink(tmp_path / "secret", source / "logs")
            os.unlink(source / "logs")
            os.rename(tmp_path / "aside", source / "logs")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for number in range(200):
            place = tmp_path / f"t{number}"
            place.mkdir()
            target = Target(place)
            target.take(source)
            if "logs/console.log" in target.names():
                assert target.read("logs/console.log") == LOG
    finally:
        stop.set()
        swapper.join(60)


def test_a_sparse_file_of_terabytes_is_cut_without_being_read(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", RUN)
    with open(source / "logs/console.log", "r+b") as sparse:
        sparse.truncate(1 << 40)
    with open(source / "logs/testrepository.subunit", "wb") as sparse:
        sparse.truncate(1 << 40)
    taken = target.take(source)
    assert taken.bytes < 10_000 and target.read("logs/console.log").startswith(LOG)
    assert [line.partition(" is larger")[0] for line in taken.missing] == ["logs/testrepository.subunit"]


def test_names_that_nobody_can_read(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "logs/\x1b]0;owned\x07": b"x", "logs/a\nb": b"x"})
    with open(os.fsencode(source / "logs") + b"/\xff", "wb"):
        pass
    taken = target.take(source)
    assert target.names() == NAMES and len(taken.left_out) == 3
    assert all(line.isprintable() for line in taken.left_out)


def test_deep_folders(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", RUN)
    deep = source / "logs"
    for _ in range(30):
        deep = deep / "d"
    deep.mkdir(parents=True)
    taken = target.take(source)
    assert target.names() == NAMES and "nested" in taken.left_out[0]


def test_a_folder_that_may_not_be_listed_is_said(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "logs/sub/a.log": b"x"})
    (source / "logs/sub").chmod(0)
    try:
        os.listdir(source / "logs/sub")
    except PermissionError:
        assert "logs/sub is not there to be read (Permission denied)" in target.take(source).left_out
    else:
        pytest.skip("root lists every folder")


def test_a_sea_of_names_is_not_looked_at_to_its_end(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", {**RUN, **{f"logs/{number}/a": b"" for number in range(200)}})
    assert "more than 100 names" in target.take(source).missing[0]


def test_evidence_comes_before_the_folders_of_logs(tmp_path: Path, target: Target) -> None:
    logs = {f"logs/gate/shard0/{number}.log": b"x" * 1400 for number in range(20)}
    source = folder_of(tmp_path / "from", {**RUN, **logs, "logs/testrepository.subunit": b"s"})
    taken = target.take(source, replace(SMALL, files=1000))
    assert "20000 bytes" in taken.missing[0] and "logs/testrepository.subunit" in target.names()


@pytest.mark.parametrize("names", [[], ["a/run.json", "b/run.json"], ["src/run.json"], ["README"]])
def test_where_no_run_is_nothing_is_taken(tmp_path: Path, target: Target, names: list[str]) -> None:
    source = folder_of(tmp_path / "from", dict.fromkeys(names, b"{}"))
    assert target.take(source).missing == ("from: nothing of a run is in it",)


@pytest.mark.parametrize(("kind", "why"), [("missing", "nothing of that name"), ("pipe", "neither a folder nor")])
def test_what_is_no_source_gives_nothing(tmp_path: Path, target: Target, kind: str, why: str) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / "from")
    assert why in target.take(tmp_path / "from", DEFAULT).missing[0]


def test_no_descriptor_is_left_open(tmp_path: Path, target: Target) -> None:
    source = folder_of(tmp_path / "from", {**RUN, "logs/a/b/c.log": b"x"})
    before = len(os.listdir("/proc/self/fd"))
    with open_source(source, SMALL) as members:
        first: Member = next(members)
        assert first.name == "run.json"
    del members
    target.take(source)
    assert len(os.listdir("/proc/self/fd")) == before
