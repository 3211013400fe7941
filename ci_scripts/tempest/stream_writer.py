"""The one stream that comes out: events of all workers and checks, as subunit v2, written while they happen."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from subunit import StreamResultToBytes

FINAL = {"success", "fail", "skip", "xfail", "uxsuccess"}
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
_WORDS = {"success": PASSED, "xfail": PASSED, "fail": FAILED, "uxsuccess": FAILED, "skip": SKIPPED}


class StreamWriter:
    """Threads may write; each event is in the file when ``event`` returns, so an abort loses nothing."""

    def __init__(self, path: Path, on_end: Callable[[str, str], None] | None = None) -> None:
        self._file = open(path, "wb", buffering=0)  # noqa: SIM115
        self._bytes = StreamResultToBytes(self._file)
        self._lock = threading.Lock()
        self._on_end = on_end
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def event(self, worker: str, fields: dict[str, Any]) -> None:
        """One event of a worker, in testtools' StreamResult.status keywords. Lists of what exists are left out."""
        status, test_id = fields.get("test_status"), fields.get("test_id")
        if status == "exists":
            return
        tags = set(fields.get("test_tags") or ()) | {worker}
        with self._lock:
            self._bytes.status(**{**fields, "test_tags": tags})
            if status in FINAL and test_id:
                self.counts[_WORDS[status]] += 1
                if self._on_end is not None:
                    self._on_end(test_id, _WORDS[status])

    def test(self, worker: str, test_id: str, passed: bool, text: str, started: datetime) -> None:
        """A whole test at once: a vendor's check."""
        self.event(worker, {"test_id": test_id, "test_status": "inprogress", "timestamp": started})
        if text:
            name = "output" if passed else "traceback"
            data = {"file_name": name, "file_bytes": text.encode(), "mime_type": "text/plain;charset=utf8"}
            self.event(worker, {"test_id": test_id, "timestamp": started, "eof": True, **data})
        ended = {"test_status": "success" if passed else "fail", "timestamp": datetime.now(UTC)}
        self.event(worker, {"test_id": test_id, **ended})
