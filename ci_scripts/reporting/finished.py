"""What is reported: the verdict of each workspace on the trusted side, the job's name, and where its logs are."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from ci_scripts.change import ChangeUnderTest
from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.untrusted_words import web_url_problem, word_problem
from ci_scripts.verdict.tests_file import read_tests
from ci_scripts.verdict.verdict import Blame
from ci_scripts.views.comment import Entry
from ci_scripts.workspace import Workspace, read_json

MOST_LINES = 10_000
LONGEST_LINE = 10_000
# What the comment has room for; more names are only counted.
MOST_FAILED = 50
NOTHING_TO_TEST = 4
THE_CHANGES = 1


@dataclass(frozen=True)
class Finished:
    """A run that came to its verdict on the trusted side."""

    workspace: Workspace
    change: ChangeUnderTest
    entry: Entry
    exit_code: int

    @property
    def nothing_to_test(self) -> bool:
        """Only irrelevant files, a superseded patch set or a merge conflict: not for a comment."""
        return self.exit_code == NOTHING_TO_TEST or self.entry.outcome == "MERGER_FAILURE"


def read_finished(workspace: Workspace, change: ChangeUnderTest, job: str, run_id: str, otherwise: str) -> Finished:
    """A workspace's verdict as an entry of the comment.

    ``run_id`` is the trusted side's, else empty; ``otherwise`` the address where logs are not published.

    Raises ConfigurationError where verdict.json or published.json is missing or is not as we write it.
    """
    try:
        data = read_json(workspace.verdict_json)
        words = _words(data)
    except InfrastructureError as error:
        raise ConfigurationError(
            error.what, next_step="run ci-summarize-results for this workspace, then report again."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"{workspace.verdict_json} is not as ci-summarize-results writes it: {type(error).__name__} {error}.",
            next_step="run ci-summarize-results for this workspace again.",
        ) from error
    exit_code = words.pop("exit_code")
    failed, failures = _failed(workspace, words) if words["blame"] == "change" else ((), 0)
    entry = Entry(
        job=job,
        url=published_url(workspace) or otherwise,
        run_id=run_id or _named(words.pop("run_id"), change, job, str(data["made"])),
        failed=failed,
        failures=failures,
        **{key: value for key, value in words.items() if key != "run_id"},
    )
    return Finished(workspace, change, entry, exit_code)


def published_url(workspace: Workspace) -> str | None:
    """Where ci-publish-logs put the run; None where it has not, or not to the end.

    Raises ConfigurationError for a damaged file.
    """
    if not workspace.published_json.exists():
        return None
    again = "run ci-publish-logs for this workspace again."
    try:
        data = read_json(workspace.published_json)
    except InfrastructureError as error:
        raise ConfigurationError(error.what, next_step=again) from error
    if data.get("complete", True) is not True:
        return None
    url = data.get("url")
    if not isinstance(url, str) or web_url_problem(url) is not None:
        raise ConfigurationError(f"{workspace.published_json} names no address.", next_step=again)
    return url


def _words(data: Mapping[str, Any]) -> dict[str, Any]:
    """The words of verdict.json that are reported. Raises KeyError, TypeError or ValueError."""
    outcome, blame, exit_code = _text(data["outcome"]), _text(data["blame"]), data["exit_code"]
    if not re.fullmatch(r"[A-Z_]{2,30}", outcome):
        raise ValueError(f"the outcome {outcome[:40]!r} is none")
    if blame not in get_args(Blame):
        raise ValueError(f"the blame {blame[:40]!r} is none")
    if isinstance(exit_code, bool) or not isinstance(exit_code, int):
        raise TypeError("exit_code is no number")
    # A file that contradicts itself was not written by the decision.
    if (blame == "change") != (exit_code == THE_CHANGES) or (outcome == "SUCCESS") != (exit_code == 0):
        raise ValueError(f"{outcome}, blame {blame} and exit code {exit_code} contradict each other")
    if exit_code == 0 and blame != "nobody":
        raise ValueError(f"a success with blame {blame}")
    seconds = data["seconds"]
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        raise TypeError("seconds is no number")
    return {
        "outcome": outcome,
        "blame": blame,
        "exit_code": exit_code,
        "run_id": _text(data["run_id"]),
        "sentence": _text(data["sentence"]),
        "reasons": _lines(data["reasons"]),
        "moved": _lines(data["moved"]),
        "flaky": _lines(data["flaky"]),
        "seconds": seconds if seconds is not None and math.isfinite(seconds) else None,
    }


def _failed(workspace: Workspace, words: Mapping[str, Any]) -> tuple[tuple[str, ...], int]:
    """Names of tests that failed, each time they ran, and how many. Nothing where tests.json cannot be read."""
    try:
        report = read_tests(workspace.tests_json, inside=workspace.root)
    except InfrastructureError:
        return (), 0
    flaky = set(words["flaky"])
    names = [test.id for test in report.with_status("failed") if test.id not in flaky]
    return tuple(names[:MOST_FAILED]), len(names)


def _named(run_id: str, change: ChangeUnderTest, job: str, made: str) -> str:
    """A run's id for the comment. One that died before it had a name is named after what is known of it."""
    if word_problem(run_id) is None:
        return run_id
    known = " ".join((change.name, change.project, change.pipeline, job, made))
    return f"unnamed-{hashlib.sha256(known.encode()).hexdigest()[:12]}"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value[:LONGEST_LINE]


def _lines(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"a list is {type(value).__name__}")
    return tuple(_text(entry) for entry in value[:MOST_LINES])
