"""One dated fact with the file and line it came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

# stage: how a stage ended; service: how one of the gate's processes ended; rerun, control: a failed test once more, on
# the same gate and on fresh ones; package: what moved since the last green run; leak: what the tests left behind.
Kind = Literal[
    "stage",
    "service",
    "test",
    "check",
    "rerun",
    "control",
    "probe",
    "signature",
    "resource",
    "package",
    "history",
    "leak",
    "proof",
    "stream",
    "file",
]


@dataclass(frozen=True)
class Evidence:
    """A fact that a decision rests on.

    ``time`` is ISO 8601 in UTC, None where the fact has none; ``file`` is relative to the workspace.
    """

    kind: Kind
    time: str | None
    text: str
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As verdict.json holds it."""
        return asdict(self)
