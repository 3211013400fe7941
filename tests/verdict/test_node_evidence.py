"""What a node noted beside its tests, as a hostile node may leave it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.verdict import node_evidence
from ci_scripts.verdict.node_evidence import (
    ProbeFact,
    read_leftovers,
    read_probes,
    read_resources,
    red_during,
    resource_evidence,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PROBE = {
    "time": "2026-01-31T12:00:00.000Z",
    "seconds": 2.5,
    "phase": "during",
    "probe": "controller",
    "shard": "0",
    "state": "red",
    "text": "refused",
}
SAMPLE = {
    "time": "2026-01-31T12:00:00.000Z",
    "disk_free": 2**33,
    "memory_available": 2**33,
    "memory_total": 2**34,
    "oom_kills": 0,
    "load": 0.5,
}
LEFT = {"name": "neutron", "shard": "0", "before": 1, "after": 3, "left_count": 2, "left": ["port a", "port b"]}


def write(root: Path, name: str, *lines: object) -> None:
    file = root / "logs" / name
    file.parent.mkdir(exist_ok=True)
    content = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    file.write_bytes(content)


def fact(seconds: float, took: float = 0.0, red: bool = True) -> ProbeFact:
    return ProbeFact(NOON + timedelta(seconds=seconds), "during", "controller", None, red, "", 1, took)


def test_an_empty_workspace_says_nothing(tmp_path: Path) -> None:
    assert read_probes(tmp_path) == read_resources(tmp_path) == read_leftovers(tmp_path) == ((), ())


def test_answers_are_read_with_their_lines(tmp_path: Path) -> None:
    green = {**PROBE, "state": "green", "shard": None, "text": "", "time": "2026-01-31T11:00:00+01:00"}
    del green["seconds"]
    write(tmp_path, "probes.jsonl", PROBE, green)
    facts, problems = read_probes(tmp_path)

    assert problems == ()
    assert facts[0] == ProbeFact(NOON, "during", "controller", "0", True, "refused", 1, 2.5)
    assert facts[1] == ProbeFact(NOON - timedelta(hours=2), "during", "controller", None, False, "", 2, 0.0)


@pytest.mark.parametrize(
    "bad",
    [
        *({**PROBE, "time": time} for time in ("2026-01-31T12:00:00", "noon", "", None, 5, ["x"], "9" * 3000)),
        *({**PROBE, "seconds": seconds} for seconds in (-1, "2", True, 10**400, 86_401, None, float("nan"))),
        *({**PROBE, "phase": phase} for phase in ("later", None, {}, [])),
        *({**PROBE, "probe": probe} for probe in ("", "x" * 101, 5, None)),
        *({**PROBE, "shard": shard} for shard in (-1, True, "a", "٣", "1" * 7, 1.5, [])),
        *({**PROBE, "state": state} for state in ("blue", None, True)),
        {**PROBE, "text": None},
        {**PROBE, "more": "x" * 5000},
        {},
        [],
        "red",
        b"{\n",
        b"\n",
        b"\xff\xfe\n",
        b"[" * 4000 + b"\n",
        b'{"a":' * 700 + b"\n",
        b"1" * 4000 + b"\n",
        b"\0" * 10_000_000 + b"\n",
    ],
    ids=lambda entry: repr(entry)[:60],
)
def test_a_bad_line_is_one_problem_and_hides_no_other(tmp_path: Path, bad: object) -> None:
    write(tmp_path, "probes.jsonl", PROBE, bad, PROBE)
    facts, problems = read_probes(tmp_path)

    assert [fact.line for fact in facts] == [1, 3]
    assert problems == ("logs/probes.jsonl: line 2 cannot be used",)


def test_many_bad_lines_are_one_problem(tmp_path: Path) -> None:
    write(tmp_path, "probes.jsonl", *[[]] * 500, b'{"time": "2026')
    assert read_probes(tmp_path) == ((), ("logs/probes.jsonl: line 1 and 500 more cannot be used",))


def test_times_may_go_backwards(tmp_path: Path) -> None:
    write(tmp_path, "probes.jsonl", PROBE, {**PROBE, "time": "2020-01-01T00:00:00Z"}, PROBE)
    facts, problems = read_probes(tmp_path)
    assert [fact.time.year for fact in facts] == [2026, 2020, 2026] and problems == ()


def test_numbers_of_shards_are_names(tmp_path: Path) -> None:
    write(tmp_path, "probes.jsonl", {**PROBE, "shard": 1}, {**PROBE, "shard": "1"})
    assert [fact.shard for fact in read_probes(tmp_path)[0]] == ["1", "1"]


def test_what_is_said_is_cut_and_can_be_written(tmp_path: Path) -> None:
    write(tmp_path, "probes.jsonl", {**PROBE, "text": "\ud800" + "x" * 3000})
    (only,), problems = read_probes(tmp_path)
    assert only.text.encode().startswith(b"?x") and len(only.text) == node_evidence.MAX_TEXT and problems == ()


def test_no_more_than_so_many_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_evidence, "MAX_LINES", 3)
    write(tmp_path, "probes.jsonl", PROBE, PROBE, PROBE)
    assert read_probes(tmp_path)[1] == ()
    write(tmp_path, "probes.jsonl", PROBE, PROBE, PROBE, PROBE)
    facts, problems = read_probes(tmp_path)
    assert len(facts) == 3
    assert problems == ("logs/probes.jsonl has more than 3 lines or 67108864 bytes; the rest was not read",)


def test_a_file_of_any_size_is_read_up_to_a_bound(tmp_path: Path) -> None:
    write(tmp_path, "probes.jsonl", PROBE)
    with open(tmp_path / "logs" / "probes.jsonl", "ab") as stream:
        stream.truncate(10**12)
    facts, problems = read_probes(tmp_path)
    assert len(facts) == 1 and "the rest was not read" in problems[0]


@pytest.mark.parametrize("name", ["probes.jsonl", "resources.jsonl", "leftovers.json"])
@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "link above"])
def test_what_is_no_file_is_a_problem(tmp_path: Path, name: str, kind: str) -> None:
    root = tmp_path / "workspace"
    file = root / "logs" / name
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / name).write_text(json.dumps(PROBE))
    file.parent.mkdir(parents=True)
    if kind == "link":
        file.symlink_to(outside / name)
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.parent.rmdir()
        file.parent.symlink_to(outside)
    read = {"probes.jsonl": read_probes, "resources.jsonl": read_resources, "leftovers.json": read_leftovers}[name]
    facts, problems = read(root)
    # Where a folder should be is a link: that is told as if nothing were there.
    assert facts == () and (kind == "link above" or len(problems) == 1)


@pytest.mark.parametrize(
    ("seconds", "took", "overlaps"),
    [
        (-15.1, 0.0, False),
        (-15.0, 0.0, True),
        (-30.0, 20.0, True),
        (5.0, 0.0, True),
        (25.0, 0.0, True),
        (25.1, 0.0, False),
        (25.1, 20.0, False),
    ],
)
def test_red_is_during_a_test_within_one_interval(seconds: float, took: float, overlaps: bool) -> None:
    found = red_during([fact(seconds, took)], NOON, NOON + timedelta(seconds=10))
    assert bool(found) is overlaps


def test_green_is_never_red_and_another_interval_may_be_given() -> None:
    end = NOON + timedelta(seconds=10)
    assert red_during([fact(5, red=False)], NOON, end) == ()
    assert red_during([fact(12)], NOON, end, interval=1.0) == ()
    assert red_during([fact(11)], NOON, end, interval=1.0) == (fact(11),)


def test_times_at_the_edge_of_the_calendar_are_compared(tmp_path: Path) -> None:
    edges = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
    write(tmp_path, "probes.jsonl", *({**PROBE, "time": time} for time in edges))
    facts, problems = read_probes(tmp_path)
    assert len(facts) == 2 and len(problems) == 1
    assert red_during(facts, NOON, NOON) == ()
    assert red_during(facts, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)) == facts


def test_a_healthy_machine_is_no_evidence(tmp_path: Path) -> None:
    unknown = dict.fromkeys(("disk_free", "memory_available", "memory_total", "oom_kills", "load"))
    write(tmp_path, "resources.jsonl", SAMPLE, {**SAMPLE, **unknown}, {"time": SAMPLE["time"]}, {**SAMPLE, "load": 1})
    facts, problems = read_resources(tmp_path)
    assert len(facts) == 4 and problems == () and facts[1].load is None
    assert resource_evidence(facts) == ()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("disk_free", -1),
        ("disk_free", 1.5),
        ("disk_free", True),
        ("disk_free", 2**63),
        ("memory_total", "many"),
        ("oom_kills", []),
        ("load", "high"),
        ("load", float("inf")),
        ("time", "2026-01-31T12:00:00"),
    ],
)
def test_a_bad_sample_is_a_problem(tmp_path: Path, key: str, value: object) -> None:
    write(tmp_path, "resources.jsonl", {**SAMPLE, key: value})
    assert read_resources(tmp_path) == ((), ("logs/resources.jsonl: line 1 cannot be used",))


def test_what_was_short_is_evidence_where_it_was_shortest(tmp_path: Path) -> None:
    def at(second: int, **values: Any) -> dict[str, Any]:
        return {**SAMPLE, "time": f"2026-01-31T12:00:{second:02d}.000Z", **values}

    write(
        tmp_path,
        "resources.jsonl",
        at(0, disk_free=63 * 2**20, oom_kills=4),
        at(15, disk_free=2**20, memory_available=2**28, oom_kills=5),
        at(30, disk_free=64 * 2**20, memory_available=2**27, oom_kills=None),
        at(45, memory_total=0, oom_kills=7),
        at(59, oom_kills=0),
    )
    found = resource_evidence(read_resources(tmp_path)[0])
    assert [(item.kind, item.file, item.line, item.text) for item in found] == [
        ("resource", "logs/resources.jsonl", 2, "1 MiB of disk were left for the workspace"),
        ("resource", "logs/resources.jsonl", 3, "128 MiB of memory were available, 0.8 % of it"),
        ("resource", "logs/resources.jsonl", 2, "the kernel killed a process on this machine for want of memory"),
        ("resource", "logs/resources.jsonl", 4, "the kernel killed 2 processes on this machine for want of memory"),
    ]
    assert found[0].time == "2026-01-31T12:00:15Z"


def test_just_enough_is_enough(tmp_path: Path) -> None:
    write(tmp_path, "resources.jsonl", {**SAMPLE, "disk_free": 64 * 2**20, "memory_available": 2, "memory_total": 100})
    assert resource_evidence(read_resources(tmp_path)[0]) == ()


def test_kills_without_end_are_told_so_often(tmp_path: Path) -> None:
    write(tmp_path, "resources.jsonl", *({**SAMPLE, "oom_kills": number} for number in range(100)))
    assert len(resource_evidence(read_resources(tmp_path)[0])) == node_evidence.MAX_KILLS_TOLD


def test_leftovers_are_read_with_what_went_wrong(tmp_path: Path) -> None:
    content = {"schema": 1, "inventories": [LEFT, {**LEFT, "shard": None}], "problems": ["lab: it was away", 5]}
    write(tmp_path, "leftovers.json", content)
    facts, problems = read_leftovers(tmp_path)
    assert [(fact.name, fact.shard, fact.before, fact.after) for fact in facts] == [
        ("neutron", "0", 1, 3),
        ("neutron", None, 1, 3),
    ]
    assert facts[0].left == ("port a", "port b") and problems == ("logs/leftovers.json: lab: it was away",)


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"shard": "x"}, {"before": -1}, {"after": "3"}, {"left_count": None}, {"left": "port"}],
)
def test_a_bad_inventory_is_left_out(tmp_path: Path, change: dict[str, object]) -> None:
    write(tmp_path, "leftovers.json", {"schema": 1, "inventories": [{**LEFT, **change}, LEFT], "problems": []})
    facts, problems = read_leftovers(tmp_path)
    assert len(facts) == 1 and problems == ("logs/leftovers.json: an entry is not what it should be",)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"[" * 50_000, b'{"schema": 2}', b'{"schema": 1}'])
def test_leftovers_that_cannot_be_read_are_a_problem(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "leftovers.json", content)
    facts, problems = read_leftovers(tmp_path)
    assert facts == () and len(problems) == 1


def test_lists_without_end_are_cut(tmp_path: Path) -> None:
    many = {**LEFT, "left": ["x" * 5000, 7, *["port"] * 500]}
    write(tmp_path, "leftovers.json", {"schema": 1, "inventories": [many] * 1000, "problems": ["x"] * 1000})
    facts, problems = read_leftovers(tmp_path)
    assert len(facts) == len(problems) == node_evidence.MAX_INVENTORIES
    assert len(facts[0].left) == 99 and len(facts[0].left[0]) == node_evidence.MAX_TEXT
