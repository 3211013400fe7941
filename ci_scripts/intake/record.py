"""intake.json: which change and job a workspace of the trusted side is about, and what was taken from the node.

Only such a workspace has one: it is never taken from a node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ci_scripts.change import ChangeUnderTest, change_from_record
from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.intake.take import Taken
from ci_scripts.untrusted_words import word_problem
from ci_scripts.workspace import SCHEMA, Workspace, read_json, utc_text, write_json_atomically

NOT_ENDED = "the intake has not come to its end"


@dataclass(frozen=True)
class Intake:
    """``change`` and ``job`` are from the trusted side's own trigger, None where it names none.

    ``run_id`` is the node's where that is one plain word, else one of the trusted side's. ``source`` is the folder
    or archive. ``ended`` is False for one that was interrupted: then it is to be made again.
    """

    change: ChangeUnderTest | None
    job: str | None
    source: str
    run_id: str = ""
    taken: Taken = field(default_factory=lambda: Taken(0, 0, (NOT_ENDED,), (NOT_ENDED,)))
    time: str = ""
    ended: bool = False

    def as_json(self) -> dict[str, Any]:
        """The content of intake.json."""
        change = self.change
        return {
            "schema": SCHEMA,
            "change": change.as_record() if change is not None else None,
            "trigger": change.trigger if change is not None else None,
            "also": [item.as_record() for item in change.also] if change is not None else [],
            "job": self.job,
            "source": self.source,
            "run_id": self.run_id,
            "taken": {"files": self.taken.files, "bytes": self.taken.bytes},
            "left_out": list(self.taken.left_out),
            "missing": list(self.taken.missing),
            "time": self.time,
            "ended": self.ended,
        }


def write_intake(workspace: Workspace, intake: Intake, now: datetime) -> None:
    """Write intake.json. Raises OSError."""
    write_json_atomically(workspace.intake_json, {**intake.as_json(), "time": utc_text(now)})


def read_intake(workspace: Workspace) -> Intake | None:
    """The intake of a workspace of the trusted side; None for one in which a run took place.

    Raises InfrastructureError for a file that is not as `write_intake` writes it.
    """
    try:
        workspace.intake_json.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    data = read_json(workspace.intake_json)
    try:
        return _intake(data)
    except (ConfigurationError, KeyError, TypeError, ValueError) as error:
        what = getattr(error, "what", None) or f"{type(error).__name__}: {error}"
        raise InfrastructureError(
            f"{workspace.intake_json} cannot be used: {what}",
            next_step="delete the folder and run ci-summarize-results --from again.",
        ) from error


def _intake(data: Mapping[str, Any]) -> Intake:
    job, run_id, taken = data["job"], data["run_id"], data["taken"]
    if run_id != "" and word_problem(run_id) is not None:
        raise ValueError("run_id is not one plain word")
    if job is not None and word_problem(job) is not None:
        raise ValueError("job is not one plain word")
    account = Taken(int(taken["files"]), int(taken["bytes"]), _lines(data["left_out"]), _lines(data["missing"]))
    change = change_from_record(data) if data["change"] is not None else None
    return Intake(change, job, str(data["source"]), run_id, account, str(data["time"]), data["ended"] is True)


def _lines(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("a list of lines is none")
    return tuple(map(str, value))
