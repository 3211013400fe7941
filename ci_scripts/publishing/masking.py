"""Taking lab credentials out of bytes on their way to a reader, wherever a block ends."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator

from ci_scripts.settings import MASK


class Mask:
    """Replaces each of some values by ``***``."""

    def __init__(self, values: Iterable[str]) -> None:
        """``values`` in every form in which they may be written; those of HTML and JSON are added."""
        forms = {form.encode("utf-8", "surrogateescape") for value in values for form in _forms(value) if form}
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._forms = tuple(ordered)
        self.longest = len(ordered[0]) if ordered else 0
        self._pattern = re.compile(b"|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        """A short text without the values."""
        return self.data(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def data(self, data: bytes) -> bytes:
        """``data`` as one piece."""
        return self._pattern.sub(MASK.encode(), data) if self._pattern else data

    def pieces(self, blocks: Iterable[bytes]) -> Iterator[tuple[int, bytes, bool]]:
        """What is to be written, in order: how many bytes of the blocks it stands for, the bytes, and if it is a mask.

        The result does not depend on where a block ends; not more than a block and the longest value are held.
        """
        if self._pattern is None:
            yield from ((len(block), block, False) for block in blocks if block)
            return
        held = b""
        for block in blocks:
            held += block
            # A value that starts before this would have ended by now, in whichever form.
            sure = len(held) - self.longest + 1
            if sure > 0:
                done = 0
                for count, piece, masked in self._split(held, sure):
                    done += count
                    yield count, piece, masked
                held = held[done:]
        for count, piece, masked in self._split(held, len(held)):
            yield count, piece, masked

    def _split(self, data: bytes, sure: int) -> Iterator[tuple[int, bytes, bool]]:
        """``data`` up to ``sure``, or to the end of the value that reaches over it."""
        assert self._pattern is not None
        place = 0
        if any(form in data for form in self._forms):
            for match in self._pattern.finditer(data):
                if match.start() >= sure:
                    break
                if match.start() > place:
                    yield match.start() - place, data[place : match.start()], False
                yield match.end() - match.start(), MASK.encode(), True
                place = match.end()
        if place < sure:
            yield sure - place, data[place:sure], False


def _forms(value: str) -> tuple[str, ...]:
    in_json = json.dumps(value)[1:-1]
    return (
        value,
        html.escape(value),
        html.escape(value, quote=False),
        in_json,
        json.dumps(value, ensure_ascii=False)[1:-1],
    )
