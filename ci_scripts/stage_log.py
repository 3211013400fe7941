"""What a stage says while it works, and the file it leaves: stages/<name>.json."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ci_scripts.errors import as_ci_error
from ci_scripts.workspace import SCHEMA, Workspace, utc_text, write_json_atomically

_current: Workspace | None = None


def current_workspace() -> Workspace | None:
    """The workspace of the stage that runs in this process, for the traceback of a bug."""
    return _current


class StageRecord:
    """The record of one stage under way."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.path = workspace.stages_dir / f"{name}.json"
        self.outcome: str | None = None
        self.notes: dict[str, Any] = {}
        self._data: dict[str, Any] = {
            "schema": SCHEMA,
            "name": name,
            "started": utc_text(),
            "ended": None,
            "exit_code": None,
            "reason": None,
            "log": str(workspace.console_log.relative_to(workspace.root)),
            "steps": [],
        }
        self._write()

    def say(self, text: str) -> None:
        """A line for whoever watches (stderr) and for logs/console.log, with the time in UTC."""
        line = f"{datetime.now(UTC):%H:%M:%S} {text}"
        print(line, file=sys.stderr, flush=True)
        with contextlib.suppress(OSError), open(self.workspace.console_log, "a", encoding="utf-8") as log:
            log.write(line + "\n")

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A named step: said when it begins, with its duration when it ends."""
        self.say(f"==> {text}")
        started, clock = utc_text(), time.monotonic()
        try:
            yield
        except BaseException:
            self._end_step(text, started, time.monotonic() - clock, "failed")
            raise
        self._end_step(text, started, time.monotonic() - clock, "done")

    def _end_step(self, text: str, started: str, seconds: float, how: str) -> None:
        self._data["steps"].append({"name": text, "started": started, "seconds": round(seconds, 3), "ended": how})
        self.say(f"    {text}: {how} in {seconds:.1f} s")
        with contextlib.suppress(OSError):
            self._write()

    def end(self, exit_code: int, reason: str | None) -> None:
        self._data.update(ended=utc_text(), exit_code=exit_code, reason=reason)
        self._write()

    def _write(self) -> None:
        extra = {"outcome": self.outcome} if self.outcome else {}
        write_json_atomically(self.path, {**self._data, **extra, **self.notes})


@contextlib.contextmanager
def stage(workspace: Workspace, name: str) -> Iterator[StageRecord]:
    """Record a stage: its file is there while it runs and says how it ended, also when it failed or was aborted."""
    global _current
    outer, _current = _current, workspace
    record = StageRecord(workspace, name)
    try:
        yield record
    except BaseException as error:
        known = as_ci_error(error)
        _end_quietly(record, known.exit_code, str(known))
        raise
    else:
        record.end(0, None)
        _current = outer


def _end_quietly(record: StageRecord, exit_code: int, reason: str) -> None:
    # The first cause is kept: a full disk must not hide why the stage failed.
    with contextlib.suppress(OSError):
        record.end(exit_code, reason)
