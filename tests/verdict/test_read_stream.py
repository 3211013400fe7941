"""Streams of every kind, whole and damaged, against python-subunit as the reference."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import tracemalloc
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from subunit import ByteStreamToStreamResult, ProtocolTestCase, RemotedTestCase
from subunit import TestProtocolClient as ProtocolClient
from subunit.v2 import StreamResultToBytes
from testtools import StreamSummary
from testtools.content import text_content

from ci_scripts.verdict import outcomes
from ci_scripts.verdict import read_stream as module
from ci_scripts.verdict.read_stream import StreamContent, read_stream

STREAMS = Path(__file__).parent.parent / "sample_streams"
START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
V1_WORDS = {"passed": "addSuccess", "failed": "addFailure", "skipped": "addSkip"}
V2_WORDS = {"passed": "success", "failed": "fail", "skipped": "skip"}


def v1(tests: list[tuple[str, str, str]]) -> bytes:
    """A stream as stestr stores it: id, status and details of each test."""
    stream = io.BytesIO()
    client = ProtocolClient(stream)
    for number, (test_id, status, text) in enumerate(tests):
        test = RemotedTestCase(test_id)
        client.time(START + timedelta(seconds=number))
        client.tags({f"worker-{number % 2}"}, set())
        client.startTest(test)
        client.time(START + timedelta(seconds=number + 0.25))
        name = "reason" if status == "skipped" else "traceback"
        getattr(client, V1_WORDS[status])(test, details={name: text_content(text)})
        client.stopTest(test)
        client.tags(set(), {f"worker-{number % 2}"})
    return stream.getvalue()


def v2(tests: list[tuple[str, str, str]]) -> bytes:
    stream = io.BytesIO()
    writer = StreamResultToBytes(stream)
    for number, (test_id, status, text) in enumerate(tests):
        tags = {f"worker-{number % 2}"}
        began = START + timedelta(seconds=number)
        writer.status(test_id=test_id, test_status="inprogress", timestamp=began, test_tags=tags)
        name = "reason" if status == "skipped" else "traceback"
        writer.status(
            test_id=test_id, file_name=name, file_bytes=text.encode(), eof=True, mime_type="text/plain;charset=utf8"
        )
        ended = began + timedelta(seconds=0.25)
        writer.status(test_id=test_id, test_status=V2_WORDS[status], timestamp=ended, test_tags=tags)
    return stream.getvalue()


TESTS = [
    ("pkg.mod.Class.test_passes[id-1,smoke]", "passed", "a log"),
    ("pkg.mod.Class.test_fails[id-2]", "failed", "Traceback (most recent call last):\n]\n ]\nValueError: no"),
    ("pkg.mod.Class.test_skips", "skipped", "no such extension"),
    ("pkg.mod.Other.test_passes", "passed", ""),
]


def read(tmp_path: Path, data: bytes) -> StreamContent:
    path = tmp_path / "stream"
    path.write_bytes(data)
    return read_stream(path)


def statuses(content: StreamContent) -> list[tuple[str, str]]:
    return [(test.id, test.status) for test in content.tests]


@pytest.mark.parametrize(("write", "name"), [(v1, "v1"), (v2, "v2")])
def test_a_whole_stream_gives_every_fact_of_its_tests(tmp_path: Path, write, name: str) -> None:
    content = read(tmp_path, write(TESTS))

    assert content.format == name
    assert statuses(content) == [(test_id, status) for test_id, status, _ in TESTS]
    assert not content.problems and not content.truncated
    passed, failed, skipped, _ = content.tests
    assert (passed.started, passed.seconds, passed.worker) == (START, 0.25, "worker-0")
    assert passed.text is None
    assert failed.worker == "worker-1" and failed.text == TESTS[1][2]
    assert skipped.reason == "no such extension" and skipped.text is None


@pytest.mark.parametrize("write", [v1, v2])
def test_gzip_in_several_members_is_read(tmp_path: Path, write) -> None:
    data = write(TESTS)
    content = read(tmp_path, gzip.compress(data[:100]) + gzip.compress(data[100:]))

    assert statuses(content) == [(test_id, status) for test_id, status, _ in TESTS]
    assert content.bytes == len(data) and not content.truncated


def test_cut_gzip_keeps_what_came_out(tmp_path: Path) -> None:
    # Text that does not compress, so that the cut falls between tests.
    tests = [(f"m.C.test_{number}", "failed", os.urandom(300).hex()) for number in range(200)]
    data = gzip.compress(v1(tests))
    content = read(tmp_path, data[: len(data) // 2])

    assert 50 < len(content.tests) < 150
    assert content.truncated and "the gzip file is cut" in content.problems


def test_a_gzip_bomb_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STREAM", 4 * 1024 * 1024)
    bomb = gzip.compress(b"\0" * (200 * 1024 * 1024))
    tracemalloc.start()
    content = read(tmp_path, bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert content.bytes == 4 * 1024 * 1024 and content.truncated
    assert peak < 20 * 1024 * 1024


def test_v1_and_v2_and_console_text_in_one_file(tmp_path: Path) -> None:
    noise = "testing the connection to the controller ...\nerror: no\nhällo \u00f3 w\u00f3rld\n".encode()
    second = [(f"other.{test_id}", status, text) for test_id, status, text in TESTS]
    content = read(tmp_path, noise + v1(TESTS) + noise + v2(second) + b"$ ")

    assert content.format == "v1+v2"
    assert len(content.tests) == 8
    assert not content.truncated
    assert any("are not subunit, the first: 'testing the connection" in problem for problem in content.problems)


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 300_000, b"\xb3" * 5000, b"\xb3\x2b" * 5000, b"\x1f\x8b", b"\x1f\x8b\x08" * 9]
)
def test_nothing_readable_gives_no_tests_and_a_reason(tmp_path: Path, data: bytes) -> None:
    content = read(tmp_path, data)

    assert content.tests == [] and content.format == "none"
    assert content.problems


def test_a_missing_file_a_link_and_a_fifo_give_a_reason(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(v1(TESTS))
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    (tmp_path / "folder" / "real").write_bytes(v1(TESTS))
    os.mkfifo(tmp_path / "fifo")

    for name in ("missing", "link", "fifo", "folder"):
        content = read_stream(tmp_path / name)
        assert content.tests == [] and content.problems, name
    assert read_stream(tmp_path / "way" / "real", inside=tmp_path).tests == []
    assert len(read_stream(tmp_path / "folder" / "real", inside=tmp_path).tests) == 4
    assert read_stream(tmp_path / "folder" / ".." / "real", inside=tmp_path).tests == []


@pytest.mark.parametrize("write", [v1, v2])
def test_every_cut_keeps_the_tests_before_it(tmp_path: Path, write) -> None:
    data = write(TESTS)
    ends = [len(write(TESTS[:count])) for count in range(len(TESTS) + 1)]
    for cut in range(1, len(data)):
        content = read(tmp_path, data[:cut])
        whole = max(count for count, end in enumerate(ends) if end <= cut)
        assert statuses(content)[:whole] == [(test_id, status) for test_id, status, _ in TESTS[:whole]]
        assert len(content.tests) <= whole + 1


def test_a_failure_cut_within_its_report_stays_a_failure_and_a_success_does_not(tmp_path: Path) -> None:
    failed = v1([("a.b.c", "failed", "x" * 1000)])
    passed = v1([("a.b.c", "passed", "x" * 1000)])

    assert [test.status for test in read(tmp_path, failed[:-300]).tests] == ["failed"]
    content = read(tmp_path, passed[:-300])
    assert [test.status for test in content.tests] == ["incomplete"]
    assert content.truncated


def test_a_chunk_with_a_wrong_length_costs_one_test_its_text_and_nothing_else(tmp_path: Path) -> None:
    data = v1(TESTS)
    for length in (b"FFFFFFFF", b"7", b"zz"):
        damaged = re.sub(rb"(traceback\n)[0-9A-F]+", rb"\g<1>" + length, data, count=2)
        content = read(tmp_path, damaged)
        assert statuses(content) == [(test_id, status) for test_id, status, _ in TESTS], length
        assert any("damaged near byte" in problem for problem in content.problems)
    assert "ValueError: no" in (content.tests[1].text or "")


def test_a_damaged_packet_costs_that_packet_only_and_is_no_failed_test(tmp_path: Path) -> None:
    packet = v2(TESTS[:1])
    damaged = bytearray(v2(TESTS))
    damaged[len(packet) - 3] ^= 0xFF
    content = read(tmp_path, bytes(damaged))

    assert [test.status for test in content.tests] == ["failed", "skipped", "passed", "incomplete"]
    assert content.tests[-1].id == TESTS[0][0]
    assert any("a packet is damaged at byte" in problem for problem in content.problems)


def test_damage_in_a_length_does_not_hide_the_packets_behind_it(tmp_path: Path) -> None:
    stream = v2([(f"m.C.t{number}", "passed", "") for number in range(50)])
    damaged = stream[:3] + b"\xbf\xff\xff" + stream[6:]

    content = read(tmp_path, damaged)

    assert len([test for test in content.tests if test.status == "passed"]) == 50
    assert not content.truncated


def test_bytes_that_are_no_utf8_and_times_that_are_none(tmp_path: Path) -> None:
    data = (
        b"time: 2026-13-45 99:00:00.0Z\ntime: nonsense\nprogress: +\nprogress: push\ntags: \xff\xfe -\xff\n"
        b"test: a.b.\xff\nsuccess: a.b.\xff\n"
        b"test: a.b.simple\nskip: a.b.simple [\nbecause \xff\n ]\n]\n"
        b"test: a.b.open\n"
    )
    content = read(tmp_path, data)

    assert statuses(content) == [("a.b.\\xff", "passed"), ("a.b.simple", "skipped"), ("a.b.open", "incomplete")]
    assert content.tests[1].reason == "because \ufffd\n]"
    assert content.truncated and "a time cannot be read (2 times)" in content.problems


def test_a_test_that_ran_twice_is_there_twice_and_reported(tmp_path: Path) -> None:
    content = read(tmp_path, v1([("a.b.c", "failed", "no"), ("a.b.c", "passed", "")]))

    assert statuses(content) == [("a.b.c", "failed"), ("a.b.c", "passed")]
    assert "1 tests have more than one outcome, the first: 'a.b.c'" in content.problems


def test_a_long_attachment_keeps_its_beginning_and_end(tmp_path: Path) -> None:
    for write in (v1, v2):
        # One packet of v2 holds less than 4 MiB.
        text = "first line\n" + "x" * 3_000_000 + "\nlast line"
        content = read(tmp_path, write([("a.b.c", "failed", text)]))
        kept = content.tests[0].text or ""
        assert len(kept) < outcomes.MAX_ATTACHMENT + 100
        assert kept.startswith("first line\n") and kept.endswith("\nlast line") and "bytes left out" in kept


def test_memory_stays_bounded_with_many_large_attachments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MAX_TEXT_IN_ALL", 4 * 1024 * 1024)
    stream = io.BytesIO()
    writer = StreamResultToBytes(stream)
    for number in range(60):
        writer.status(test_id=f"a.b.t{number}", test_status="inprogress")
        writer.status(test_id=f"a.b.t{number}", file_name="log", file_bytes=b"x" * 1_000_000)
    path = tmp_path / "stream"
    path.write_bytes(stream.getvalue())
    del stream, writer
    tracemalloc.start()
    content = read_stream(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert len(content.tests) == 60
    assert peak < 40 * 1024 * 1024


def test_the_number_of_outcomes_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MAX_OUTCOMES", 10)
    content = read(tmp_path, v2([(f"t{number}", "passed", "") for number in range(30)]))

    assert len(content.tests) == 10 and content.truncated
    assert any("more than 10 outcomes" in problem for problem in content.problems)


def test_the_number_of_lines_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINES", 100)
    content = read(tmp_path, b"\n" * 1000)

    assert content.bytes == 100 and content.truncated
    assert "the stream has more than 100 lines; the rest was not read" in content.problems


@pytest.mark.parametrize("name", ["fixtures-v1.subunit", "fixtures-v2.subunit"])
def test_fixtures_of_classes_as_stestr_writes_them(name: str) -> None:
    content = read_stream(STREAMS / name)
    found = dict(statuses(content))

    assert found["setUpClass (t.test_a.FailCls)"] == "failed"
    assert found["setUpClass (t.test_a.Tempesty)"] == "skipped"
    assert found["tearDownClass (t.test_a.TearCls)"] == "failed"
    assert found["setUpModule (t.test_b)"] == "failed"
    assert found["t.test_a.Plain.test_xfail"] == "passed" and found["t.test_a.Plain.test_ux"] == "failed"
    assert "t.test_a.FailCls.test_1" not in found and "t.test_a.Tempesty.test_1" not in found


def _samples() -> list[dict[str, str]]:
    folder = os.environ.get("CI_SAMPLES")
    path = Path(folder or "missing") / "subunit" / "expected.json"
    return json.loads(path.read_text()) if path.is_file() else []


@pytest.mark.skipif(not _samples(), reason="CI_SAMPLES names no folder with real streams")
def test_real_streams_have_the_counts_of_the_reference() -> None:
    folder = Path(os.environ["CI_SAMPLES"]) / "subunit"
    wrong = []
    for sample in _samples():
        content = read_stream(folder / sample["file"])
        found = Counter(test.status for test in content.tests)
        # The reference has no word for a test without an end and calls it an error.
        ours = (len(content.tests), found["passed"], found["failed"] + found["incomplete"], found["skipped"])
        numbers = tuple(map(int, re.findall(r"\d+", sample["subunit-stats"])))
        if numbers and ours != numbers:
            wrong.append((sample["file"], ours, numbers, content.problems))
    assert wrong == []


IDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1
)
SOME_TESTS = st.lists(
    st.tuples(
        IDS.map(lambda text: "m." + text.strip() + ".x"), st.sampled_from(sorted(V1_WORDS)), st.text(max_size=300)
    ),
    max_size=8,
    unique_by=lambda test: test[0],
)


def _reference(data: bytes) -> tuple[int, int, int]:
    summary = StreamSummary()
    summary.startTestRun()
    ByteStreamToStreamResult(io.BytesIO(data), non_subunit_name="noise").run(summary)
    summary.stopTestRun()
    return summary.testsRun, len(summary.errors), len(summary.skipped)


class _Counting:
    def __init__(self) -> None:
        self.words: Counter[str] = Counter()

    def __getattr__(self, name: str):
        return lambda *_, **__: self.words.update([name])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tests=SOME_TESTS)
def test_whole_streams_mean_what_python_subunit_says(tmp_path: Path, tests: list[tuple[str, str, str]]) -> None:
    second = read(tmp_path, v2(tests))
    found = Counter(test.status for test in second.tests)
    assert (len(second.tests), found["failed"], found["skipped"]) == _reference(v2(tests))
    counting = _Counting()
    ProtocolTestCase(io.BytesIO(v1(tests)), io.BytesIO()).run(counting)
    first = read(tmp_path, v1(tests))
    for status, word in V1_WORDS.items():
        assert sum(test.status == status for test in first.tests) == counting.words[word]
    assert statuses(first) == statuses(second)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tests=SOME_TESTS,
    write=st.sampled_from([v1, v2]),
    packed=st.booleans(),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from("cdif"), st.binary(max_size=40)), max_size=6),
)
def test_no_damage_raises(tmp_path: Path, tests, write, packed: bool, edits) -> None:
    data = write(tests)
    data = gzip.compress(data) if packed else data
    for place, kind, extra in edits:
        at = place % (len(data) + 1)
        if kind == "c":
            data = data[:at]
        elif kind == "d":
            data = data[:at] + data[at + len(extra) :]
        elif kind == "i":
            data = data[:at] + extra + data[at:]
        else:
            data = data[:at] + extra + data[at + len(extra) :]
    content = read(tmp_path, data)

    assert all(test.status in ("passed", "failed", "skipped", "incomplete") for test in content.tests)
    assert content.format in ("none", "v1", "v2", "v1+v2")


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=3000),
    head=st.sampled_from([b"", b"\x1f\x8b\x08\x00", b"test: a\nfailure: a [ multipart\n", b"\xb3\x29"]),
)
def test_no_bytes_raise(tmp_path: Path, data: bytes, head: bytes) -> None:
    content = read(tmp_path, head + data)

    json.dumps([vars(test) | {"started": None} for test in content.tests]).encode()
    assert content.tests or content.problems or content.format != "none" or (head + data).strip() == b""
