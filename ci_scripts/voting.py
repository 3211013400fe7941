"""The one place where a vote is decided: from verdicts and the policy of ci.yaml. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

COMMENT_ONLY, POSITIVE_ONLY, FULL = "comment-only", "positive-only", "full"
# With these a verdict contradicts itself when it blames a change; nobody is to suffer from that.
NEVER_NEGATIVE = ("SUCCESS", "SKIPPED", "ABORTED", "MERGER_FAILURE")


class Judged(Protocol):
    """The words of a verdict that a vote rests on."""

    @property
    def outcome(self) -> str:
        """Zuul's word."""

    @property
    def blame(self) -> str:
        """change, ci, nobody or unknown."""


def vote_for(verdicts: Iterable[Judged], mode: str) -> int:
    """+1, 0 or -1 for all jobs of one comment together; 0 is no vote. ``mode`` is ``voting.mode`` of ci.yaml.

    -1 needs mode ``full`` and a failure that the change is to blame for, in one job at least. +1 needs
    ``positive-only`` or ``full`` and success of every job. Everything else is 0, an unknown mode too.
    """
    verdicts = tuple(verdicts)
    if mode == FULL and any(_is_the_changes(verdict) for verdict in verdicts):
        return -1
    if mode in (POSITIVE_ONLY, FULL) and verdicts and all(_passed(verdict) for verdict in verdicts):
        return 1
    return 0


def _is_the_changes(verdict: Judged) -> bool:
    return verdict.blame == "change" and verdict.outcome not in NEVER_NEGATIVE


def _passed(verdict: Judged) -> bool:
    return verdict.outcome == "SUCCESS" and verdict.blame == "nobody"
