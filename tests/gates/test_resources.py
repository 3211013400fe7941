"""Disk and memory as the kernel tells them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ci_scripts.gates import resources
from ci_scripts.gates.line_file import LineFile
from ci_scripts.verdict.node_evidence import read_resources
from tests.fakes.gate_context import lines_of

MEMINFO = "MemTotal:       24684092 kB\nMemFree:        23671784 kB\nMemAvailable:   24274088 kB\nHugePages_Total:  0\n"


def test_this_machine_can_be_sampled(tmp_path: Path) -> None:
    found = resources.sample(tmp_path)
    total, available, free = found["memory_total"], found["memory_available"], found["disk_free"]
    assert total and available and free and 0 < available <= total and found["load"] is not None
    assert 0 < free <= shutil.disk_usage(tmp_path).total


def test_what_the_kernel_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "vmstat").write_text("nr_free_pages 5917946\noom_kill 3\nnuma_hit 1\n")
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    found = resources.sample(tmp_path, proc=tmp_path, cgroup=tmp_path)
    assert (found["memory_available"], found["memory_total"]) == (24274088 * 1024, 24684092 * 1024)
    assert found["oom_kills"] == 3


def test_the_control_group_counts_where_the_machine_does_not(tmp_path: Path) -> None:
    (tmp_path / "vmstat").write_text("nr_free_pages 5917946\n")
    (tmp_path / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert resources.sample(tmp_path, proc=tmp_path, cgroup=tmp_path)["oom_kills"] == 1


def test_what_cannot_be_had_is_none(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_bytes(b"MemTotal: many kB\n\xff\n\nMemAvailable:\n")
    found = resources.sample(tmp_path / "gone", proc=tmp_path, cgroup=tmp_path)
    assert [name for name, value in found.items() if value is not None] == ["load"]


def test_what_is_recorded_can_be_read_back(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    file = tmp_path / "logs" / "resources.jsonl"
    resources.record(LineFile(file), tmp_path)
    resources.record(LineFile(file), tmp_path / "gone")
    facts, problems = read_resources(tmp_path)
    assert problems == () and [fact.line for fact in facts] == [1, 2]
    assert facts[0].disk_free == lines_of(file)[0]["disk_free"] and facts[1].disk_free is None
    assert facts[0].memory_total == facts[1].memory_total
    assert json.loads(file.read_text().splitlines()[0])["time"].endswith("Z")
