"""tests.json, and selected tests set against the stream."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.read_stream import StreamContent, read_stream
from ci_scripts.verdict.tests_file import as_json, class_of, compare, read_selection, read_tests

STREAMS = Path(__file__).parent.parent / "sample_streams"
SELECTED = [
    "t.test_a.Deco.test_1",
    "t.test_a.FailCls.test_1",
    "t.test_a.FailCls.test_2",
    "t.test_a.Plain.test_ok",
    "t.test_a.SkipCls.test_1",
    "t.test_a.TearCls.test_1",
    "t.test_a.TempestFail.test_1",
    "t.test_a.Tempesty.test_1[id-1,smoke]",
    "t.test_b.M.test_1",
    "t.test_b.M.gone.test_1",
]


@pytest.mark.parametrize("name", ["fixtures-v1.subunit", "fixtures-v2.subunit"])
def test_tests_of_a_class_that_was_not_set_up_are_covered_by_its_fixture(name: str) -> None:
    report = compare(read_stream(STREAMS / name), SELECTED)

    assert {(test.id, test.status) for test in report.not_run} == {
        ("t.test_a.FailCls.test_1", "failed"),
        ("t.test_a.FailCls.test_2", "failed"),
        ("t.test_a.SkipCls.test_1", "skipped"),
        ("t.test_a.TempestFail.test_1", "failed"),
        ("t.test_a.Tempesty.test_1[id-1,smoke]", "skipped"),
        ("t.test_b.M.test_1", "failed"),
    }
    assert [(test.id, test.status) for test in report.with_status("incomplete")] == [
        ("t.test_b.M.gone.test_1", "incomplete")
    ]
    assert report.selected == len(SELECTED)
    assert any("were not selected" in problem for problem in report.problems)


def test_without_a_selection_nothing_is_missing() -> None:
    report = compare(StreamContent(tests=[TestOutcome("a.b.c", "passed")]), None)

    assert report.selected is None and report.counts["incomplete"] == 0


def test_checks_are_not_expected_in_the_selection() -> None:
    report = compare(StreamContent(tests=[TestOutcome("checks.holds.shard0", "passed")]), [])

    assert report.problems == ()


def test_tests_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    tests = [
        TestOutcome("a.b.c", "failed", datetime(2026, 1, 1, tzinfo=UTC), 1.5, "worker-0", None, "why\x00"),
        TestOutcome("a.b.d", "skipped", reason="no extension"),
        TestOutcome("setUpClass (a.E)", "skipped", reason="no extension"),
    ]
    report = compare(StreamContent("v1", tests, ["a problem"], True, 12), ["a.b.c", "a.b.gone", "a.E.test"])
    path = tmp_path / "tests.json"
    path.write_text(json.dumps(as_json(report)))

    again = read_tests(path, inside=tmp_path)

    assert again.tests == report.tests and again.not_run == report.not_run
    assert again.counts == {"total": 4, "passed": 0, "failed": 1, "skipped": 2, "incomplete": 1, "not_run": 1}
    assert again.stream.problems == ["a problem", "1 tests of the stream were not selected, one: 'a.b.d'"]
    assert again.selected == 3 and again.stream.truncated


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": True},
        {"tests": {}},
        {"tests": [{"id": "a"}]},
        {"tests": [dict(id="a", status="great", started=None, seconds=None, worker=None, reason=None, text=None)]},
        {"tests": [dict(id="a", status="passed", started="x", seconds=None, worker=None, reason=None, text=None)]},
        {"tests": [dict(id="a", status="passed", started=None, seconds="1", worker=None, reason=None, text=None)]},
        {"tests": [dict(id="a" * 3000, status="passed", started=None, seconds=1, worker=None, reason=None, text=None)]},
        {"selected": "3"},
        {"stream": None},
        {"not_run": [{"id": "a", "fixture": "b", "status": "passed"}]},
    ],
)
def test_another_shape_is_refused_with_the_name_of_the_file(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "tests.json"
    path.write_text(json.dumps(as_json(compare(StreamContent(), None)) | change))

    with pytest.raises(InfrastructureError, match=r"tests\.json cannot be used"):
        read_tests(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\x00"])
def test_what_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tests.json"
    path.write_text(text)

    with pytest.raises(InfrastructureError):
        read_tests(path)


def test_a_selection_behind_a_link_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("a.b.c\n\n a.b.d \n")
    (tmp_path / "link").symlink_to("real")

    assert read_selection(tmp_path / "real") == ["a.b.c", "a.b.d"]
    assert read_selection(tmp_path / "link") is None
    assert read_selection(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("test_id", "expected"),
    [
        ("a.b.C.test_x[id-1.2,smoke]", ("a.b.C", "test_x[id-1.2,smoke]")),
        ("a.b.C.test_x(scenario.one)", ("a.b.C", "test_x(scenario.one)")),
        ("setUpClass (a.b.C)", ("a.b.C", "setUpClass")),
        ("checks.holds.shard0", ("checks.holds", "shard0")),
        ("alone", ("", "alone")),
        ("", ("", "")),
    ],
)
def test_class_and_name_of_a_test(test_id: str, expected: tuple[str, str]) -> None:
    assert class_of(test_id) == expected
