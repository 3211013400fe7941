"""One dated fact with the file and line it came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Evidence:
    """A fact that a decision rests on.

    ``kind`` is a short word (stage, service, test, stream, proof, file), ``time`` ISO 8601 in UTC or None,
    ``file`` is relative to the workspace.
    """

    kind: str
    time: str | None
    text: str
    file: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As verdict.json holds it."""
        return asdict(self)
