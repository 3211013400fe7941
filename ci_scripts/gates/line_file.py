"""A file of the run that grows by one JSON object a line, written by any thread, also while the disk is full."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from ci_scripts.stage_log import APPEND

WAITING_BYTES = 256 * 1024


class LineFile:
    """Nothing here raises on account of the file: no evidence is worth a run.

    What cannot be written (the disk is full, which is what resources.jsonl is to tell) waits in memory, at most
    256 KiB of it, for the next line or the end.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._waiting = b""
        self._closed = False

    def append(self, entry: Mapping[str, object]) -> None:
        """Write one line; does nothing after ``close``."""
        line = json.dumps(entry).encode() + b"\n"
        with self._lock:
            if self._closed:
                return
            if len(self._waiting) + len(line) <= WAITING_BYTES:
                self._waiting += line
            self._write()

    def close(self) -> None:
        """The last attempt to write what waits."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._write()

    def _write(self) -> None:
        if not self._waiting or self.path.parent.is_symlink():
            return
        with contextlib.suppress(OSError):
            number = os.open(self.path, APPEND, 0o644)
            try:
                # A short write goes on in the middle of its line the next time.
                self._waiting = self._waiting[os.write(number, self._waiting) :]
            finally:
                os.close(number)
