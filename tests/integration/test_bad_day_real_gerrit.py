"""A bad day on a real Gerrit: 200 changes voted -1 by mistake are taken back and tested again, killed between."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.comment_parsers import zuul_summary
from tests.fakes import fake_jenkins
from tests.fakes.fake_gerrit import CI_USER
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.operator_site import TAG, OperatorSite, failure
from tests.fakes.waiting import wait_for
from tests.integration.gerrit_server import RealGerrit

pytest_plugins = ["tests.integration.gerrit_server"]
pytestmark = pytest.mark.gate

CHANGES = 200
KILLED_AFTER = 70
SECONDS = 300.0
WHY = ("--why", "The lab lost its network.", "--yes")


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, real_gerrit: RealGerrit, jenkins: FakeJenkins) -> OperatorSite:
    token = tmp_path / "token"
    token.write_text(f"{fake_jenkins.TOKEN}\n")
    section = {"url": jenkins.url, "user": fake_jenkins.USER, "job": jenkins.job, "password_file": str(token)}
    return OperatorSite(tmp_path / "site", real_gerrit, jenkins=section)  # type: ignore[arg-type]


def _vote_on(gerrit: RealGerrit, number: int) -> None:
    gerrit.vote(number, CI_USER, "Verified", -1, failure(f"20260131T120000Z-{number:06x}"), TAG)


def _seen(gerrit: RealGerrit, project: str) -> list[dict[str, Any]]:
    """The project's changes with all votes and messages, as Gerrit shows them."""
    query = f"/changes/?q=project:{project}&o=DETAILED_LABELS&o=MESSAGES&o=DETAILED_ACCOUNTS&n=500"
    found = gerrit.ask("GET", query)
    return sorted(found, key=lambda change: int(change["_number"]))


def _vote(change: dict[str, Any]) -> int:
    votes = change["labels"]["Verified"].get("all", ())
    return sum(vote.get("value", 0) for vote in votes if vote.get("username") == CI_USER)


def _withdrawals(change: dict[str, Any]) -> list[str]:
    texts = [message["message"] for message in change["messages"] if message["author"].get("username") == CI_USER]
    return [text for text in texts if "\nWithdraws " in text]


def test_two_hundred_votes_are_taken_back_and_retriggered_once_each(
    site: OperatorSite, real_gerrit: RealGerrit, jenkins: FakeJenkins
) -> None:
    project = real_gerrit.new_project()
    numbers = real_gerrit.push_many(CHANGES, project)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: _vote_on(real_gerrit, number), numbers))
    words = ("retract-votes", "--project", project, "--outcome", "FAILURE", *WHY)

    process = site.start(*words)
    wait_for(lambda: _journalled(site) >= KILLED_AFTER, "lines of the journal", SECONDS)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    left = sum(_vote(change) != 0 for change in _seen(real_gerrit, project))
    assert 0 < left < CHANGES

    done = site.operate(*words, "--json", timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    seen = _seen(real_gerrit, project)
    assert [change["_number"] for change in seen] == numbers
    assert [_vote(change) for change in seen] == [0] * CHANGES
    assert [len(_withdrawals(change)) for change in seen] == [1] * CHANGES
    summary = zuul_summary(_withdrawals(seen[0])[0])
    assert summary is not None and [job.result for job in summary.jobs] == ["SKIPPED"]

    _retrigger_killed_in_the_middle(site, jenkins, json.loads(done.stdout)["withdrawal"], numbers)


def _journalled(site: OperatorSite) -> int:
    return sum(len(path.read_text().splitlines()) for path in site.cache.glob("withdrawals/*/journal.jsonl"))


def _retrigger_killed_in_the_middle(
    site: OperatorSite, jenkins: FakeJenkins, withdrawal: str, numbers: list[int]
) -> None:
    killed = threading.Event()

    def kill(parameters: dict[str, str]) -> None:
        # The build is in Jenkins' queue; who asked for it never hears so.
        if int(parameters["GERRIT_CHANGE_NUMBER"]) == numbers[KILLED_AFTER]:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed.set()

    jenkins.asked = kill
    words = ("retrigger", "--withdrawal", withdrawal, "--in-flight", "50", "--poll-seconds", "0.1")
    process = site.start(*words)
    assert killed.wait(SECONDS)
    with contextlib.suppress(ValueError):
        process.communicate(timeout=60)
    done = site.operate(*words, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == numbers
