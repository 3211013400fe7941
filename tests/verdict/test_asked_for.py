"""The change that was asked for, against what run.json says."""

from __future__ import annotations

from typing import Any

import pytest

from ci_scripts.verdict.asked_for import AskedFor

SHA, OTHER = "a" * 40, "b" * 40
ASKED = AskedFor("7", "2", "p", SHA)
SAME: dict[str, Any] = {"number": "7", "patchset": "2", "project": "p", "revision": SHA}


def test_the_same_change_and_no_run_json_are_no_difference() -> None:
    assert ASKED.differences({"change": SAME}) == ()
    assert ASKED.differences({}) == ()
    assert ASKED.name == "7,2 of p"


@pytest.mark.parametrize("revision", [None, SHA, OTHER])
def test_a_revision_is_compared_where_both_know_it(revision: str | None) -> None:
    assert AskedFor("7", "2", "p").differences({"change": {**SAME, "revision": revision}}) == ()
    found = ASKED.differences({"change": {**SAME, "revision": revision}})
    assert found == ((f"revision: run.json says {OTHER}, the trigger {SHA}",) if revision == OTHER else ())


@pytest.mark.parametrize(
    ("key", "said", "line"),
    [
        ("number", "8", "change: run.json says 8, the trigger 7"),
        ("patchset", "1", "patch set: run.json says 1, the trigger 2"),
        ("project", "q", "project: run.json says q, the trigger p"),
        ("number", 7, "change: run.json says 7, the trigger 7"),
        ("number", None, "change: run.json says nothing, the trigger 7"),
        ("patchset", ["2"], "patch set: run.json says ['2'], the trigger 2"),
        ("project", "p\x1b[2J" * 100, f"project: run.json says {('p' + chr(27) + '[2J') * 20}, the trigger p"),
    ],
)
def test_each_difference_names_both(key: str, said: Any, line: str) -> None:
    assert ASKED.differences({"change": {**SAME, key: said}}) == (line,)


@pytest.mark.parametrize("change", [None, "7,2", 7, []])
def test_a_run_json_without_a_change_is_of_no_change_that_was_asked_for(change: Any) -> None:
    assert ASKED.differences({"change": change}) == ("run.json names no change; the trigger named 7,2 of p",)
