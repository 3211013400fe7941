"""Many patterns over many lines at once, with google-re2: linear time whatever the pattern and the log.

Patterns are matched on bytes and on one line at a time; a line's end is never part of a match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

import re2  # type: ignore[import-untyped]

# What RE2 may use for one expression's states. A log made to need more costs time, not memory.
MAX_MEMORY = 16 * 1024 * 1024
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FLAGS = re.compile(r"\(\?(?!:|i\)|i:)")


def pattern_problem(pattern: str) -> str | None:
    """Why ``pattern`` cannot be looked for in lines, or None."""
    if not pattern:
        return "is empty"
    if not (pattern.isascii() and pattern.isprintable()):
        return "holds a character that is not printable ASCII; write . or .+ for it"
    if any(letter in "AzCQE" for letter in _ESCAPED.findall(pattern)):
        return r"uses \A, \z, \C, \Q or \E; ^ and $ are the ends of the line"
    if _FLAGS.search(_ESCAPED.sub("", pattern)):
        return "uses a flag or a name in (?...); only (?: and (?i) are known"
    try:
        found = _compiled(pattern.encode()).search(b"")
    except re2.error as error:
        reason = error.args[0]
        return f"is no RE2: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
    return "matches an empty line, so every line" if found else None


class LinePatterns:
    """Looks for several patterns in one pass.

    Raises ValueError where they are too large together; each alone must have no `pattern_problem`.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        # A log of many lines has few that match: one expression finds the places, and only there is asked which.
        self._patterns = [pattern.encode() for pattern in patterns]
        self._which = re2.Set.SearchSet(_options())
        try:
            self._any = _compiled(b"|".join(b"(?m:%b)" % pattern for pattern in self._patterns))
            for pattern in self._patterns:
                self._which.Add(b"(?m:%b)" % pattern)
            self._which.Compile()
        except re2.error as error:
            raise ValueError("the patterns are too large together") from error
        finally:
            # re2 would keep every expression ever made, each with its states.
            re2.purge()

    def first_place(self, data: bytes | bytearray, begin: int, end: int) -> int | None:
        """Where the first match in ``data[begin:end]`` starts. ``begin`` must be the start of a line."""
        found = self._any.search(data, begin, end)
        return None if found is None else int(found.start())

    def in_line(self, line: bytes) -> list[int]:
        """The indices of the patterns that match in a line without its end."""
        # RE2's set says "none" also when it runs out of memory; then each pattern is asked alone.
        return sorted(self._which.Match(line) or self.in_part(line, len(line)))

    def in_part(self, data: bytes, end: int) -> list[int]:
        """The indices of the patterns that match in ``data[:end]``, which may be cut: $ sees what comes after."""
        return [index for index in range(len(self._patterns)) if self.start_in(data, end, index) is not None]

    def start_in(self, data: bytes, end: int, index: int) -> int | None:
        """Where the first match of one pattern in ``data[:end]`` starts."""
        found = self._alone[index].search(data, 0, end)
        return None if found is None else int(found.start())

    @cached_property
    def _alone(self) -> list[re2._Regexp]:
        try:
            return [_compiled(b"(?m:%b)" % pattern) for pattern in self._patterns]
        finally:
            re2.purge()


def _compiled(pattern: bytes) -> re2._Regexp:
    return re2.compile(pattern, _options())


def _options() -> re2.Options:
    options = re2.Options()
    # Logs are bytes of any encoding; with UTF-8 a dot would not match a broken character.
    options.encoding = re2.Options.Encoding.LATIN1
    options.never_capture = True
    options.never_nl = True
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    return options
