"""What of a file is published: text, masked before it is cut, head and tail of what is too large."""

from __future__ import annotations

import gzip
import io
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.publishing.content import NotText, Source, Written, looks_like_text, write_text
from ci_scripts.publishing.masking import Mask

NOTE = re.compile(rb"\n\[\.\.\. ([0-9]+) bytes are left out here: [^\n]*\]\n")


def published(data: bytes, target: Path, limit: int = 1000, secrets: tuple[str, ...] = ()) -> tuple[bytes, Written]:
    target.unlink(missing_ok=True)
    done = write_text([Source(io.BytesIO(data), len(data))], target, limit=limit, mask=Mask(secrets))
    return gzip.decompress(target.read_bytes()), done


# Of a gzip file twenty times the limit is unpacked at most: no less than all of it here.
@given(data=st.binary(max_size=300).map(lambda data: bytes(97 + byte % 3 for byte in data)), limit=st.integers(15, 300))
@pytest.mark.parametrize("packed", [False, True])
def test_of_what_is_too_large_head_and_tail_stay(
    tmp_path_factory: pytest.TempPathFactory, packed: bool, data: bytes, limit: int
) -> None:
    target = tmp_path_factory.getbasetemp() / f"content-{os.getpid()}.gz"
    shown, done = published(gzip.compress(data) if packed else data, target, limit)

    if len(data) <= limit:
        assert (shown, done.left_out) == (data, 0)
        return
    note = NOTE.search(shown)
    if note is None:
        assert packed and shown == data
        return
    head, tail = shown[: note.start()], shown[note.end() :]
    assert data.startswith(head) and data.endswith(tail)
    assert len(head) == limit - limit // 2 and len(tail) >= limit // 2
    assert int(note[1]) == done.left_out == len(data) - len(head) - len(tail)


@given(before=st.integers(0, 60), after=st.integers(0, 60), limit=st.integers(2, 80))
def test_no_part_of_a_credential_is_left_at_a_cut(
    tmp_path_factory: pytest.TempPathFactory, before: int, after: int, limit: int
) -> None:
    target = tmp_path_factory.getbasetemp() / f"cut-{os.getpid()}.gz"
    shown, _ = published(b"." * before + b"ABCDEFGH" + b"." * after, target, limit, ("ABCDEFGH",))

    assert not re.search(rb"[A-H]", NOTE.sub(b"", shown))


def test_a_sparse_file_of_a_terabyte_is_done_at_once(tmp_path: Path) -> None:
    huge = tmp_path / "huge.log"
    with open(huge, "wb") as file:
        file.write(b"begun\n" * 20_000)
        file.truncate(10**12)
        file.seek(0, os.SEEK_END)
        file.write(b"ended\n")
    with open(huge, "rb") as stream:
        done = write_text([Source(stream, 10**12 + 6)], tmp_path / "out.gz", limit=1_000_000, mask=Mask(["secret"]))
    shown = gzip.decompress((tmp_path / "out.gz").read_bytes())
    assert shown.startswith(b"begun\n") and shown.endswith(b"ended\n")
    assert done.left_out == 10**12 + 6 - 1_000_000 and len(shown) < 1_000_200


def test_a_bomb_is_not_unpacked_to_its_end(tmp_path: Path) -> None:
    bomb = gzip.compress(b"boom\n" * 2_000_000)
    shown, done = published(bomb, tmp_path / "out.gz", 10_000)
    assert len(shown) < 100_000
    assert any("is larger than 200000 bytes" in problem for problem in done.problems)


def test_a_gzip_file_that_is_cut_gives_what_is_in_it(tmp_path: Path) -> None:
    packed = gzip.compress("".join(f"line {number}\n" for number in range(1000)).encode())
    shown, done = published(packed[:-50], tmp_path / "out.gz", 100_000)
    assert shown.startswith(b"line 0\n") and done.problems == ("the gzip file is cut",)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", True),
        (b"plain\n", True),
        ("\u00fcber \u4e2d\u6587 \U0001f600\n".encode(), True),
        (("x" * 65535 + "\u00fc").encode()[:65536], True),
        ("f\u00fcr Stra\u00dfe\n".encode("latin-1"), True),
        (b"\x1b[31mred\x1b[0m \x08\x07\n", True),
        (b"\x89PNG\r\n\x1a\n\0\0", False),
        (b"\x7fELF\x02\x01\x01\0", False),
        ("text".encode("utf-16"), False),
        (bytes(range(1, 256)) * 10, False),
        (b"SQLite format 3\0", False),
    ],
)
def test_what_is_text(tmp_path: Path, data: bytes, text: bool) -> None:
    assert looks_like_text(data) is text
    if not text:
        for content in (data, gzip.compress(data)):
            with pytest.raises(NotText):
                published(content, tmp_path / "out.gz")
        assert not (tmp_path / "out.gz").exists()


def test_the_same_text_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        published(b"text\n" * 50, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_bytes()[4:8] == bytes(4)


def test_what_is_written_meanwhile_is_not_read(tmp_path: Path) -> None:
    write_text([Source(io.BytesIO(b"one\ntwo\n"), 4)], tmp_path / "out.gz", limit=100, mask=Mask([]))
    assert gzip.decompress((tmp_path / "out.gz").read_bytes()) == b"one\n"


def test_several_files_in_one(tmp_path: Path) -> None:
    contents = (b"a" * 50, b"\0binary", b"b" * 5)
    sources = [Source(io.BytesIO(data), len(data), f"== {number}\n") for number, data in enumerate(contents)]
    write_text(sources, tmp_path / "out.gz", limit=30, mask=Mask([]))
    shown = gzip.decompress((tmp_path / "out.gz").read_bytes())
    assert shown.startswith(b"== 0\naaaaa\n[... 40 bytes") and shown.endswith(b"aaaaa== 2\nbbbbb")
