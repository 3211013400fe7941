"""Signatures in the lines of a stream: the same hits as line by line, whatever the blocks and the lines."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts.verdict import line_scan
from ci_scripts.verdict.line_patterns import LinePatterns
from ci_scripts.verdict.line_scan import MOST_COUNTED, FirstSeen, LineScan, time_of
from ci_scripts.verdict.signatures import Signature, load_signatures

PATTERNS = ("abc", "^ab", "c$", "a.*c", "(b+a)|(x[^a]y)", "a[^q]b")


def signature(pattern: str, name: str = "") -> Signature:
    return Signature(name or pattern, pattern, ("logs/**",), "ci", "m", "w")


SIGNATURES = tuple(map(signature, PATTERNS))


def scan(content: bytes, signatures: Sequence[Signature] = SIGNATURES, **more: int) -> list[FirstSeen]:
    lines = LineScan(tuple(signatures), **more)
    lines.feed(content)
    return lines.finish()


def found(seen: Sequence[FirstSeen]) -> dict[str, tuple[int, bytes, int]]:
    return {entry.signature.id: (entry.line, entry.bytes, entry.count) for entry in seen}


def line_by_line(content: bytes, longest: int) -> dict[str, tuple[int, bytes, int]]:
    """What is to be found, by Python's own regular expressions on one line after the other."""
    seen: dict[str, tuple[int, bytes, int]] = {}
    for number, line in enumerate(content.split(b"\n"), 1):
        cut = len(line) > longest
        for pattern in PATTERNS:
            # The end of what is looked at is not the end of the line.
            if cut and pattern.endswith("$"):
                continue
            if re.search(pattern.encode(), line[:longest]):
                first, text, count = seen.get(pattern, (number, line[:longest], 0))
                seen[pattern] = (first, text, min(count + 1, MOST_COUNTED))
    return seen


PIECES = st.sampled_from(
    [b"a", b"b", b"c", b"ab", b"abc", b"x", b"y", b"\n", b"\n\n", b"\r", b"\x00", b"\xff", b"q" * 9]
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(PIECES, max_size=60).map(b"".join),
    st.lists(st.integers(1, 25), min_size=1, max_size=8),
    st.integers(1, 40),
    st.integers(1, 20),
    st.sets(st.sampled_from(SIGNATURES), min_size=1),
)
def test_the_same_is_found_whatever_the_borders(
    content: bytes, sizes: list[int], chunk: int, longest: int, wanted: set[Signature]
) -> None:
    lines = LineScan(tuple(wanted), chunk=chunk, longest=longest)
    at = turn = 0
    while at < len(content):
        size = sizes[turn % len(sizes)]
        assert lines.feed(content[at : at + size])
        at, turn = at + size, turn + 1

    expected = line_by_line(content, longest)
    assert found(lines.finish()) == {entry.id: expected[entry.id] for entry in wanted if entry.id in expected}


@settings(max_examples=50, deadline=None)
@given(st.lists(PIECES, max_size=40).map(b"".join), st.permutations(SIGNATURES))
def test_the_order_of_signatures_does_not_matter(content: bytes, shuffled: list[Signature]) -> None:
    assert found(scan(content, shuffled)) == found(scan(content))


def test_our_signatures_find_the_same_as_each_alone() -> None:
    chance = random.Random(4)
    words = [word for entry in load_signatures() for word in re.sub(r"\\(.)", r"\1", entry.pattern).split("|")]
    content = "\n".join(" ".join(chance.choices(words, k=chance.randrange(8))) for _ in range(400)).encode()
    seen = found(scan(content, load_signatures(), chunk=5000))
    for entry in load_signatures():
        numbers = [n for n, line in enumerate(content.split(b"\n"), 1) if re.search(entry.pattern.encode(), line)]
        assert (seen.get(entry.id) or (None,))[0] == (numbers[0] if numbers else None)
        assert len(numbers) >= MOST_COUNTED or entry.id not in seen or seen[entry.id][2] == len(numbers)


def test_lines_are_counted_up_to_a_bound_and_what_comes_later_is_found() -> None:
    often = b"xx abc\n" * (MOST_COUNTED + line_scan.MOST_IN_VAIN + 50)
    seen = found(scan(often + b"\nxyy\nxqy\n" + often, chunk=1000))

    assert seen["abc"] == (1, b"xx abc", MOST_COUNTED)
    assert seen[PATTERNS[4]][::2] == (MOST_COUNTED + line_scan.MOST_IN_VAIN + 52, 2)


def test_once_all_was_seen_often_enough_nothing_more_is_read() -> None:
    lines = LineScan((signature("abc"),), chunk=100)
    answers = [lines.feed(b"abc\n" * 50) for _ in range(20)]

    assert answers[0] and not answers[-1]
    assert found(lines.finish()) == {"abc": (1, b"abc", MOST_COUNTED)}


def test_a_match_never_crosses_lines() -> None:
    nasty = [signature(pattern) for pattern in (r"a\sb", r"a[^x]b", r"a\x0ab", r"a(?:.|\n)b", "a[[:space:]]b", r"a\Wb")]

    assert scan(b"a\nb\n", nasty) == []
    assert len(scan(b"a b\n", nasty)) == 5


def test_the_rest_of_a_long_line_is_not_looked_at_and_the_next_line_is() -> None:
    content = b"x" * 150 + b"abc\n" + b"abc" + b"x" * 300 + b"\nlast abc"
    for size in (1, 64, 4096):
        lines = LineScan((signature("abc"),), chunk=64, longest=100)
        for at in range(0, len(content), size):
            assert lines.feed(content[at : at + size])
        assert found(lines.finish())["abc"][::2] == (2, 2)


def test_lines_of_binary_files_and_of_windows_are_lines() -> None:
    seen = found(scan(b"\x00\x01\xff abc \x00\r\nab\r\n\xfcab\n"))

    assert seen["abc"][0] == 1 and seen["^ab"][0] == 2 and "c$" not in seen


def test_a_set_that_ran_out_of_memory_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = LinePatterns(["abc", "^ab", "x"])
    expected = patterns.in_line(b"abc")

    class NoMemory:
        def Match(self, line: bytes) -> None:
            return None

    monkeypatch.setattr(patterns, "_which", NoMemory())
    assert patterns.in_line(b"abc") == expected == [0, 1]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"  abc\tx\r", "abc    x"),
        (b"\x1b[00;31mERROR\x1b[0m abc", "ERROR abc"),
        (b"abc \xff\x00\x07<b>", "abc ���<b>"),
        ("abc gr\u00fc\u00dfe \u2028".encode(), "abc gr\u00fc\u00dfe �"),
        (b"abc" + b"x" * 500, "abc" + "x" * 297),
        (b"x" * 500 + b"abc " + b"y" * 500, "... " + "x" * 100 + "abc " + "y" * 192),
        ("ü".encode() * 400 + b"abc", "... " + "ü" * 50 + "abc"),
    ],
)
def test_the_text_is_short_and_clean(line: bytes, text: str) -> None:
    (seen,) = scan(line, [signature("abc")])

    assert seen.text == text and len(seen.text) <= 300


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2026-11-23 11:10:54.202 28372 INFO neutron", "2026-11-23T11:10:54.202"),
        ("2026-11-23 11:10:54,202 x", "2026-11-23T11:10:54.202"),
        ("2026-11-23T11:10:54Z x", "2026-11-23T11:10:54.000Z"),
        ("2026-11-23T13:10:54.2+02:00 x", "2026-11-23T11:10:54.200Z"),
        ("2026-11-23 13:10:54.123456789 +0200 x", "2026-11-23T11:10:54.123Z"),
        ("2017-03-25 19:32:51.280 | curl", "2017-03-25T19:32:51.280"),
        ("[2026-11-23 11:10:54] x", "2026-11-23T11:10:54.000"),
        ("2026-11-23 11:10:54", "2026-11-23T11:10:54.000"),
        ("2026-13-23 11:10:54 x", None),
        ("2026-11-23 25:10:54 x", None),
        ("0001-01-01T00:00:00+23:00 x", None),
        ("2026-11-23 11:10:541 x", None),
        ("Nov 23 11:10:54 node x", None),
        ("at 2026-11-23 11:10:54 x", None),
        ("٢٠٢٦-11-23 11:10:54 x", None),
        ("", None),
    ],
)
def test_the_time_is_the_line_s_own(line: str, time: str | None) -> None:
    assert time_of(line.encode()) == time


@pytest.mark.parametrize(("rest", "matches"), [(b"q\n", False), (b"\n", True), (b"", True)])
def test_the_end_of_what_is_looked_at_is_not_the_end_of_the_line(rest: bytes, matches: bool) -> None:
    for block in (4, 100):
        lines = LineScan((signature("c$"),), chunk=4, longest=4)
        content = b"xxxc" + rest
        for at in range(0, len(content), block):
            lines.feed(content[at : at + block])
        assert bool(lines.finish()) == matches
