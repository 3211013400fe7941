"""The stream that is written is the stream that is read."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from ci_scripts.tempest.stream_writer import StreamWriter
from ci_scripts.verdict.read_stream import read_stream

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_what_is_written_is_read_at_once(tmp_path: Path) -> None:
    ended: list[tuple[str, str]] = []
    with StreamWriter(tmp_path / "stream", lambda test, status: ended.append((test, status))) as writer:
        for name, status in [
            ("a", "success"),
            ("b", "fail"),
            ("c", "skip"),
            ("d", "xfail"),
            ("e", "uxsuccess"),
        ]:
            writer.event("worker-0", {"test_id": name, "test_status": "inprogress", "timestamp": NOW})
            writer.event("worker-0", {"test_id": name, "test_status": status, "timestamp": NOW})
        writer.event("worker-1", {"test_id": "f", "test_status": "inprogress", "timestamp": NOW})
        writer.event("worker-1", {"test_id": "g", "test_status": "exists"})
        # The file is not closed yet: an abort here loses nothing.
        content = read_stream(tmp_path / "stream")
    words = dict.fromkeys("ad", "passed") | dict.fromkeys("be", "failed") | {"c": "skipped", "f": "incomplete"}
    assert {test.id: test.status for test in content.tests} == words
    assert {test.worker for test in content.tests} == {"worker-0", "worker-1"}
    assert ended == [("a", "passed"), ("b", "failed"), ("c", "skipped"), ("d", "passed"), ("e", "failed")]
    assert writer.counts == {"passed": 2, "failed": 2, "skipped": 1}


def test_a_check_is_a_test_with_its_output(tmp_path: Path) -> None:
    with StreamWriter(tmp_path / "stream") as writer:
        writer.test("checks", "checks.good", True, "all well", NOW)
        writer.test("checks", "checks.bad", False, "port 7 is missing\n\nexit code 1", NOW)
        writer.test("checks", "checks.silent", True, "", NOW)
    found = {test.id: test for test in read_stream(tmp_path / "stream").tests}
    assert {name: test.status for name, test in found.items()} == {
        "checks.good": "passed",
        "checks.bad": "failed",
        "checks.silent": "passed",
    }
    assert "port 7 is missing" in (found["checks.bad"].text or "")


def test_many_threads_write_whole_packets(tmp_path: Path) -> None:
    def work(worker: str) -> None:
        for number in range(100):
            writer.test(worker, f"{worker}.{number}", True, "x" * 500, NOW)

    with StreamWriter(tmp_path / "stream") as writer:
        threads = [threading.Thread(target=work, args=(f"worker-{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    content = read_stream(tmp_path / "stream")
    assert (len(content.tests), content.problems, content.truncated) == (400, [], False)
