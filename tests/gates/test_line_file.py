"""Files of one object a line: whole lines from many threads, and none lost to a disk that was full for a while."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from ci_scripts.gates.line_file import WAITING_BYTES, LineFile
from tests.fakes.gate_context import lines_of


def test_many_threads_write_whole_lines(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "a.jsonl")

    def work(worker: int) -> None:
        for number in range(100):
            file.append({"worker": worker, "number": number, "text": "x" * 300})

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = lines_of(tmp_path / "a.jsonl")
    assert sorted((entry["worker"], entry["number"]) for entry in found) == [
        (w, n) for w in range(8) for n in range(100)
    ]


def test_what_a_full_disk_keeps_out_is_written_later(tmp_path: Path) -> None:
    file = LineFile(Path("/dev/full"))
    file.append({"number": 1})
    file.append({"number": 2})
    file.path = tmp_path / "a.jsonl"
    file.append({"number": 3})
    assert lines_of(tmp_path / "a.jsonl") == [{"number": 1}, {"number": 2}, {"number": 3}]


def test_a_line_that_was_cut_short_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    # A limit on the size of files cuts a write short as a full disk does.
    code = (
        "import resource, signal, sys; from pathlib import Path; from ci_scripts.gates.line_file import LineFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = LineFile(Path(sys.argv[1])); soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30, hard))\n"
        "for number in range(3): file.append({'number': number, 'text': 'abc'})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)); file.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.jsonl")], env=environment, check=True, timeout=30)
    assert lines_of(tmp_path / "a.jsonl") == [{"number": number, "text": "abc"} for number in range(3)]


def test_what_waits_is_bounded_and_made_of_whole_lines(tmp_path: Path) -> None:
    file = LineFile(Path("/dev/full"))
    for number in range(2000):
        file.append({"number": number, "text": "x" * 300})
    file.path = tmp_path / "a.jsonl"
    file.close()
    content = (tmp_path / "a.jsonl").read_text()
    assert len(content) <= WAITING_BYTES
    assert [json.loads(line)["number"] for line in content.splitlines()] == list(range(content.count("\n")))


def test_nothing_is_written_after_the_end_nor_through_links_nor_into_a_fifo(tmp_path: Path) -> None:
    closed = LineFile(tmp_path / "closed.jsonl")
    closed.close()
    closed.append({"late": True})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "logs").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "fifo.jsonl")
    for path in (tmp_path / "logs" / "a.jsonl", tmp_path / "fifo.jsonl", tmp_path / "no" / "folder.jsonl"):
        LineFile(path).append({"number": 1})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["elsewhere", "fifo.jsonl", "logs"]
