"""A bad day on a real Gerrit: wrong votes on many changes are taken back and the changes tested again, each once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.comment_parsers import zuul_summary
from ci_scripts.gerrit import Change, Gerrit, open_gerrit
from ci_scripts.settings import load_settings
from ci_scripts.withdrawal.own_comments import OwnComment, own_comments
from tests.fakes import fake_jenkins
from tests.fakes.fake_gerrit import CI_USER, PROJECT, FakeGerrit
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.operator_site import TAG, OperatorSite, failure
from tests.fakes.waiting import wait_for

pytest_plugins = ["tests.integration.gerrit_server"]
pytestmark = pytest.mark.timeout(600)

WHY = ("--why", "the lab lost its network", "--yes")
FAST = ("--poll-seconds", "0.05")
MANY = 200


class Day:
    """A server of either kind with a project of its own, and ci-operate set up for it."""

    def __init__(self, folder: Path, server: Any, jenkins: FakeJenkins, way: str) -> None:
        self.server = server
        self.project = server.new_project() if hasattr(server, "new_project") else PROJECT
        token = folder / "jenkins-token"
        token.write_text(f"{fake_jenkins.TOKEN}\n")
        section = {"url": jenkins.url, "user": fake_jenkins.USER, "job": jenkins.job, "password_file": str(token)}
        self.site = OperatorSite(folder / "site", server, jenkins=section)
        self.site.settings["driver"]["project"] = self.project
        self.site.write()
        self.reader: Gerrit = open_gerrit(load_settings(self.site.root / "ci.yaml", environment=dict(os.environ)), {})
        self.own = self.reader.own_account()
        if way == "ssh":
            gerrit = self.site.settings["gerrit"]
            del gerrit["password_file"], gerrit["url"]
            gerrit["ssh"] = server.ssh_section()
            self.site.write()

    def make(self, count: int) -> list[int]:
        """So many open changes, each voted -1 by us."""
        many = hasattr(self.server, "push_many") and count > 10
        numbers = (
            self.server.push_many(count, self.project)
            if many
            else [self.server.push(self.project, subject=f"Change {place}") for place in range(count)]
        )
        for number in numbers:
            text = failure(f"20260131T120000Z-{number:06x}")
            self.server.vote(number, CI_USER, "Verified", -1, text, TAG)
        return list(numbers)

    def changes(self) -> dict[int, Change]:
        """All changes of the project as they are now."""
        return {change.number: change for change in self.reader.changes(f'project:"{self.project}"', most=1000)}

    def votes(self, change: Change) -> list[int]:
        return [vote.value for vote in change.votes if vote.account.is_same(self.own) and vote.label == "Verified"]

    def withdrawals(self, change: Change) -> list[OwnComment]:
        return [comment for comment in own_comments(change.messages, self.own) if comment.is_withdrawal]

    def everything_is_taken_back_once(self, numbers: list[int]) -> None:
        changes = self.changes()
        assert [self.votes(changes[number]) for number in numbers] == [[]] * len(numbers)
        assert [len(self.withdrawals(changes[number])) for number in numbers] == [1] * len(numbers)


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture(params=["fake", "real-rest", "real-ssh"])
def day(request: pytest.FixtureRequest, tmp_path: Path, jenkins: FakeJenkins) -> Iterator[Day]:
    if request.param == "fake":
        with FakeGerrit() as gerrit:
            yield Day(tmp_path, gerrit, jenkins, "rest")
    else:
        server = request.getfixturevalue("real_gerrit")
        yield Day(tmp_path, server, jenkins, request.param.removeprefix("real-"))


@pytest.fixture
def real_day(tmp_path: Path, jenkins: FakeJenkins, request: pytest.FixtureRequest) -> Day:
    return Day(tmp_path, request.getfixturevalue("real_gerrit"), jenkins, "rest")


def test_taken_back_left_alone_and_tested_again(day: Day, jenkins: FakeJenkins) -> None:
    good, merged, abandoned, newer, passed, commented = day.make(6)
    day.server.merge(merged)
    day.server.abandon(abandoned)
    day.server.new_patch_set(newer, files=["other.py"])
    day.server.vote(passed, CI_USER, "Verified", 1, failure("run-2", outcome="SUCCESS"), TAG)
    day.server.say(commented, "jane", "recheck")
    words = ("retract-votes", "--outcome", "FAILURE", "--project", day.project)
    states = {entry["change"]: entry["state"] for entry in day.site.as_json(*words)["changes"]}
    expected = {merged: "merged", abandoned: "abandoned", newer: "newer patch set", passed: "newer verdict"}
    assert states == {**expected, good: "withdraw", commented: "withdraw"}
    before = {number: len(change.messages) for number, change in day.changes().items()}
    done = day.site.operate(*words, *WHY)
    assert done.returncode == 0, done.stderr
    changes = day.changes()
    assert {number: len(changes[number].messages) - before[number] for number in expected} == dict.fromkeys(expected, 0)
    day.everything_is_taken_back_once([good, commented])
    assert day.votes(changes[passed]) == [1]
    (said,) = day.withdrawals(changes[good])
    row = zuul_summary(said.message.text)
    assert row is not None and said.message.tag == TAG and row.pipeline == "check"
    assert [(job.name, job.result) for job in row.jobs] == [("demo-tempest", "SKIPPED")]
    assert day.site.as_json(*words)["changes"] and "There is nothing" in day.site.operate(*words, *WHY).stdout
    missed = {entry["change"]: entry["reason"] for entry in day.site.as_json("missed", "--grace", "0")["missed"]}
    assert missed == {good: "withdrawn", commented: "withdrawn", newer: "no verdict"}
    (withdrawal,) = (path.parent.name for path in day.site.cache.glob("withdrawals/*/journal.jsonl"))
    done = day.site.operate("retrigger", "--withdrawal", withdrawal, *FAST)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == [good, commented]
    parameters = jenkins.builds[0].parameters
    assert parameters["GERRIT_PATCHSET_REVISION"] == changes[good].current.revision


def test_deleting_the_vote_and_a_vote_alone(day: Day) -> None:
    (number,) = day.make(1)
    alone = day.server.push(day.project, files=["alone.py"])
    day.server.vote(alone, CI_USER, "Verified", -1)
    done = day.site.operate("retract-votes", "--since", "1 hour ago", "--project", day.project, "--delete", *WHY)
    assert done.returncode == 0, done.stderr
    day.everything_is_taken_back_once([number, alone])


def test_rechecks_without_an_answer(day: Day) -> None:
    level, plain, quiet, answered = (day.server.push(day.project, files=[f"{n}.py"]) for n in range(4))
    for number in (level, plain, quiet, answered):
        day.server.say(number, CI_USER, failure(), TAG)
    # Gerrit's times are whole seconds in some answers: what comes later must be seen to be later.
    last = max(message.time for change in day.changes().values() for message in change.messages)
    wait = threading.Event()
    while True:
        day.server.say(quiet, "jane", "looks good")
        if max(message.time for message in day.reader.change(quiet).messages).replace(microsecond=0) > last:
            break
        wait.wait(0.3)
    day.server.say(level, "jane", "recheck", patch_set_level=True)
    day.server.say(plain, "jane", "run-demo the lab is back")
    day.server.say(answered, "zuul", "recheck")
    missed = {entry["change"]: entry["reason"] for entry in day.site.as_json("missed", "--grace", "0")["missed"]}
    assert missed == {level: "recheck", plain: "recheck"}


def test_200_changes_killed_in_the_middle_and_resumed(real_day: Day, jenkins: FakeJenkins) -> None:
    day, numbers = real_day, real_day.make(MANY)
    words = ("retract-votes", "--since", "1 hour ago", "--project", day.project, *WHY)
    process = day.site.start(*words)

    def done() -> int:
        lines = [path.read_text() for path in day.site.cache.glob("withdrawals/*/journal.jsonl")]
        return "".join(lines).count('"kind": "done"')

    wait_for(lambda: done() >= 70 or process.poll() is not None, "70 changes", 120)
    process.kill()
    with contextlib.suppress(ValueError):
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and 70 <= done() < MANY
    resumed = day.site.operate(*words, timeout=300)
    assert resumed.returncode == 0 and "is continued" in resumed.stderr, resumed.stderr
    day.everything_is_taken_back_once(numbers)

    killed = threading.Event()

    def kill(parameters: dict[str, str]) -> None:
        if len(jenkins.builds) == 90:
            os.kill(again.pid, signal.SIGKILL)
            again.wait()
            killed.set()

    jenkins.asked, jenkins.looks = kill, 1
    (journal,) = day.site.cache.glob("withdrawals/*/journal.jsonl")
    retrigger = ("retrigger", "--withdrawal", journal.parent.name, "--in-flight", "8", *FAST)
    again = day.site.start(*retrigger)
    assert killed.wait(180)
    with contextlib.suppress(ValueError):
        again.communicate(timeout=60)
    last = day.site.operate(*retrigger, timeout=300)
    assert last.returncode == 0, last.stderr
    assert sorted(jenkins.changes()) == sorted(numbers) and jenkins.most_running <= 8
    plan = json.loads(journal.read_text().splitlines()[0])["plan"]
    assert sorted(entry["change"] for entry in plan) == numbers
