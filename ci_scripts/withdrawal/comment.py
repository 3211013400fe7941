"""How a withdrawal is said, in a form that replaces the red row of Gerrit's results summary. Pure.

The summary shows a red cross for every word but "succeeded", and Zuul says that of a build whose jobs were all skipped.
So does a withdrawal: each job is SKIPPED, which is no success, and the text says that it says nothing about the change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit.records import Review
from ci_scripts.views.comment import Sender, footer
from ci_scripts.withdrawal.own_comments import WITHDRAWN, OwnComment
from ci_scripts.withdrawal.plan import VOTE_ALONE, Entry

LONGEST_WHY = 500


@dataclass(frozen=True)
class Wording:
    """What every withdrawal says. ``tag`` is for a comment that had none and names its pipeline."""

    why: str
    sender: Sender
    tag: str


def checked_why(text: str) -> str:
    """The operator's sentence with a full stop. Raises ConfigurationError for what would spoil the comment."""
    why = text.strip()
    if not why or len(why) > LONGEST_WHY or not why.isprintable() or why.startswith(("- ", "* ")):
        raise ConfigurationError(
            f"--why must be one sentence of at most {LONGEST_WHY} characters, on one line and without a bullet.",
            next_step="write what happened, such as --why 'the lab lost its network'.",
        )
    return why if why.endswith((".", "!", "?")) else f"{why}."


def reviews_of(entry: Entry, label: str, wording: Wording, *, zero: bool) -> list[Review]:
    """What to post on a change, one review for each row; the first takes the vote back where ``zero``."""
    votes = {label: 0} if entry.takes_vote and zero else {}
    vote = entry.vote if entry.takes_vote else 0
    if not entry.verdicts and entry.meant:
        # Said before: only the number is left.
        return [Review("", entry.meant[-1].message.tag, votes, "NONE")] if votes else []
    if not entry.verdicts:
        return [Review(_text([], vote, wording, VOTE_ALONE), wording.tag, votes, "OWNER")]
    # The newest first: the vote came with it.
    posts: list[Review] = []
    for verdict in reversed(entry.verdicts):
        text = withdrawal_text(verdict, 0 if posts else vote, wording)
        # A tag may name a pipeline, and so another row: one that was not there is only added where the text names it.
        tag = verdict.message.tag or (wording.tag if verdict.pipeline else "")
        posts.append(Review(text, tag, {} if posts else votes, "OWNER"))
    return posts


def withdrawal_text(verdict: OwnComment, vote: int, wording: Wording) -> str:
    """The comment that takes ``verdict`` back, and with it ``vote`` where that is not 0."""
    head: list[str] = []
    if verdict.in_summary:
        where = f" ({verdict.pipeline} pipeline)" if verdict.pipeline else ""
        head = [f"Build {WITHDRAWN}{where}.", ""]
        jobs = [f"- {_one_word(job.name)} {_link(job.url, wording.sender.wiki)} : SKIPPED" for job in verdict.jobs]
        head += [*jobs, ""] if jobs else []
    return _text(head, vote, wording, verdict.message.number)


def _text(head: list[str], vote: int, wording: Wording, withdraws: str) -> str:
    what = f"The result of this CI and its vote {vote:+d} are" if vote else "The result of this CI is"
    said = [f"{what} withdrawn: {wording.why}", "It says nothing about this change.", ""]
    return "\n".join([*head, *said, *footer(wording.sender), f"Withdraws {withdraws}"])


def _one_word(name: str) -> str:
    return re.sub(r"\s+", "-", name) or "job"


def _link(url: str | None, otherwise: str) -> str:
    return url if url and re.fullmatch(r"https?://\S+", url) else otherwise
