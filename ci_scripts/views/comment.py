"""The comment on a change in Gerrit. Pure: verdicts in, text out; see docs/reporting.md for who reads it.

Other programs read it too, so its form is fixed: a Build line, one line with a bullet for each job and no other bullet.
Names and messages that come from a node are put in the middle of a line and can make no link, no mail and no line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_scripts.views.clean_text import TERMINAL_SEQUENCE

# Gerrit takes 16 KiB by default (change.commentSizeLimit); nobody reads half of that.
MOST_BYTES = 8 * 1024
MOST_TESTS = 10
MOST_REASONS = 5
MOST_MOVED = 10
MOST_FLAKY = 5
LONGEST = 300
# What stays for a person when there are many jobs.
SMALLEST_SHARE = 300
# What is left of a name that nobody can see.
NOTHING = "?"
MORE = "There is more in the report."

GREEN = ("SUCCESS", "SKIPPED")
_INVISIBLE = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs")
# How Gerrit, which reads Markdown, and mail programs find links; and what scripts take for a job's result.
_BROKEN = (
    (re.compile("://"), ": //"),
    (re.compile(r"www\.", re.I), "www ."),
    (re.compile(r"\s*@\s*"), " at "),
    (re.compile("<"), "("),
    (re.compile(">"), ")"),
    (re.compile(r"\](?=[(\[])"), "] "),
    (re.compile("`"), "'"),
    (re.compile(r"\s+:(?=\s)"), ":"),
)
_JOB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+/-]{0,199}")
_URL = re.compile(r"https?://[!-~]{1,1000}")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
RUN_LINE = re.compile(r"^Run ([A-Za-z0-9_.:-]+(?:, [A-Za-z0-9_.:-]+)*)$", re.M)


class UnfitForAComment(ValueError):
    """A job's name, an address or a run's id that would break the comment; its text says which."""


@dataclass(frozen=True)
class Sender:
    """Who speaks: the account's full name, its page, the name in ``run-<name>``, and whom to ask, as texts of ours."""

    name: str
    wiki: str
    recheck_name: str
    contacts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One job in a comment: where its logs are, and the words of its verdict.

    ``failed`` are the names of the tests that failed, ``failures`` how many in all.
    """

    job: str
    url: str
    outcome: str
    blame: str
    run_id: str
    sentence: str = ""
    reasons: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    failures: int = 0
    seconds: float | None = None


def comment(sender: Sender, pipeline: str, entries: Sequence[Entry]) -> str:
    """The whole comment, of at most ``MOST_BYTES`` in UTF-8.

    Raises UnfitForAComment; also where the jobs alone are too many for one comment.
    """
    head = [head_line(_succeeded(entries), pipeline), "", *(job_line(entry) for entry in entries)]
    foot = [*footer(sender), run_line(entry.run_id for entry in entries)]
    left = MOST_BYTES - _bytes(head) - _bytes(foot) - _bytes(["", ""])
    speaking = [entry for entry in entries if _details(entry)]
    if left < SMALLEST_SHARE * len(speaking):
        raise UnfitForAComment(f"{len(entries)} jobs do not fit into one comment of {MOST_BYTES} bytes")
    blocks: list[str] = []
    for number, entry in enumerate(speaking):
        block = _within(left // (len(speaking) - number), ["", *_details(entry)])
        left -= _bytes(block)
        blocks += block
    return "\n".join([*head, *blocks, "", *foot])


def head_line(succeeded: bool, pipeline: str) -> str:
    """The line by which Gerrit's summary knows the comment."""
    return f"Build {'succeeded' if succeeded else 'failed'} ({pipeline_word(pipeline)} pipeline)."


def pipeline_word(pipeline: str) -> str:
    """A pipeline's name as one word for Gerrit's summary, which knows no hyphen: check-foo is check_foo."""
    return re.sub(r"\W", "_", pipeline, flags=re.ASCII) or "check"


def job_line(entry: Entry) -> str:
    """A job as Gerrit's summary and the scripts read it. Raises UnfitForAComment."""
    if not _JOB.fullmatch(entry.job):
        raise UnfitForAComment(f"the job's name {plain(entry.job, 100)!r} is not one plain word")
    if not _URL.fullmatch(entry.url):
        raise UnfitForAComment(f"{plain(entry.url, 100)!r} is not the address of a page, for job {entry.job}")
    if not re.fullmatch(r"[A-Z_]{2,30}", entry.outcome):
        raise UnfitForAComment(f"{plain(entry.outcome, 100)!r} is not an outcome, for job {entry.job}")
    took = f" in {_took(entry.seconds)}" if entry.seconds is not None and entry.outcome != "SKIPPED" else ""
    return f"- {entry.job} {entry.url} : {entry.outcome}{took}"


def footer(sender: Sender) -> list[str]:
    """Whose comment it is, how to run the jobs again, whom to ask: in every comment."""
    again = f"To run it again, comment recheck (or run-{sender.recheck_name} for this CI alone)."
    # Trusted words, but a blank too many in ci.yaml must not make a line of its own.
    contacts = [_flat(contact) for contact in sender.contacts]
    ask = f" Ask {'; '.join(contacts)}." if contacts else ""
    return [f"{_flat(sender.name)}: {sender.wiki}", f"{again}{ask}"]


def run_line(run_ids: Iterable[str]) -> str:
    """The last line, by which a second call finds that these runs were reported. Raises UnfitForAComment."""
    names = sorted(set(run_ids))
    for name in names:
        if not _RUN.fullmatch(name):
            raise UnfitForAComment(f"{plain(name, 100)!r} is not the id of a run")
    return f"Run {', '.join(names)}"


def runs_named(text: str) -> frozenset[str]:
    """The runs that a comment of ours names."""
    return frozenset(name for line in RUN_LINE.findall(text) for name in line.split(", "))


def plain(text: str, limit: int = LONGEST) -> str:
    """Text of a node for the middle of a line: one line of visible characters that is no link, mail or job."""
    text = _flat(TERMINAL_SEQUENCE.sub("", text[: 4 * limit]))
    for pattern, broken in _BROKEN:
        text = pattern.sub(broken, text)
    text = text.strip()
    return (text or NOTHING) if len(text) <= limit else f"{text[: limit - 4].rstrip()} ..."


def _flat(text: str) -> str:
    return " ".join("".join(" " if unicodedata.category(one) in _INVISIBLE else one for one in text).split())


def _succeeded(entries: Sequence[Entry]) -> bool:
    return all(entry.outcome in GREEN for entry in entries) and any(entry.outcome == "SUCCESS" for entry in entries)


def _details(entry: Entry) -> list[str]:
    """What a person wants to know of a job, the most important first."""
    name = f"{entry.job}: "
    reasons = [f"Because: {plain(reason)}" for reason in entry.reasons[:MOST_REASONS]]
    moved = [f"Moved since the last run that passed: {plain(line)}" for line in entry.moved[:MOST_MOVED]]
    flaky = [f"Flaky: {plain(test)}" for test in entry.flaky[:MOST_FLAKY]]
    flaky += _and_more(len(entry.flaky), MOST_FLAKY, "flaky tests")
    if entry.outcome in GREEN:
        return [*(f"{name}{plain(reason)}" for reason in entry.reasons[:1]), *flaky]
    look = [f"Look at {entry.url}"]
    if entry.blame == "change":
        failed = [f"Failed: {plain(test)}" for test in entry.failed[:MOST_TESTS]]
        failed += _and_more(max(entry.failures, len(entry.failed)), MOST_TESTS, "tests failed")
        blamed = f"{name}it fails because of this change. {plain(entry.sentence)}"
        return [blamed, *failed, *reasons, *look, *moved]
    return [f"{name}{_not_the_changes(entry)} {plain(entry.sentence)}", *reasons, *look, *moved, *flaky]


def _not_the_changes(entry: Entry) -> str:
    if entry.outcome == "ABORTED":
        return "the run was stopped before its end. This says nothing about the change and is no vote."
    if entry.blame == "unknown":
        return "nobody can tell whose failure this is. It is taken for the CI's own, not the change's, and is no vote."
    return "this is a failure of the CI itself, not of the change, and is no vote."


def _and_more(count: int, shown: int, what: str) -> list[str]:
    return [f"and {count - shown} more {what}"] if count > shown else []


def _within(limit: int, lines: list[str]) -> list[str]:
    if _bytes(lines) <= limit:
        return lines
    kept: list[str] = []
    for line in lines:
        if _bytes([*kept, line, MORE]) > limit:
            break
        kept.append(line)
    return [*kept, MORE]


def _bytes(lines: list[str]) -> int:
    return sum(len(line.encode("utf-8", "replace")) + 1 for line in lines)


def _took(seconds: float) -> str:
    """As Zuul writes it: 33s, 12m 33s, 1h 02m 33s."""
    minutes, second = divmod(max(0, round(min(seconds, 10**7))), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours}h {minute:02d}m {second:02d}s"
    return f"{minute}m {second:02d}s" if minute else f"{second}s"
