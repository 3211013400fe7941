"""Reading what a server sent as JSON: every value is checked, and what is not as it must be is a GerritFailed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from ci_scripts.gerrit.errors import GerritFailed
from ci_scripts.gerrit.records import Status

T = TypeVar("T")
# A name that a file cannot have: the commit message, the list of merged commits, the patch set itself.
MAGIC = "/"
PATCH_SET_LEVEL = "/PATCHSET_LEVEL"
STATUSES: dict[str, Status] = {"NEW": "NEW", "MERGED": "MERGED", "ABANDONED": "ABANDONED"}
# What Gerrit writes above a message: its patch set, the votes ("-Verified": taken back), how many comments go with it.
_HEADING = re.compile(r"Patch Set ([0-9]{1,9}):(?: -?[A-Za-z][A-Za-z0-9_-]*(?:[+-][0-9]+)?)*[ \t]*(?=\n|$)")
_COMMENTS = re.compile(r"\n\n\([0-9]+ (?:inline )?comments?\)(?=\n|$)")
_UPLOADED = re.compile(r"Uploaded patch set ([0-9]{1,9})\b")


def nonsense(what: str) -> GerritFailed:
    """For an answer that is JSON but not what Gerrit sends."""
    return GerritFailed(
        f"Gerrit's answer cannot be understood: {what}.",
        next_step="see whether gerrit.url or gerrit.ssh names a Gerrit of version 3 and no other server.",
    )


def parsed(text: str | bytes) -> Any:
    """The value that JSON stands for. Raises GerritFailed, also where it is nested without end."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise nonsense("it is not JSON") from None


def understood(read: Callable[[], T]) -> T:
    """What ``read`` returns; an arithmetic limit that a strange value breaks is a GerritFailed like all else."""
    try:
        return read()
    except (ValueError, OverflowError, RecursionError) as error:
        raise nonsense(f"a value is out of range ({type(error).__name__})") from None


def as_object(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise nonsense(f"{what} is not an object")
    return value


def as_list(value: object, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise nonsense(f"{what} is not a list")
    return value


def object_in(parent: dict[str, Any], key: str) -> dict[str, Any]:
    """Empty where it is missing."""
    value = parent.get(key)
    return {} if value is None else as_object(value, key)


def list_in(parent: dict[str, Any], key: str) -> list[Any]:
    """Empty where it is missing."""
    value = parent.get(key)
    return [] if value is None else as_list(value, key)


def objects_in(parent: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [as_object(value, f"an entry of {key}") for value in list_in(parent, key)]


def text_in(parent: dict[str, Any], key: str, default: str | None = "") -> str:
    """``default`` where it is missing; with None as default it must be there. Half characters become '?'."""
    value = parent.get(key, default)
    if not isinstance(value, str):
        raise nonsense(f"{key} is {'missing' if value is None else 'not a text'}")
    return value.encode("utf-8", "replace").decode("utf-8")


def number_in(parent: dict[str, Any], key: str, default: int | None = 0) -> int:
    """A whole number, also where it is sent as text ("1", "+1"); see text_in for ``default``."""
    value = parent.get(key, default)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise nonsense(f"{key} is {'missing' if value is None else 'not a whole number'}")
    return value


def status_in(parent: dict[str, Any]) -> Status:
    found = STATUSES.get(text_in(parent, "status", None))
    if found is None:
        raise nonsense("the status is none of NEW, MERGED and ABANDONED")
    return found


def time_of_text(text: str, what: str) -> datetime:
    """As REST sends it, UTC without saying so: ``2026-11-23 16:44:30.000000000``."""
    match = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?", text)
    if match is None:
        raise nonsense(f"{what} is not a time")
    micro = int((match.group(2) or "0").ljust(9, "0")[:6])
    return understood(
        lambda: datetime.strptime(match.group(1), "%Y-%m-%d %H:%M:%S").replace(microsecond=micro, tzinfo=UTC)
    )


def time_of_seconds(seconds: int) -> datetime:
    """As SSH sends it: seconds since 1970, UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise nonsense("a time is out of range") from None


def without_heading(text: str) -> str:
    """A message without what Gerrit itself wrote above it."""
    match = _HEADING.match(text)
    if match is None:
        return text.strip("\n")
    rest = text[match.end() :]
    comments = _COMMENTS.match(rest)
    return (rest[comments.end() :] if comments else rest).strip("\n")


def patch_set_named(text: str) -> int | None:
    """The patch set that Gerrit's own words name, None where they name none."""
    match = _HEADING.match(text) or _UPLOADED.match(text)
    return int(match.group(1)) if match else None


def has_heading(text: str) -> bool:
    """Whether a message came with a review; what Gerrit writes by itself ("Abandoned") has no such heading."""
    return _HEADING.match(text) is not None


def has_comments(text: str) -> bool:
    """Whether Gerrit says that comments on files or on the patch set go with a message."""
    match = _HEADING.match(text)
    return match is not None and _COMMENTS.match(text[match.end() :]) is not None


def is_file(path: str) -> bool:
    return bool(path) and not path.startswith(MAGIC)
