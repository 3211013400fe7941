"""A member of a source: one name, what kind of thing it is, and how its bytes are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CHUNK = 256 * 1024
FILE, FOLDER = "file", "folder"


class SourceCut(Exception):
    """The source cannot be read any further: it is cut, damaged, or beyond a limit. Its text says which."""


class MemberUnreadable(Exception):
    """This member cannot be read to its end; those after it can."""


@dataclass(frozen=True)
class Member:
    """``name`` as the source has it, unchecked. ``kind`` is FILE, FOLDER, or what else it is, in words.

    ``size`` in bytes is None where only reading tells. ``read`` gives at most so many bytes, none at the end;
    ``skip`` passes over so many. Both raise SourceCut, MemberUnreadable or OSError (of reading), and work only
    until the next member is asked for.
    """

    name: str
    kind: str
    size: int | None = 0
    read: Callable[[int], bytes] = lambda count: b""
    skip: Callable[[int], None] = lambda count: None
