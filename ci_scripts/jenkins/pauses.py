"""Which jobs we paused, and which of them somebody had disabled before: resume leaves those alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ci_scripts.errors import InfrastructureError

SCHEMA = 1


@dataclass(frozen=True)
class Pause:
    """One job's: since when (UTC), why, and whether it was disabled before."""

    since: str
    reason: str
    was_disabled: bool


def read_pauses(folder: Path) -> dict[str, Pause]:
    """By name of the job. Raises InfrastructureError for notes that cannot be read: they are not to be lost."""
    from ci_scripts.workspace import read_json

    path = folder / "paused.json"
    if not path.exists():
        return {}
    try:
        jobs: Any = read_json(path)["jobs"]
        return {
            str(name): Pause(str(one["since"]), str(one["reason"]), bool(one["was_disabled"]))
            for name, one in jobs.items()
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise InfrastructureError(
            f"{path} makes no sense.", next_step="see which jobs are disabled, and remove it."
        ) from error


def write_pauses(folder: Path, pauses: Mapping[str, Pause], url: str) -> None:
    """Raises InfrastructureError."""
    from ci_scripts.workspace import write_json_atomically

    data = {"schema": SCHEMA, "url": url, "jobs": {name: asdict(pauses[name]) for name in sorted(pauses)}}
    try:
        write_json_atomically(folder / "paused.json", data)
    except OSError as error:
        raise InfrastructureError(f"{folder} cannot be written: {error.strerror}.") from error
