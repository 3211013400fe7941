"""What a stage says while it works, and the file it leaves: stages/<name>.json."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci_scripts.errors import CIError, InfrastructureError, as_ci_error
from ci_scripts.settings import MASK
from ci_scripts.workspace import SCHEMA, Workspace, utc_text, write_json_atomically

# A change's code, or an earlier build, may have left a link, or a FIFO that nobody reads.
APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK

_current: Workspace | None = None


def current_workspace() -> Workspace | None:
    """The workspace of the stage that runs in this process, for the traceback of a bug."""
    return _current


class StageRecord:
    """The record of one stage under way. Several threads may say something and have steps of their own."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.path = workspace.stages_dir / f"{name}.json"
        self.outcome: str | None = None
        self.notes: dict[str, Any] = {}
        self._secrets: tuple[str, ...] = ()
        # An abort is raised in the middle of anything: what the main thread holds it may take again.
        self._turn = threading.RLock()
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
        _require_real_folder(workspace.logs)
        self._write()

    def mask(self, values: Sequence[str]) -> None:
        """From now on these do not appear in what is said or recorded, nor in the error that ends the stage."""
        self._secrets = tuple(sorted({*self._secrets, *values} - {""}, key=len, reverse=True))

    def masked(self, text: str) -> str:
        """``text`` as it may be shown."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text

    def mask_error(self, error: BaseException) -> None:
        """Mask the texts of an error and of its causes, in place."""
        seen: list[BaseException] = []
        left: list[BaseException | None] = [error]
        while left:
            error_now = left.pop()
            if error_now is None or any(error_now is other for other in seen):
                continue
            seen.append(error_now)
            left += [error_now.__cause__, error_now.__context__]
            error_now.args = tuple(self._without_secrets(word) for word in error_now.args)
            if isinstance(error_now, CIError):
                error_now.what, error_now.next_step = self.masked(error_now.what), self.masked(error_now.next_step)

    def _without_secrets(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.masked(value)
        if isinstance(value, dict):
            return {key: self._without_secrets(entry) for key, entry in value.items()}
        return [self._without_secrets(entry) for entry in value] if isinstance(value, list) else value

    def say(self, text: str) -> None:
        """A line for whoever watches (stderr) and for logs/console.log, with the time in UTC."""
        line = f"{datetime.now(UTC):%H:%M:%S} {self.masked(text)}"
        with self._turn:
            self._print(line)

    def _print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)
        if self.workspace.logs.is_symlink():
            return
        with contextlib.suppress(OSError):
            number = os.open(self.workspace.console_log, APPEND, 0o644)
            with open(number, "a", encoding="utf-8", errors="backslashreplace") as log:
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
        entry = {"name": self.masked(text), "started": started, "seconds": round(seconds, 3), "ended": how}
        with self._turn:
            self._data["steps"].append(entry)
            self.say(f"    {text}: {how} in {seconds:.1f} s")
            with contextlib.suppress(OSError, InfrastructureError):
                self._write()

    def end(self, exit_code: int, reason: str | None) -> None:
        reason = self.masked(reason) if reason is not None else None
        self._data.update(ended=utc_text(), exit_code=exit_code, reason=reason)
        self._write()

    def _write(self) -> None:
        extra = {"outcome": self.outcome} if self.outcome else {}
        _require_real_folder(self.path.parent)
        write_json_atomically(self.path, {**self._data, **extra, **self._without_secrets(self.notes)})


def _require_real_folder(folder: Path) -> None:
    if folder.is_symlink():
        raise InfrastructureError(
            f"{folder} is a link: what is written there would end up elsewhere.",
            next_step="delete it, find out who made it, and run the job again.",
        )


@contextlib.contextmanager
def stage(workspace: Workspace, name: str) -> Iterator[StageRecord]:
    """Record a stage: its file is there while it runs and says how it ended, also when it failed or was aborted.

    Raises InfrastructureError where stages/ or logs/ is a link.
    """
    global _current
    outer, _current = _current, workspace
    record = StageRecord(workspace, name)
    try:
        yield record
    except BaseException as error:
        record.mask_error(error)
        known = as_ci_error(error)
        _end_quietly(record, known.exit_code, str(known))
        raise
    else:
        record.end(0, None)
        _current = outer


def _end_quietly(record: StageRecord, exit_code: int, reason: str) -> None:
    # The first cause is kept: a full disk must not hide why the stage failed.
    with contextlib.suppress(OSError, InfrastructureError):
        record.end(exit_code, reason)
