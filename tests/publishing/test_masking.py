"""Lab credentials never get through, wherever a block ends."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.publishing.masking import Mask

LETTERS = "abAB"
SECRETS = st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=4)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in zip(ends, ends[1:], strict=False)] or [data]


@given(text=st.text(LETTERS + " ", max_size=200), secrets=SECRETS, places=st.lists(st.integers(0, 200), max_size=20))
def test_the_result_does_not_depend_on_where_blocks_end(text: str, secrets: list[str], places: list[int]) -> None:
    mask, data = Mask(secrets), text.encode()
    pieces = list(mask.pieces(cut(data, places)))
    shown = b"".join(piece for _, piece, _ in pieces)

    assert shown == mask.data(data)
    assert sum(count for count, _, _ in pieces) == len(data)
    assert not any(secret.encode() in shown for secret in secrets)
    # Nothing else is touched: between the masks is what was there, in its order.
    left = data
    for part in shown.split(b"***"):
        assert part in left
        left = left[left.index(part) + len(part) :]


@given(
    secret=st.text(min_size=1, max_size=30).filter(lambda text: "*" not in text), places=st.lists(st.integers(0, 99))
)
def test_any_text_can_be_a_credential(secret: str, places: list[int]) -> None:
    form = secret.encode("utf-8", "surrogateescape") if not re.search("[\ud800-\udfff]", secret) else b""
    if form:
        shown = b"".join(piece for _, piece, _ in Mask([secret]).pieces(cut(b"\0<" + form + b">\0", places)))
        assert form == b"\0" or form in b"\0<>" or form not in shown


def test_the_forms_of_html_and_json_are_masked() -> None:
    mask = Mask(['a"b&c\u00e9<'])
    for written in (
        'a"b&c\u00e9<',
        "a&#34;b".replace("#34", "quot") + "&amp;c\u00e9&lt;",
        'a\\"b&c\\u00e9<',
        'a\\"b&c\u00e9<',
    ):
        assert mask.text(f"[{written}]") == "[***]"


def test_without_credentials_everything_is_as_it_was() -> None:
    assert b"".join(piece for _, piece, _ in Mask([]).pieces([b"ab", b"", b"c"])) == b"abc"
    assert b"".join(piece for _, piece, _ in Mask([""]).pieces([b"ab"])) == b"ab"
