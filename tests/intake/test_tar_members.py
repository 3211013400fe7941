"""Tar archives: whole, cut at every place, and made by somebody who means harm."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ci_scripts.intake.limits import DEFAULT
from tests.intake.made_archives import SMALL, Target, special, tar_of

LOG = b"a line\n" * 20
RUN = [("run.json", b"{}"), ("stages/run-gate.json", b"{}"), ("logs/console.log", LOG)]
NAMES = ["logs/console.log", "run.json", "stages/run-gate.json"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("around", ["", "./", "archive/", "./run-1/"])
def test_a_whole_archive_is_taken_whole(tmp_path: Path, target: Target, mode: str, around: str) -> None:
    archive = tar_of(tmp_path / "a", [(around + name, content) for name, content in RUN], mode)
    taken = target.take(archive)
    assert (taken.files, taken.bytes, taken.left_out, taken.missing) == (3, 144, (), ())
    assert target.names() == NAMES and target.read("logs/console.log") == LOG


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7"])
def test_what_the_tar_program_makes_is_read(tmp_path: Path, target: Target, form: str) -> None:
    long = "logs/" + "d" * (40 if form in ("ustar", "v7") else 120) + "/" + "n" * 30 + ".log"
    for name in ("run.json", long):
        (tmp_path / "run" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / name).write_bytes(LOG)
    argv = ["tar", f"--format={form}", "-C", str(tmp_path / "run"), "-czf", str(tmp_path / "a.tgz"), "."]
    subprocess.run(argv, check=True, timeout=60)
    assert target.take(tmp_path / "a.tgz").left_out == ()
    assert target.names() == [long, "run.json"]


def test_a_number_of_compressed_files_one_after_the_other_is_one_archive(tmp_path: Path, target: Target) -> None:
    plain = tar_of(tmp_path / "a", RUN, "w").read_bytes()
    for number, pack in enumerate((gzip.compress, bz2.compress, lzma.compress)):
        (tmp_path / "b").write_bytes(pack(plain[:700]) + pack(plain[700:]) + b"\0" * 100)
        place = tmp_path / str(number)
        place.mkdir()
        assert Target(place).take(tmp_path / "b").files == 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(share=st.floats(0, 1, exclude_max=True))
def test_half_a_copy_gives_what_it_has_and_says_that_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, pack, share: float
) -> None:
    root = tmp_path_factory.mktemp("cut")
    plain = tar_of(root / "a", RUN, "w").read_bytes()[:3584]
    whole = pack(plain)
    (root / "b").write_bytes(whole[: int(len(whole) * share)])
    target = Target(root)
    taken = target.take(root / "b")
    assert taken.missing
    assert set(target.names()) <= set(NAMES)
    for name, content in RUN:
        path = target.folder / name
        if path.exists():
            assert content.startswith(path.read_bytes())
            # Half of a record is no record.
            assert not name.endswith(".json") or path.read_bytes() == content


def test_an_archive_without_its_end_mark_is_cut(tmp_path: Path, target: Target) -> None:
    plain = tar_of(tmp_path / "a", RUN, "w").read_bytes()
    (tmp_path / "b").write_bytes(plain[: 512 * 6])
    taken = target.take(tmp_path / "b")
    assert taken.files == 3 and "without its end mark" in taken.missing[0]


TRICKS = [
    ("/etc/cron.d/x", "absolute"),
    ("../../outside/x", "'..'"),
    ("logs/../../x", "'..'"),
    ("./../x", "'..'"),
    ("logs\\..\\x", "backslash"),
    ("logs/a\x1b]0;owned\x07", "printed"),
    ("logs/" + "x" * 300, "longer"),
    ("logs/" + "y/" * 400 + "z", "nested"),
]


@pytest.mark.parametrize(("name", "why"), TRICKS)
def test_names_that_lead_elsewhere_are_said_and_left_out(tmp_path: Path, target: Target, name: str, why: str) -> None:
    taken = target.take(tar_of(tmp_path / "a", [(name, b"x"), *RUN]))
    assert target.names() == NAMES and taken.missing == ()
    assert len(taken.left_out) == 1 and why in taken.left_out[0]
    assert taken.left_out[0].isprintable()


def test_a_name_with_a_nul_is_left_out(tmp_path: Path, target: Target) -> None:
    # Only a pax header can hold one: a name in a header ends there.
    info = tarfile.TarInfo("logs/a")
    info.pax_headers = {"path": "logs/a\0/../../x"}
    assert "printed" in target.take(tar_of(tmp_path / "a", [(info, b"x"), *RUN])).left_out[0]
    assert target.names() == NAMES


KINDS = [
    (tarfile.SYMTYPE, "/etc/passwd", "a link"),
    (tarfile.SYMTYPE, "../../../x", "a link"),
    (tarfile.LNKTYPE, "/etc/passwd", "a hard link"),
    (tarfile.LNKTYPE, "run.json", "a hard link"),
    (tarfile.CHRTYPE, "", "a device"),
    (tarfile.BLKTYPE, "", "a device"),
    (tarfile.FIFOTYPE, "", "a pipe"),
    (b"Z", "", "of an unknown kind"),
]


@pytest.mark.parametrize(("kind", "to", "word"), KINDS)
@pytest.mark.parametrize("name", ["logs/x.log", "run.json"])
def test_only_regular_files_are_taken(
    tmp_path: Path, target: Target, kind: bytes, to: str, word: str, name: str
) -> None:
    taken = target.take(tar_of(tmp_path / "a", [(special(name, kind, to), b""), ("logs/after.log", b"x")]))
    assert target.names() == ["logs/after.log"]
    assert taken.left_out == (f"{name} is {word}",)
    assert taken.missing == (taken.left_out if name == "run.json" else ())


def test_nothing_is_written_through_a_link_that_came_before(tmp_path: Path, target: Target) -> None:
    (tmp_path / "victim").mkdir()
    link = special("logs/sub", tarfile.SYMTYPE, str(tmp_path / "victim"))
    taken = target.take(tar_of(tmp_path / "a", [(link, b""), ("logs/sub/x", b"x"), *RUN]))
    assert list((tmp_path / "victim").iterdir()) == []
    assert "logs/sub is a link" in taken.left_out and target.read("logs/sub/x") == b"x"


def test_the_first_of_two_members_of_one_name_counts(tmp_path: Path, target: Target) -> None:
    taken = target.take(tar_of(tmp_path / "a", [*RUN, ("run.json", b'{"b": 1}'), ("./logs/console.log", b"other")]))
    assert target.read("run.json") == b"{}" and target.read("logs/console.log") == LOG
    assert all("the first one counts" in line for line in taken.left_out) and len(taken.left_out) == 2
    assert len(taken.missing) == 1 and taken.missing[0].startswith("run.json")


@pytest.mark.parametrize("names", [("logs/a", "logs/a/b"), ("logs/a/b", "logs/a")])
def test_a_file_in_the_place_of_a_folder_is_left_out(tmp_path: Path, target: Target, names: tuple[str, str]) -> None:
    taken = target.take(tar_of(tmp_path / "a", [*((name, b"x") for name in names), ("run.json", b"{}")]))
    assert target.names() == [names[0], "run.json"]
    assert taken.left_out[0].startswith(names[1]) and taken.missing == ()


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("name", ["logs/zeros.log", "src/zeros"])
def test_a_compression_bomb_is_left_before_it_bursts(tmp_path: Path, target: Target, mode: str, name: str) -> None:
    archive = tar_of(tmp_path / "a", [*RUN, (name, b"\0" * 3_000_000), ("logs/after.log", b"x")], mode)
    taken = target.take(archive)
    assert target.names() == sorted([*NAMES, *([name] if name.startswith("logs") else [])])
    assert any("compression bomb" in line for line in taken.missing)
    assert sum(path.stat().st_size for path in target.folder.rglob("*") if path.is_file()) < 2000


def test_an_xz_file_that_wants_gigabytes_of_memory_is_damaged(tmp_path: Path, target: Target) -> None:
    plain = tar_of(tmp_path / "a", RUN, "w").read_bytes()
    (tmp_path / "b").write_bytes(lzma.compress(plain, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]))
    assert target.take(tmp_path / "b").missing[0].startswith("b: the xz file is damaged: Memory usage")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_an_extended_header_of_gigabytes_is_not_read(tmp_path: Path, target: Target, kind: bytes) -> None:
    info = special("x", kind)
    info.size = 8 * 1024**3
    with gzip.open(tmp_path / "a", "wb") as out:
        out.write(tar_of(tmp_path / "b", RUN, "w").read_bytes()[: 512 * 6])
        out.write(info.tobuf(tarfile.GNU_FORMAT) + b"a" * 100_000)
    tracemalloc.start()
    taken = target.take(tmp_path / "a", DEFAULT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert target.names() == NAMES and "extended header of 8589934592 bytes" in taken.missing[0]
    assert peak < 8 * 1024 * 1024


@pytest.mark.parametrize(
    "records",
    [
        b"99 path=a\n",
        b"path=a\n",
        b"0 path=a\n",
        b"-5 path=a\n",
        b"9999999999999999999 a=b\n",
        b"\xff\xfe",
        b"12 size=zz\n\n",
    ],
)
def test_a_damaged_extended_header_ends_the_archive(tmp_path: Path, target: Target, records: bytes) -> None:
    info = special("x", tarfile.XHDTYPE)
    info.size = len(records)
    plain = tar_of(tmp_path / "b", RUN, "w").read_bytes()[: 512 * 6]
    header = info.tobuf(tarfile.USTAR_FORMAT) + records.ljust(512, b"\0")
    (tmp_path / "a").write_bytes(plain + header + tar_of(tmp_path / "c", [("logs/later", b"")], "w").read_bytes())
    taken = target.take(tmp_path / "a")
    assert target.names() == NAMES and "damaged" in taken.missing[0]


def test_a_size_that_is_wrong_or_negative_takes_no_more_than_there_is(tmp_path: Path, target: Target) -> None:
    info = tarfile.TarInfo("logs/huge.log")
    info.size = 1 << 50
    (tmp_path / "a").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"x" * 100)
    assert target.take(tmp_path / "a").missing
    assert target.names() == ["logs/huge.log"] and set(target.read("logs/huge.log")) == {ord("x")}
    header = bytearray(tarfile.TarInfo("logs/minus.log").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 12
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a").write_bytes(bytes(header))
    assert "negative" in target.take(tmp_path / "a").missing[0]


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_sparse_files_are_left_out_and_passed_over(tmp_path: Path, target: Target, form: str) -> None:
    (tmp_path / "run/logs").mkdir(parents=True)
    with open(tmp_path / "run/logs/a.log", "wb") as sparse:
        for place in range(1, 60):
            sparse.seek(place * 1_000_000)
            sparse.write(b"x" * 5000)
    (tmp_path / "run/logs/b.log").write_bytes(LOG)
    (tmp_path / "run/run.json").write_bytes(b"{}")
    argv = ["tar", f"--format={form}", "-S", "-C", str(tmp_path / "run"), "-cf", str(tmp_path / "a.tar")]
    subprocess.run([*argv, "logs/a.log", "logs/b.log", "run.json"], check=True, timeout=60)
    taken = target.take(tmp_path / "a.tar", replace(SMALL, expanded=10_000_000, ratio_free=10_000_000))
    assert target.names()[-2:] == ["logs/b.log", "run.json"]
    assert any("is a sparse file" in line for line in taken.left_out) or len(target.names()) == 2


def test_a_sea_of_members_is_not_looked_at_to_its_end(tmp_path: Path, target: Target) -> None:
    sea = [*RUN, *((f"src/{number}", b"") for number in range(5000))]
    taken = target.take(tar_of(tmp_path / "a", sea, "w"), replace(SMALL, ratio_free=10**8, expanded=10**8))
    assert target.names() == NAMES and "more than 100 names" in taken.missing[0]


def test_members_are_not_remembered(tmp_path: Path, target: Target) -> None:
    header = tarfile.TarInfo("src/x").tobuf()
    (tmp_path / "a").write_bytes(gzip.compress(header * 10_000, 1))
    tracemalloc.start()
    taken = target.take(tmp_path / "a", DEFAULT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024 and "10000 other files" in taken.left_out[-1]


def test_so_many_files_folders_and_bytes_and_no_more(tmp_path: Path, target: Target) -> None:
    files = [*RUN, *((f"logs/{number}.log", b"x") for number in range(50))]
    assert "more than 20 files of a run" in target.take(tar_of(tmp_path / "a", files)).missing[0]
    assert len(target.names()) == 20


def test_so_many_folders_and_no_more(tmp_path: Path, target: Target) -> None:
    files = [*RUN, *((f"logs/{number}/x.log", b"x") for number in range(50))]
    limits = replace(SMALL, files=1000)
    assert "more than 20 folders" in target.take(tar_of(tmp_path / "a", files), limits).missing[0]


def test_so_many_bytes_and_no_more(tmp_path: Path, target: Target) -> None:
    files = [*RUN, *((f"logs/{number}.log", b"x" * 1500) for number in range(16))]
    taken = target.take(tar_of(tmp_path / "a", files, "w"))
    assert "more than 20000 bytes of a run" in taken.missing[0] and taken.bytes <= 20_000


def test_the_time_is_limited(tmp_path: Path, target: Target) -> None:
    assert "took longer" in target.take(tar_of(tmp_path / "a", RUN), replace(SMALL, seconds=-1.0)).missing[0]


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\0" * 511, b"no archive " * 1000, b"\x1f\x8b", gzip.compress(b"x" * 999, mtime=0)]
)
def test_what_is_no_archive_gives_nothing(tmp_path: Path, target: Target, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    taken = target.take(tmp_path / "a")
    assert taken.files == 0 and len(taken.missing) == 1


def test_an_empty_archive_gives_nothing(tmp_path: Path, target: Target) -> None:
    assert target.take(tar_of(tmp_path / "a", [])).missing == ("a: nothing of a run is in it",)


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(places=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=20))
def test_whatever_bytes_are_changed_nothing_else_is_written(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("changed")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in (*RUN, ("logs/" + "l" * 150, b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    data = bytearray(buffer.getvalue())
    for place, byte in places:
        data[place] = byte
    (root / "a").write_bytes(bytes(data))
    Target(root).take(root / "a")
