"""What becomes of files that are too large, and of a disk that is full."""

from __future__ import annotations

import errno
import gzip
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from ci_scripts.intake import take as take_module
from ci_scripts.intake.take import take
from tests.intake.made_archives import SMALL, Target, folder_of, tar_of, zip_of

RUN = {"run.json": b"{}"}
LARGE = b"".join(b"line %04d\n" % number for number in range(1000))


def source_of(root: Path, how: str, members: dict[str, bytes]) -> Path:
    if how == "folder":
        return folder_of(root / "from", members)
    if how == "zip":
        return zip_of(root / "from", list(members.items()))
    return tar_of(root / "from", list(members.items()))


ways = pytest.mark.parametrize("how", ["folder", "tar", "zip"])


@ways
def test_a_large_log_keeps_its_head_and_its_tail(tmp_path: Path, target: Target, how: str) -> None:
    taken = target.take(source_of(tmp_path, how, {**RUN, "logs/a.log": LARGE, "logs/b.log": b"x" * 1500}))
    mark = b"\n[... 8500 bytes left out by ci-summarize-results ...]\n"
    assert target.read("logs/a.log") == LARGE[:1000] + mark + LARGE[-500:]
    assert target.read("logs/b.log") == b"x" * 1500
    assert taken.left_out == ("logs/a.log is larger than 1500 bytes: its middle, 8500 bytes, is left out",)
    assert taken.missing == ()


@ways
@pytest.mark.parametrize("name", ["logs/testrepository.subunit", "logs/reruns/alone.subunit", "logs/probes.jsonl"])
def test_a_large_stream_keeps_its_head_and_nobody_is_judged_by_it(
    tmp_path: Path, target: Target, how: str, name: str
) -> None:
    taken = target.take(source_of(tmp_path, how, {**RUN, name: LARGE}))
    assert target.read(name) == LARGE[:2000]
    assert taken.missing == taken.left_out == (f"{name} is larger than 2000 bytes: what follows is left out",)


@ways
def test_a_compressed_log_keeps_its_head(tmp_path: Path, target: Target, how: str) -> None:
    packed = gzip.compress(os.urandom(5000))
    taken = target.take(source_of(tmp_path, how, {**RUN, "logs/a.log.gz": packed}))
    assert target.read("logs/a.log.gz") == packed[:2000] and taken.missing == ()


@ways
@pytest.mark.parametrize("name", ["stages/run-gate.json", "logs/selected-tests.txt", "logs/gate/gate-status.json"])
def test_a_large_record_is_not_taken(tmp_path: Path, target: Target, how: str, name: str) -> None:
    taken = target.take(source_of(tmp_path, how, {**RUN, name: LARGE}))
    assert target.names() == ["run.json"]
    assert taken.missing == taken.left_out == (f"{name} is larger than 1000 bytes",)


def test_in_half_a_zip_file_no_size_is_known(tmp_path: Path, target: Target) -> None:
    members = {**RUN, "stages/run-gate.json": LARGE, "logs/a.log": LARGE, "logs/b.log": b"x"}
    path = source_of(tmp_path, "zip", members)
    path.write_bytes(path.read_bytes()[:-10])
    taken = target.take(path)
    assert target.names() == ["logs/a.log", "logs/b.log", "run.json"]
    assert target.read("logs/a.log") == LARGE[:1500] and len(taken.left_out) == 3


@ways
def test_an_edge_is_not_cut(tmp_path: Path, target: Target, how: str) -> None:
    files = {**RUN, "stages/a.json": b"x" * 1000, "logs/a.log": b"x" * 1500, "logs/testrepository.subunit": b"x" * 2000}
    taken = target.take(source_of(tmp_path, how, files))
    assert taken.left_out == () and taken.files == 4


@ways
def test_lines_about_what_is_left_out_are_few(tmp_path: Path, target: Target, how: str) -> None:
    files = {**RUN, **{f"logs/{number}\n": b"" for number in range(80)}}
    taken = target.take(source_of(tmp_path, how, files), replace(SMALL, members=1000))
    assert len(taken.left_out) == 51 and taken.left_out[-1] == "and 30 more"


@ways
def test_a_full_disk_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    source = source_of(tmp_path, how, {**RUN, "logs/a.log": LARGE})

    class Full(io.FileIO):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            raise OSError(errno.ENOSPC, "No space left on device")

    opened = os.fdopen
    monkeypatch.setattr(
        take_module.os, "fdopen", lambda number, mode: Full(number, mode) if mode == "wb" else opened(number, mode)
    )
    (tmp_path / "target").mkdir()
    with pytest.raises(OSError, match="No space left"):
        take(source, tmp_path / "target", SMALL)


@ways
def test_who_watches_is_told_how_far_it_is(tmp_path: Path, how: str) -> None:
    source = source_of(tmp_path, how, {**RUN, "logs/a.log": b"x" * 900})
    (tmp_path / "target").mkdir()
    seen: list[tuple[int, int]] = []
    taken = take(source, tmp_path / "target", SMALL, tick=lambda files, count: seen.append((files, count)))
    assert seen == sorted(seen) and seen[-1] == (taken.files, taken.bytes) == (2, 902)
