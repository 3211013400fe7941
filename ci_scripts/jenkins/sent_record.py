"""What was sent to a Jenkins and the form that it gave it. A file in ``cache_dir``; without it all is just compared.

So a server that writes jobs its own way, or one whose plug-ins are missing, does not look changed for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ci_scripts.errors import InfrastructureError

SCHEMA = 1
FOLDER = "jenkins"


@dataclass(frozen=True)
class Sent:
    """Digests of normal forms: of the definition, and of what the server made of it."""

    definition: str
    server: str


def folder_of(cache_dir: Path, url: str) -> Path:
    """Where notes about one server are."""
    return cache_dir / FOLDER / hashlib.sha256(url.encode()).hexdigest()[:16]


def read_sent(folder: Path) -> dict[str, Sent]:
    """By name of the job; nothing where there is no such file, or one that makes no sense."""
    from ci_scripts.workspace import read_json

    try:
        jobs: Any = read_json(folder / "sent.json").get("jobs")
        return {str(name): Sent(str(one["definition"]), str(one["server"])) for name, one in jobs.items()}
    except (InfrastructureError, OSError, AttributeError, KeyError, TypeError):
        return {}


def write_sent(folder: Path, jobs: Mapping[str, Sent], url: str) -> None:
    """Raises InfrastructureError."""
    from ci_scripts.workspace import write_json_atomically

    data = {"schema": SCHEMA, "url": url, "jobs": {name: asdict(jobs[name]) for name in sorted(jobs)}}
    try:
        write_json_atomically(folder / "sent.json", data)
    except OSError as error:
        raise InfrastructureError(f"{folder} cannot be written: {error.strerror}.") from error
