"""published.json: what was published of a run, where and when. It lies beside what it is about, and in the workspace.

Among what is published it is the mark by which a folder is known as ours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ci_scripts.publishing.layout import RECORD
from ci_scripts.verdict.byte_source import BLOCK
from ci_scripts.verdict.run_facts import moment_of
from ci_scripts.verdict.untrusted_file import open_regular, read_object
from ci_scripts.workspace import SCHEMA

# These differ each time that a verdict is made from the same files.
_NOT_THE_RUNS = ("made", "history")


@dataclass(frozen=True)
class Published:
    """``folder`` is relative to the root of what is published; ``identity`` names the run and its verdict.

    ``files`` and ``bytes`` are what lies there, the pages not counted. ``complete`` is False while it is uploaded.
    """

    url: str
    folder: str
    time: str
    run_id: str
    identity: str
    outcome: str
    change: str
    patch_set: str
    project: str
    pipeline: str
    job: str
    files: int = 0
    bytes: int = 0
    left_out: tuple[str, ...] = ()
    complete: bool = True

    def as_json(self) -> dict[str, Any]:
        """The content of published.json."""
        return {"schema": SCHEMA, **asdict(self), "left_out": list(self.left_out)}

    def as_text(self) -> str:
        """published.json itself, in ASCII."""
        return json.dumps(self.as_json(), indent=1) + "\n"

    def moved(self, url: str, folder: str) -> Published:
        """The same at another place."""
        return replace(self, url=url, folder=folder)

    @property
    def moment(self) -> datetime | None:
        """When it was published, by the clock of who did; None if that cannot be read."""
        return moment_of(self.time)


def read_record(folder: Path) -> Published | None:
    """The record in a published folder; None where there is none that is ours. No link is followed."""
    try:
        data = read_object(folder / RECORD, inside=folder)
        return _record(data)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _record(data: Mapping[str, Any]) -> Published:
    if data["schema"] != SCHEMA:
        raise ValueError("another schema")
    words = {name: data[name] for name in _TEXTS}
    if not all(isinstance(word, str) for word in words.values()):
        raise TypeError("no text")
    left_out = tuple(map(str, data["left_out"]))
    return Published(
        **words,
        files=int(data["files"]),
        bytes=int(data["bytes"]),
        left_out=left_out,
        complete=data["complete"] is True,
    )


_TEXTS = ("url", "folder", "time", "run_id", "identity", "outcome", "change", "patch_set", "project", "pipeline", "job")


def identity_of(root: Path, run_id: str, verdict: Mapping[str, Any]) -> str:
    """A hash that is the same for the same run with the same verdict, however often that was made.

    The tests count as well: two runs of a node that gives itself the name of another run are told apart.
    """
    digest = hashlib.sha256(run_id.encode("utf-8", "surrogateescape") + b"\0")
    content = {name: value for name, value in verdict.items() if name not in _NOT_THE_RUNS}
    digest.update(json.dumps(content, sort_keys=True).encode())
    for name in ("tests.json", "logs/testrepository.subunit"):
        try:
            with open_regular(root / name, inside=root) as stream:
                while block := stream.read(BLOCK):
                    digest.update(block)
            digest.update(b"|")
        except OSError:
            digest.update(b"-")
    return digest.hexdigest()
