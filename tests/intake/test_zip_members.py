"""Zip files: whole, cut at every place, and made by somebody who means harm."""

from __future__ import annotations

import io
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ci_scripts.intake.limits import DEFAULT
from tests.intake.made_archives import SMALL, Target, zip_of

LOG = b"a line\n" * 20
RUN = [("run.json", b"{}"), ("stages/run-gate.json", b"{}"), ("logs/console.log", LOG)]
NAMES = ["logs/console.log", "run.json", "stages/run-gate.json"]


def streamed(path: Path, members: list[tuple[str, bytes]]) -> Path:
    """As Jenkins writes it to a socket: sizes and checksums follow the data."""

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            out.write(data)
            return len(data)

    with open(path, "wb") as out, zipfile.ZipFile(Pipe(), "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, content in members:
            archive.writestr(name, content)
    return path


def with_mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.mark.parametrize("around", ["", "archive/"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_whole_zip_file_is_taken_whole(tmp_path: Path, target: Target, around: str, packed: bool) -> None:
    members = [("archive/", b""), *((around + name, content) for name, content in RUN)]
    taken = target.take(zip_of(tmp_path / "a.zip", members, packed=packed))
    assert (taken.files, taken.bytes, taken.left_out, taken.missing) == (3, 144, (), ())
    assert target.names() == NAMES and target.read("logs/console.log") == LOG


def test_zip64_is_read(tmp_path: Path, target: Target) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in RUN:
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
    assert target.take(tmp_path / "a.zip").left_out == () and target.names() == NAMES


@pytest.mark.parametrize("way", ["sized", "stored", "streamed"])
@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(share=st.floats(0, 1, exclude_max=True))
def test_half_a_copy_gives_what_it_has_and_says_that_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, way: str, share: float
) -> None:
    root = tmp_path_factory.mktemp("cut")
    path = streamed(root / "a", RUN) if way == "streamed" else zip_of(root / "a", RUN, packed=way == "sized")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    target = Target(root)
    taken = target.take(path)
    assert taken.missing and set(target.names()) <= set(NAMES)
    for name, content in RUN:
        found = target.folder / name
        assert not found.exists() or content.startswith(found.read_bytes())
        assert not found.exists() or not name.endswith(".json") or found.read_bytes() == content
    # What came before the list of members is there as a whole.
    if int(len(whole) * share) >= whole.index(b"PK\x01\x02"):
        assert target.names() == NAMES


def test_a_zip_file_without_its_list_gives_all_its_members(tmp_path: Path, target: Target) -> None:
    whole = streamed(tmp_path / "a", [*RUN, ("src/left", b"x" * 500), ("logs/later.log", LOG)]).read_bytes()
    (tmp_path / "a").write_bytes(whole[: whole.index(b"PK\x01\x02")])
    taken = target.take(tmp_path / "a")
    assert target.names() == ["logs/console.log", "logs/later.log", *NAMES[1:]]
    assert "no list of its members" in taken.missing[0] and taken.left_out[-1].startswith("1 other files")


TRICKS = ["/etc/x", "../x", "logs/../../x", "logs\\..\\x", "logs/a\x1b[2J", "logs/" + "x" * 300]


@pytest.mark.parametrize("name", TRICKS)
@pytest.mark.parametrize("cut", [False, True])
def test_names_that_lead_elsewhere_are_said_and_left_out(tmp_path: Path, target: Target, name: str, cut: bool) -> None:
    path = zip_of(tmp_path / "a", [(name, b"x"), *RUN])
    if cut:
        path.write_bytes(path.read_bytes()[:-10])
    taken = target.take(path)
    assert target.names() == NAMES and len(taken.left_out) == 1 + cut
    assert all(line.isprintable() for line in taken.left_out)


def test_what_follows_a_nul_in_a_name_is_not_hidden(tmp_path: Path, target: Target) -> None:
    path = zip_of(tmp_path / "a", [("logs/a.logX../x", b"x"), *RUN])
    path.write_bytes(path.read_bytes().replace(b"logX..", b"log\0.."))
    taken = target.take(path)
    assert target.names() == NAMES and "printed" in taken.left_out[0]


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (stat.S_IFLNK, "a link"),
        (stat.S_IFIFO, "a pipe"),
        (stat.S_IFCHR, "a device"),
        (stat.S_IFBLK, "a device"),
        (stat.S_IFSOCK, "a socket"),
    ],
)
def test_only_regular_files_are_taken(tmp_path: Path, target: Target, kind: int, word: str) -> None:
    members = [(with_mode("run.json", kind | 0o777), b"/etc/passwd"), ("logs/after.log", b"x")]
    taken = target.take(zip_of(tmp_path / "a", members))
    assert target.names() == ["logs/after.log"]
    assert taken.left_out == taken.missing == (f"run.json is {word}",)


def test_a_setuid_bit_is_not_kept(tmp_path: Path, target: Target) -> None:
    target.take(zip_of(tmp_path / "a", [(with_mode("logs/a.log", stat.S_IFREG | 0o6777), b"x"), *RUN]))
    assert stat.S_IMODE((target.folder / "logs/a.log").stat().st_mode) == 0o644


def test_the_first_of_two_members_of_one_name_counts(tmp_path: Path, target: Target) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zip_of(tmp_path / "a", [*RUN, ("run.json", b'{"b": 1}')])
    taken = target.take(path)
    assert target.read("run.json") == b"{}" and "the first one counts" in taken.missing[0]


@pytest.mark.parametrize("cut", [False, True])
def test_a_compression_bomb_is_left_before_it_bursts(tmp_path: Path, target: Target, cut: bool) -> None:
    path = zip_of(tmp_path / "a", [*RUN, ("logs/zeros.log", b"\0" * 3_000_000), ("logs/after.log", b"x")])
    if cut:
        path.write_bytes(path.read_bytes()[:-10])
    taken = target.take(path)
    assert target.names() == sorted([*NAMES, "logs/zeros.log"]) and "compression bomb" in taken.missing[-1]
    assert sum(found.stat().st_size for found in target.folder.rglob("*") if found.is_file()) < 3000


def test_a_bomb_that_is_not_taken_is_not_opened(tmp_path: Path, target: Target) -> None:
    path = zip_of(tmp_path / "a", [("src/zeros", b"\0" * 3_000_000), *RUN])
    assert target.take(path).missing == () and target.names() == NAMES


def test_members_that_overlap_are_a_bomb(tmp_path: Path, target: Target) -> None:
    """Many entries of the list with the bytes of one member, as in the bombs of David Fifield."""
    one = zip_of(tmp_path / "a", [("logs/1.log", b"x" * 1000)]).read_bytes()
    start = one.index(b"PK\x01\x02")
    end = one.index(b"PK\x05\x06")
    entries = [one[start:end].replace(b"1.log", b"%d.log" % number) for number in range(1, 10)]
    listed = b"".join(entries)
    tail = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 9, 9, len(listed), start, 0)
    (tmp_path / "b").write_bytes(one[:start] + listed + tail)
    taken = target.take(tmp_path / "b")
    assert target.names() == [] and "overlap" in taken.missing[0]


def test_a_list_of_members_that_is_too_large_is_not_read(tmp_path: Path, target: Target) -> None:
    path = zip_of(tmp_path / "a", [*RUN, *((f"src/{number:0>200}", b"") for number in range(300))])
    tracemalloc.start()
    taken = target.take(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "larger than 20000 bytes" in taken.missing[0] and peak < 2 * 1024 * 1024


def test_a_sea_of_members_is_not_looked_at_to_its_end(tmp_path: Path, target: Target) -> None:
    path = zip_of(tmp_path / "a", [*RUN, *((f"src/{number}", b"") for number in range(1000))])
    taken = target.take(path, replace(SMALL, directory=10**6))
    assert target.names() == NAMES and "more than 100 names" in taken.missing[0]


def test_an_encrypted_member_or_one_packed_in_another_way_is_left_out(tmp_path: Path, target: Target) -> None:
    with zipfile.ZipFile(tmp_path / "a", "w") as archive:
        archive.writestr("run.json", b"{}", zipfile.ZIP_LZMA)
        archive.writestr("logs/b.log", b"x", zipfile.ZIP_BZIP2)
        archive.writestr("logs/a.log", b"x", zipfile.ZIP_DEFLATED)
    data = bytearray((tmp_path / "a").read_bytes())
    data[data.rindex(b"logs/a.log") - 38] |= 1
    (tmp_path / "a").write_bytes(bytes(data))
    taken = target.take(tmp_path / "a")
    assert target.names() == [] and "logs/a.log is encrypted" in taken.left_out
    assert taken.missing[0] == "run.json is compressed in a way that is not read"


def test_a_member_whose_checksum_is_wrong_is_said(tmp_path: Path, target: Target) -> None:
    path = zip_of(tmp_path / "a", RUN, packed=False)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"{}", b"[]", 1).replace(LOG, LOG.replace(b"a", b"b")))
    taken = target.take(path)
    assert "stages/run-gate.json" in target.names() and "run.json" not in target.names()
    assert taken.missing[0].startswith("run.json is damaged: Bad CRC-32")


def test_a_size_in_the_list_that_is_wrong_takes_no_more_than_there_is(tmp_path: Path, target: Target) -> None:
    path = zip_of(tmp_path / "a", RUN, packed=False)
    data = bytearray(path.read_bytes())
    place = data.rindex(b"run.json") - 46
    data[place + 24 : place + 28] = struct.pack("<L", 900)
    path.write_bytes(bytes(data))
    target.take(path)
    assert target.names() == NAMES and target.read("run.json") == b"{}"


@hypothesis_settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12))
def test_whatever_bytes_are_changed_nothing_else_is_written(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[float, int]]
) -> None:
    root = tmp_path_factory.mktemp("changed")
    data = bytearray(zip_of(root / "a", RUN).read_bytes())
    for share, byte in places:
        data[int(share * len(data))] = byte
    (root / "a").write_bytes(bytes(data))
    Target(root).take(root / "a")


def test_a_zip_file_in_the_clothes_of_a_tar_archive_is_known_by_its_content(tmp_path: Path, target: Target) -> None:
    assert target.take(zip_of(tmp_path / "logs.tar.gz", RUN), DEFAULT).files == 3


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PK\x05\x06" + b"\0" * 18, b"PK\x03\x04" + b"\xff" * 100])
def test_what_is_no_zip_file_gives_nothing(tmp_path: Path, target: Target, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    taken = target.take(tmp_path / "a")
    assert taken.files == 0 and len(taken.missing) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the zip module's command line is asked for here")
def test_what_another_program_makes_is_read(tmp_path: Path, target: Target) -> None:
    (tmp_path / "archive/logs").mkdir(parents=True)
    (tmp_path / "archive/logs/console.log").write_bytes(LOG)
    (tmp_path / "archive/run.json").write_bytes(b"{}")
    argv = [sys.executable, "-m", "zipfile", "-c", "a.zip", "archive"]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)
    assert target.take(tmp_path / "a.zip").left_out == () and target.names() == ["logs/console.log", "run.json"]
