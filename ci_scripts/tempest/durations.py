"""How long each class took in earlier runs: a file in the cache, used to balance workers and shards."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from ci_scripts.workspace import write_json_atomically

SCHEMA = 1
MAX_GROUPS = 50_000


def read_durations(cache: Path, whose: str = "tempest") -> dict[str, float]:
    """Seconds per class, or whatever else ``whose`` tests are grouped by.

    Empty where there is no file or it cannot be used, for it is only a hint.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        data = json.loads(_file(cache, whose).read_text())
        if data["schema"] == SCHEMA:
            return {str(name): float(seconds) for name, seconds in data["groups"].items()}
    return {}


def remember_durations(cache: Path, measured: Mapping[str, float], whose: str = "tempest") -> None:
    """Mix the new figures with the old, half each: one slow run does not decide. Failing to write is no error."""
    known = read_durations(cache, whose)
    for name, seconds in measured.items():
        known[name] = round((known[name] + seconds) / 2, 3) if name in known else seconds
    newest = dict(list(known.items())[-MAX_GROUPS:])
    with contextlib.suppress(OSError):
        write_json_atomically(_file(cache, whose), {"schema": SCHEMA, "groups": newest})


def _file(cache: Path, whose: str) -> Path:
    return cache / f"{whose.replace('_', '-')}-durations.json"
