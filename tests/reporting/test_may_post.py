"""When a comment is due, by what is on a change: a table, and what holds for any history of messages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.gerrit.records import Account, Change, Message, PatchSet
from ci_scripts.reporting.may_post import NothingToReport, Place, rechecks, refuse_if_over, standing, why_not

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
OURS = Account(7, "Demo CI", "demo-ci")
JANE = Account(8, "Jane Person", "jane")
OTHER_CI = Account(9, "Other CI", "other-ci")
PLACE = Place(1, 2, "check")
URL = "https://logs.example.org/"


def messages(*said: tuple[Account, str] | tuple[Account, str, int]) -> list[Message]:
    """In this order, an hour apart; on patch set 2 if nothing else is said."""
    return [
        Message(f"m{number}", entry[0], NOW + timedelta(hours=number), entry[1], entry[2] if len(entry) > 2 else 2)
        for number, entry in enumerate(said)
    ]


def comment_on(*runs: str, pipeline: str = "check") -> str:
    return f"Build failed ({pipeline} pipeline).\n\n- job {URL} : FAILURE in 3s\n\nRun {', '.join(runs)}"


def due(run: str, *said: tuple[Account, str] | tuple[Account, str, int], again: bool = False) -> bool:
    there = messages(*said)
    asked = rechecks(there, PLACE, ("demo",))
    return why_not(standing(there, OURS, PLACE), (run,), asked, again=again) is None


@pytest.mark.parametrize(
    ("said", "is_due"),
    [
        ([], True),
        ([(OURS, comment_on("run-1"))], False),
        ([(OURS, comment_on("run-1")), (JANE, "recheck")], True),
        ([(JANE, "recheck"), (OURS, comment_on("run-1"))], True),
        ([(OURS, comment_on("run-1")), (JANE, "recheck"), (OURS, comment_on("run-2"))], False),
        ([(OURS, comment_on("run-1")), (JANE, "recheck", 1)], False),
        ([(OURS, comment_on("run-1")), (OTHER_CI, "recheck")], False),
        ([(OURS, comment_on("run-1")), (OURS, "recheck")], False),
        ([(OURS, comment_on("run-1")), (JANE, "run-demo")], True),
        ([(OURS, comment_on("run-1")), (JANE, "run-other")], False),
        ([(OURS, comment_on("run-1"), 1)], True),
        ([(OURS, comment_on("run-1", pipeline="gate"))], True),
        ([(OTHER_CI, comment_on("run-1"))], True),
        ([(OURS, "Build failed (check pipeline).\n\n- old https://x.example.org : FAILURE")], False),
        ([(OURS, "Starting check jobs.")], True),
        ([(OURS, comment_on("run-1")), (OURS, "Build succeeded (check pipeline).\n\nWithdraws m0")], True),
        ([(OURS, comment_on("run-1")), (OTHER_CI, "Withdraws m0")], False),
        ([(OURS, comment_on("new"))], False),
        ([(OTHER_CI, comment_on("new"))], True),
    ],
)
def test_when_a_comment_on_a_new_run_is_due(said: list[tuple[Account, str]], is_due: bool) -> None:
    assert due("new", *said) is is_due


@pytest.mark.parametrize("again", [False, True])
def test_the_same_run_is_never_reported_twice(again: bool) -> None:
    said = ((OURS, comment_on("a", "new")), (JANE, "recheck"), (JANE, "recheck"))
    assert not due("new", *said, again=again)


def test_a_run_that_was_taken_back_is_reported_only_when_a_person_says_so() -> None:
    said = ((OURS, comment_on("new")), (OURS, "Withdraws m0"), (JANE, "recheck"))
    assert not due("new", *said) and due("new", *said, again=True)


sayings = st.sampled_from([(JANE, "recheck"), (JANE, "hello"), (OTHER_CI, comment_on("x")), (OTHER_CI, "recheck")])


@given(st.lists(sayings | st.just(None), max_size=12))
def test_there_is_never_more_than_one_comment_and_one_for_each_recheck(
    events: list[tuple[Account, str] | None],
) -> None:
    """None is a run of ours that ends."""
    said: list[tuple[Account, str]] = []
    for number, event in enumerate(events):
        if event is not None:
            said.append(event)
        elif due(f"run-{number}", *said):
            said.append((OURS, comment_on(f"run-{number}")))
    ours = sum(author is OURS for author, _ in said)
    asked = sum(event == (JANE, "recheck") for event in events)
    assert ours <= 1 + asked and (ours >= 1 or None not in events)


def change(status: str, current: int) -> Change:
    patch_set = PatchSet(current, "a" * 40, "refs/changes/01/1/2", NOW)
    return Change(1, "p", "master", "s", status, JANE, patch_set, NOW, URL)  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "current"), [("MERGED", 2), ("ABANDONED", 2), ("NEW", 3), ("NEW", 1)])
def test_what_is_over_is_not_commented(status: str, current: int) -> None:
    with pytest.raises(NothingToReport, match="nothing was posted") as caught:
        refuse_if_over(change(status, current), PLACE)
    assert caught.value.exit_code == 4
    refuse_if_over(change("NEW", 2), PLACE)
