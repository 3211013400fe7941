"""Rounds as a node leaves them, whole and hostile, and what became of a test in one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.verdict.read_stream import StreamContent
from ci_scripts.verdict.rerun_facts import MAX_ROUNDS, passed_in, read_rounds, status_in
from ci_scripts.verdict.tests_file import compare
from tests.verdict.made_cases import A, B, C, report
from tests.verdict.made_workspaces import round_entry, rounds_files, stream_of, write

FILE = Path("logs/reruns/reruns.json")


def test_rounds_come_in_their_order_with_what_their_streams_say(tmp_path: Path) -> None:
    rounds_files(
        tmp_path,
        ("alone", "alone", {A: "passed", B: "failed"}),
        ("neighbours-1", "neighbours", {A: "failed", C: "skipped"}),
    )
    rounds, problems = read_rounds(tmp_path)

    assert problems == ()
    assert [(entry.name, entry.mode) for entry in rounds] == [("alone", "alone"), ("neighbours-1", "neighbours")]
    assert rounds[0].stream == "logs/reruns/alone.subunit"
    assert (rounds[0].ended, rounds[0].problem) == ("2026-01-31T12:06:00.000Z", None)
    assert {test.id: test.status for test in rounds[0].tests.tests} == {A: "passed", B: "failed"}
    assert passed_in(rounds[0].tests, A) and not passed_in(rounds[0].tests, B)
    assert status_in(rounds[1].tests, C) == "skipped" and status_in(rounds[1].tests, B) is None


def test_a_workspace_without_reruns_has_no_rounds_and_no_problem(tmp_path: Path) -> None:
    assert read_rounds(tmp_path) == ((), ())
    write(tmp_path / "logs", "a file")
    assert read_rounds(tmp_path) == ((), ())


def test_a_round_that_was_cut_off_keeps_what_it_had(tmp_path: Path) -> None:
    rounds_files(tmp_path, ("alone", "alone", {A: "passed", B: "began", C: "passed"}))
    entry = round_entry("alone", "alone", [A, B, C], ended=None, problem="the tests were stopped: their time was up.")
    write(tmp_path / FILE, {"schema": 1, "rounds": [entry]})
    whole = (tmp_path / "logs/reruns/alone.subunit").read_bytes()
    (tmp_path / "logs/reruns/alone.subunit").write_bytes(whole[: len(stream_of({A: "passed", B: "began"}))])
    (found,), problems = read_rounds(tmp_path)

    assert problems == () and found.ended is None and "time was up" in (found.problem or "")
    assert [status_in(found.tests, name) for name in (A, B, C)] == ["passed", "incomplete", None]


def test_a_round_whose_stream_is_gone_has_no_outcome_for_any_test(tmp_path: Path) -> None:
    rounds_files(tmp_path, ("alone", "alone", {A: "passed"}))
    (tmp_path / "logs/reruns/alone.subunit").unlink()
    (found,), _ = read_rounds(tmp_path)

    assert status_in(found.tests, A) is None and not passed_in(found.tests, A)


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 50_000, "7", '{"schema": 1, "rounds": '])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, content: str) -> None:
    write(tmp_path / FILE, content)
    rounds, problems = read_rounds(tmp_path)

    assert rounds == () and len(problems) == 1 and problems[0].startswith("logs/reruns/reruns.json cannot be read")


@pytest.mark.parametrize("how", ["link", "folder", "fifo", "linked folder"])
def test_only_a_regular_file_in_the_workspace_is_read(tmp_path: Path, how: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "run"
    rounds_files(outside, ("alone", "alone", {A: "passed"}))
    (root / "logs").mkdir(parents=True)
    if how == "linked folder":
        (root / "logs/reruns").symlink_to(outside / "logs/reruns")
    else:
        (root / "logs/reruns").mkdir()
        place = root / FILE
        {"link": lambda: place.symlink_to(outside / FILE), "folder": place.mkdir, "fifo": lambda: os.mkfifo(place)}[
            how
        ]()
    rounds, problems = read_rounds(root)

    assert rounds == () and len(problems) == (0 if how == "linked folder" else 1)


@pytest.mark.parametrize(
    "stream", ["/etc/passwd", "../outside.subunit", "logs/../../outside.subunit", "link", "", "\0"]
)
def test_a_stream_outside_the_workspace_is_not_read(tmp_path: Path, stream: str) -> None:
    root = tmp_path / "run"
    write(tmp_path / "outside.subunit", stream_of({A: "passed"}))
    write(root / FILE, {"schema": 1, "rounds": [round_entry("alone", "alone", [A], stream=stream)]})
    (root / "link").symlink_to(tmp_path / "outside.subunit")
    rounds, problems = read_rounds(root)

    assert not any(passed_in(entry.tests, A) for entry in rounds)
    assert len(rounds) + len(problems) == 1


BAD = [
    None,
    7,
    "round",
    [],
    {},
    round_entry("x", "sideways", [A]),
    {**round_entry("x", "alone", [A]), "mode": ["alone"]},
    {**round_entry("x", "alone", [A]), "mode": {}},
    round_entry("x", "alone", [A], stream=7),
    round_entry("x", "alone", [A], stream=None),
    {**round_entry("x", "alone", [A]), "selected": "all"},
    {**round_entry("x", "alone", [A]), "selected": {A: 1}},
    round_entry("x", "alone", ["m.C.t"] * 100_001),
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_damaged_round_is_said_and_the_others_are_used(tmp_path: Path, bad: Any) -> None:
    rounds_files(tmp_path, ("alone", "alone", {A: "passed"}))
    good = json.loads((tmp_path / FILE).read_text())["rounds"][0]
    write(tmp_path / FILE, {"schema": 1, "rounds": [bad, good]})
    rounds, problems = read_rounds(tmp_path)

    assert [entry.name for entry in rounds] == ["alone"]
    assert len(problems) == 1 and "holds a round that cannot be used" in problems[0] and len(problems[0]) < 1000


def test_names_and_words_are_bounded_and_ids_that_are_no_text_are_left_out(tmp_path: Path) -> None:
    entry = round_entry("n" * 5000, "alone", [A, 7, None, "m" * 9000], problem="p" * 5000, ended=7)  # type: ignore[list-item]
    write(tmp_path / FILE, {"schema": 1, "rounds": [entry]})
    (found,), problems = read_rounds(tmp_path)

    assert problems == ()
    assert (len(found.name), len(found.problem or ""), found.ended) == (100, 1000, None)
    assert sorted(len(test.id) for test in found.tests.tests) == [len(A), 2000]


def test_no_more_than_a_hundred_rounds_are_read(tmp_path: Path) -> None:
    entry = round_entry("alone", "alone", [A])
    write(tmp_path / FILE, {"schema": 1, "rounds": [entry] * (MAX_ROUNDS + 50)})

    assert len(read_rounds(tmp_path)[0]) == MAX_ROUNDS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["name", "mode", "stream", "selected", "started", "ended", "problem"])


@given(entries=st.lists(json_values | st.dictionaries(KEYS, json_values, min_size=4), max_size=3))
def test_whatever_the_file_holds_nothing_is_raised(tmp_path_factory: pytest.TempPathFactory, entries: Any) -> None:
    root = tmp_path_factory.mktemp("run")
    write(root / FILE, json.dumps({"schema": 1, "rounds": entries}))
    rounds, problems = read_rounds(root)

    assert len(rounds) + len(problems) == len(entries)


SET_UP, MODULE = "setUpClass (m.First)", "setUpModule (m)"


@pytest.mark.parametrize(
    ("statuses", "test_id", "status"),
    [
        ({A: "passed"}, A, "passed"),
        ({A: "skipped"}, A, "skipped"),
        ({}, A, None),
        ({SET_UP: "failed"}, SET_UP, "failed"),
        ({A: "passed", B: "passed"}, SET_UP, "passed"),
        ({A: "passed", B: "failed"}, SET_UP, "passed"),
        ({A: "passed", B: "incomplete"}, SET_UP, "incomplete"),
        ({C: "passed"}, SET_UP, None),
        ({A: "passed", C: "failed"}, MODULE, "passed"),
        ({}, MODULE, None),
    ],
)
def test_what_became_of_a_test(statuses: dict[str, str], test_id: str, status: str | None) -> None:
    assert status_in(report(statuses), test_id) == status


def test_a_test_whose_class_could_not_be_set_up_has_that_outcome() -> None:
    assert status_in(report({SET_UP: "failed"}, missing=[A]), A) == "failed"
    assert status_in(report({SET_UP: "skipped"}, missing=[A]), A) == "skipped"


def test_a_test_that_was_never_come_to_has_no_outcome_nor_has_its_fixture() -> None:
    """The stream says nothing about it: a worker died, or the time was up. That is no failure of the test."""
    found = report({A: "passed"}, missing=[B])

    assert status_in(found, B) is None
    assert status_in(found, SET_UP) is None
    assert status_in(report({}, hung=[B]), B) == "incomplete"


def test_of_two_outcomes_the_worse_counts() -> None:
    tests = [*report({A: "passed"}).tests, *report({A: "failed"}).tests]
    assert status_in(compare(StreamContent(tests=tests), [A]), A) == "failed"
