"""The vote: what may never happen, over all verdicts and policies, and the table of what does."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.voting import vote_for

OUTCOMES = (
    *("SUCCESS", "FAILURE", "SKIPPED", "ABORTED", "TIMED_OUT", "NODE_FAILURE", "RETRY_LIMIT", "MERGER_FAILURE"),
    *("POST_FAILURE", "CONFIG_ERROR", "DISK_FULL", "ERROR"),
)
MODES = ("comment-only", "positive-only", "full")


@dataclass(frozen=True)
class Words:
    outcome: str
    blame: str


PASSED, FAILED, BROKEN = Words("SUCCESS", "nobody"), Words("FAILURE", "change"), Words("NODE_FAILURE", "ci")
UNKNOWN, SKIPPED = Words("FAILURE", "unknown"), Words("SKIPPED", "nobody")

outcomes = st.sampled_from(OUTCOMES) | st.text(max_size=10)
blames = st.sampled_from(["change", "ci", "nobody", "unknown"]) | st.text(max_size=10)
verdicts = st.lists(st.builds(Words, outcomes, blames), max_size=6)
modes = st.sampled_from(MODES) | st.text(max_size=15)


@given(verdicts, modes)
def test_a_negative_vote_needs_blame_change_and_mode_full(words: list[Words], mode: str) -> None:
    vote = vote_for(words, mode)
    assert vote in (-1, 0, 1)
    if vote < 0:
        assert mode == "full" and any(one.blame == "change" for one in words)
    if mode not in ("positive-only", "full"):
        assert vote == 0


@given(verdicts, modes)
def test_a_positive_vote_needs_success_of_every_job(words: list[Words], mode: str) -> None:
    if vote_for(words, mode) > 0:
        assert words and all(one == PASSED for one in words)


@given(verdicts, modes, st.randoms(use_true_random=False))
def test_the_order_of_jobs_does_not_matter(words: list[Words], mode: str, random: object) -> None:
    shuffled = list(words)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert vote_for(shuffled, mode) == vote_for(words, mode)


@pytest.mark.parametrize(
    ("words", "by_mode"),
    [
        ([PASSED], (0, 1, 1)),
        ([FAILED], (0, 0, -1)),
        ([PASSED, PASSED], (0, 1, 1)),
        ([PASSED, FAILED], (0, 0, -1)),
        ([BROKEN, FAILED], (0, 0, -1)),
        ([PASSED, BROKEN], (0, 0, 0)),
        ([PASSED, UNKNOWN], (0, 0, 0)),
        ([PASSED, SKIPPED], (0, 0, 0)),
        ([BROKEN], (0, 0, 0)),
        ([UNKNOWN], (0, 0, 0)),
        ([], (0, 0, 0)),
    ],
)
def test_the_table(words: list[Words], by_mode: tuple[int, ...]) -> None:
    assert tuple(vote_for(words, mode) for mode in MODES) == by_mode


@pytest.mark.parametrize("outcome", ["SUCCESS", "SKIPPED", "ABORTED", "MERGER_FAILURE"])
def test_a_verdict_that_contradicts_itself_is_no_vote(outcome: str) -> None:
    assert vote_for([Words(outcome, "change")], "full") == 0
