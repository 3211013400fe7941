"""ci-operate retract-votes, run as the installed command against a fake Gerrit over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci_scripts.comment_parsers import bulleted_jobs, zuul_summary
from tests.fakes.fake_gerrit import CI_USER, PROJECT, FakeGerrit
from tests.fakes.operator_site import TAG, WIKI, OperatorSite, bad_day, failure, own_texts, withdrawals

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
WHY = ("--why", "the lab lost its network", "--yes")


@pytest.fixture
def gerrit() -> Iterator[FakeGerrit]:
    with FakeGerrit() as server:
        server.now = lambda: NOON
        yield server


@pytest.fixture
def site(tmp_path: Path, gerrit: FakeGerrit) -> OperatorSite:
    return OperatorSite(tmp_path / "site", gerrit)


def vote_of(gerrit: FakeGerrit, number: int) -> int:
    return gerrit.changes[number].vote_of("Verified", CI_USER)


def test_a_dry_run_tells_and_posts_nothing(site: OperatorSite, gerrit: FakeGerrit) -> None:
    numbers = bad_day(gerrit, 2)
    done = site.operate("retract-votes", "--outcome", "FAILURE")
    assert done.returncode == 0, done.stderr
    assert f"{numbers[0]},1" in done.stdout and "set the vote to 0" in done.stdout and "2 to take back" in done.stdout
    assert "Nothing was posted" in done.stdout
    assert gerrit.posted() == [] and not site.cache.exists()


def test_vote_and_red_row_go(site: OperatorSite, gerrit: FakeGerrit) -> None:
    (number,) = bad_day(gerrit, 1)
    done = site.operate("retract-votes", "--since", "2026-01-31", *WHY)
    assert done.returncode == 0, done.stderr
    assert vote_of(gerrit, number) == 0
    assert len(gerrit.posted()) == 1
    message = gerrit.changes[number].messages[-1]
    assert message.tag == TAG and "the lab lost its network." in message.text and WIKI in message.text
    summary = zuul_summary(message.text)
    assert summary is not None
    assert summary.green and summary.pipeline == "check"
    assert [(job.name, job.result) for job in summary.jobs] == [("demo-tempest", "SKIPPED")]
    assert [job.result for job in bulleted_jobs(message.text)] == ["SKIPPED"]


def test_again_posts_nothing(site: OperatorSite, gerrit: FakeGerrit) -> None:
    (number,) = bad_day(gerrit, 1)
    site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 0 and "There is nothing to take back" in done.stdout
    assert "taken back already" in done.stdout
    assert len(gerrit.posted()) == 1 and len(withdrawals(gerrit, number)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Build Failed \n\nhttps://jenkins.example.org/job/demo-tempest/81/ : FAILURE",
        "Build failed.\n\n* demo-tempest https://logs.example.org/1/ : FAILURE in 3m",
        "Tempest failed, see https://logs.example.org/1/",
    ],
)
def test_votes_from_before_this_package(site: OperatorSite, gerrit: FakeGerrit, text: str) -> None:
    number = gerrit.push()
    gerrit.vote(number, CI_USER, "Verified", -1, text)
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 0, done.stderr
    assert vote_of(gerrit, number) == 0 and len(withdrawals(gerrit, number)) == 1
    before, after = zuul_summary(own_texts(gerrit, number)[0]), zuul_summary(own_texts(gerrit, number)[-1])
    # No row where there was none.
    assert (before is None) == (after is None)
    assert before is None or after is None or before.pipeline == after.pipeline


def test_a_comment_without_a_vote(site: OperatorSite, gerrit: FakeGerrit) -> None:
    failing, passing = gerrit.push(), gerrit.push()
    gerrit.say(failing, CI_USER, failure(), TAG)
    gerrit.say(passing, CI_USER, failure(outcome="SUCCESS"), TAG)
    done = site.operate("retract-votes", "--since", "2026-01-31", *WHY)
    assert done.returncode == 0, done.stderr
    assert len(withdrawals(gerrit, failing)) == 1 and withdrawals(gerrit, passing) == []
    assert gerrit.posted()[0].body.get("labels") is None


def test_what_is_left_alone(site: OperatorSite, gerrit: FakeGerrit) -> None:
    merged, abandoned, newer, passed, other, people = bad_day(gerrit, 6)
    gerrit.merge(merged)
    gerrit.abandon(abandoned)
    gerrit.new_patch_set(newer)
    gerrit.vote(passed, CI_USER, "Verified", 1, failure("20260131T130000Z-aaaaaa", outcome="SUCCESS"), TAG)
    gerrit.vote(people, "zuul", "Verified", -1, "Build failed (check pipeline).")
    found = site.as_json("retract-votes", "--outcome", "FAILURE")
    states = {entry["change"]: entry["state"] for entry in found["changes"]}
    assert states == {
        merged: "merged",
        abandoned: "abandoned",
        newer: "newer patch set",
        passed: "newer verdict",
        other: "withdraw",
        people: "withdraw",
    }
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 0, done.stderr
    assert {request.path.split("/")[3] for request in gerrit.posted()} == {str(other), str(people)}
    assert vote_of(gerrit, passed) == 1
    assert gerrit.changes[people].vote_of("Verified", "zuul") == -1


def test_a_vote_that_was_copied_to_a_newer_patch_set(site: OperatorSite, gerrit: FakeGerrit) -> None:
    (number,) = bad_day(gerrit, 1)
    gerrit.new_patch_set(number)
    change = gerrit.changes[number]
    change.votes[(2, "Verified", CI_USER)] = change.votes[(1, "Verified", CI_USER)]
    assert site.operate("retract-votes", "--outcome", "FAILURE", *WHY).returncode == 0
    assert vote_of(gerrit, number) == 0
    assert gerrit.changes[number].messages[-1].patch_set == 2


def test_choosing(site: OperatorSite, gerrit: FakeGerrit) -> None:
    gerrit.add_project("openstack/other")
    early, late, other = gerrit.push(), gerrit.push(), gerrit.push("openstack/other")
    gerrit.vote(early, CI_USER, "Verified", -1, failure(outcome="TIMED_OUT"), TAG)
    gerrit.now = lambda: NOON + timedelta(hours=3)
    gerrit.vote(late, CI_USER, "Verified", -1, failure() + "\nBecause: disk-full: a disk is full", TAG)
    gerrit.vote(other, CI_USER, "Verified", 1, failure(outcome="SUCCESS"), TAG)
    (site.root / "list.txt").write_text(f"# of the bad day\n{early},1\nhttps://review.example.org/c/x/y/+/{late}/1\n")

    def chosen(*words: str) -> set[int]:
        return {entry["change"] for entry in site.as_json("retract-votes", *words)["changes"]}

    assert chosen("--since", "2026-01-31T13:00Z") == {late, other}
    assert chosen("--until", "2026-01-31T13:00Z") == {early}
    assert chosen("--since", "2026-01-31", "--until", "2026-02-01") == {early, late, other}
    assert chosen("--since", "2026-01-31", "--project", "openstack/other") == {other}
    assert chosen("--outcome", "TIMED_OUT") == {early}
    assert chosen("--outcome", "success") == {other}
    assert chosen("--outcome", "FAILURE", "--outcome", "SUCCESS") == {late, other}
    assert chosen("--signature", "disk-full") == {late}
    assert chosen("--change", str(early), "--change", f"{other},1") == {early, other}
    assert chosen("--list", "list.txt") == {early, late}
    assert chosen("--since", "1 hour ago") == set()


def test_a_patch_set_that_was_named_is_not_current(site: OperatorSite, gerrit: FakeGerrit) -> None:
    (number,) = bad_day(gerrit, 1)
    gerrit.new_patch_set(number)
    gerrit.vote(number, CI_USER, "Verified", -1, failure("20260131T130000Z-bbbbbb"), TAG)
    found = site.as_json("retract-votes", "--change", f"{number},1")
    assert [entry["state"] for entry in found["changes"]] == ["newer patch set"]


def test_deleting_the_vote(site: OperatorSite, gerrit: FakeGerrit) -> None:
    (number,) = bad_day(gerrit, 1)
    done = site.operate("retract-votes", "--outcome", "FAILURE", "--delete", *WHY)
    assert done.returncode == 0, done.stderr
    assert vote_of(gerrit, number) == 0
    assert any("deleteVote" in message.tag for message in gerrit.changes[number].messages)
    assert len(withdrawals(gerrit, number)) == 1


def test_no_right_to_vote(site: OperatorSite, gerrit: FakeGerrit) -> None:
    first, second = bad_day(gerrit, 2)
    gerrit.fail_next(status=403, body='Applying label "Verified": 0 is restricted', path=f"/changes/{first}/")
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 3
    assert f"{first}" in done.stderr and "not taken back" in done.stderr
    assert len(withdrawals(gerrit, first)) == 1 and vote_of(gerrit, first) == -1
    assert vote_of(gerrit, second) == 0
    # The right is there now: only the number was left.
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 0, done.stderr
    assert vote_of(gerrit, first) == 0 and len(withdrawals(gerrit, first)) == 1


@pytest.mark.parametrize(("fault", "what"), [({"status": 500}, "500"), ({"status": 409, "body": "no"}, "409")])
def test_one_that_fails_does_not_keep_the_others(
    site: OperatorSite, gerrit: FakeGerrit, fault: dict[str, object], what: str
) -> None:
    numbers = bad_day(gerrit, 4)
    gerrit.fail_next(4, path=f"/changes/{numbers[1]}/revisions", **fault)  # type: ignore[arg-type]
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 3 and f"1 of 4 changes failed: {numbers[1]}" in done.stderr
    assert [vote_of(gerrit, number) for number in numbers] == [0, -1, 0, 0]


def test_an_answer_that_was_lost_is_not_posted_twice(site: OperatorSite, gerrit: FakeGerrit) -> None:
    numbers = bad_day(gerrit, 3)
    gerrit.fail_next(kind="lost", path=f"/changes/{numbers[1]}/revisions")
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 0, done.stderr
    assert [len(withdrawals(gerrit, number)) for number in numbers] == [1, 1, 1]


def test_a_wrong_password_ends_it(site: OperatorSite, gerrit: FakeGerrit) -> None:
    numbers = bad_day(gerrit, 3)
    gerrit.fail_next(20, status=401, body="Unauthorized")
    done = site.operate("retract-votes", "--outcome", "FAILURE", *WHY)
    assert done.returncode == 3
    assert [vote_of(gerrit, number) for number in numbers] == [-1, -1, -1]


def test_killed_in_the_middle_of_200_and_resumed(site: OperatorSite, gerrit: FakeGerrit) -> None:
    numbers = bad_day(gerrit, 200)
    words = ("retract-votes", "--since", "2026-01-31", *WHY)
    killed = threading.Event()
    calls = 0

    def kill() -> datetime:
        # Called while Gerrit takes the review: it is posted, and whoever sent it is no more.
        nonlocal calls
        calls += 1
        if calls == 77:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed.set()
        return NOON

    gerrit.now = kill
    calls -= 1  # The question for the changes asks for the time as well.
    process = site.start(*words)
    assert killed.wait(120)
    with contextlib.suppress(ValueError):
        process.communicate(timeout=60)
    gerrit.now = lambda: NOON
    taken = [number for number in numbers if vote_of(gerrit, number) == 0]
    assert 0 < len(taken) < 200
    done = site.operate(*words)
    assert done.returncode == 0, done.stderr
    assert "is continued" in done.stderr
    assert [vote_of(gerrit, number) for number in numbers] == [0] * 200
    assert [len(withdrawals(gerrit, number)) for number in numbers] == [1] * 200
    (journal,) = site.cache.glob("withdrawals/*/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(line["change"] for line in lines if line["kind"] == "done") == numbers


def test_resumed_by_its_name_after_other_things_happened(site: OperatorSite, gerrit: FakeGerrit) -> None:
    first, second, third, fourth = bad_day(gerrit, 4)
    # Gerrit goes away after the first, as a killed command would leave it.
    gerrit.fail_next(100, status=500, path="/revisions/", method="POST")
    assert site.operate("retract-votes", "--since", "2026-01-31", *WHY).returncode == 3
    (folder,) = (entry for entry in (site.cache / "withdrawals").iterdir() if entry.is_dir())
    gerrit._faults.clear()
    gerrit.merge(first)
    gerrit.new_patch_set(second)
    gerrit.now = lambda: NOON + timedelta(hours=1)
    gerrit.vote(third, CI_USER, "Verified", -1, failure("20260131T130000Z-cccccc"), TAG)
    done = site.operate("retract-votes", "--resume", folder.name, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    results = {entry["number"]: entry["result"] for entry in json.loads(done.stdout)["changes"]}
    assert results == {first: "merged", second: "newer patch set", third: "newer verdict", fourth: "withdrawn"}
    assert vote_of(gerrit, third) == -1 and vote_of(gerrit, fourth) == 0


def test_two_at_the_same_time(site: OperatorSite, gerrit: FakeGerrit) -> None:
    numbers = bad_day(gerrit, 3)
    gerrit.fail_next(kind="slow", seconds=20, path="/revisions/", method="POST")
    words = ("retract-votes", "--since", "2026-01-31", *WHY)
    first = site.start(*words)
    journal = site.cache / "withdrawals"
    waiting = threading.Event()
    while not list(journal.glob("*/journal.jsonl")) and first.poll() is None:
        waiting.wait(0.05)
    second = site.operate(*words)
    gerrit.stopping.set()
    first.communicate(timeout=60)
    assert second.returncode == 2 and "another withdrawal is under way" in second.stderr
    assert first.returncode == 0
    assert [len(withdrawals(gerrit, number)) for number in numbers] == [1, 1, 1]


def test_interrupted_from_the_keyboard(site: OperatorSite, gerrit: FakeGerrit) -> None:
    numbers = bad_day(gerrit, 3)
    gerrit.fail_next(kind="slow", seconds=20, path=f"/changes/{numbers[1]}/revisions", method="POST")
    process = site.start("retract-votes", "--since", "2026-01-31", *WHY)
    waiting = threading.Event()
    while len(gerrit.posted()) < 1 and process.poll() is None:
        waiting.wait(0.05)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    gerrit.stopping.set()
    done = site.operate("retract-votes", "--since", "2026-01-31", *WHY)
    assert done.returncode == 0, done.stderr
    assert [vote_of(gerrit, number) for number in numbers] == [0, 0, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing is chosen"),
        (("--project", PROJECT), "nothing is chosen"),
        (("--since", "some day"), "is no moment"),
        (("--since", "2026-01-31", "--yes"), "--why"),
        (("--since", "2026-01-31", "--yes", "--why", "two\nlines"), "one sentence"),
        (("--change", "x"), "names no change"),
        (("--list", "missing.txt"), "cannot be read"),
        (("--signature", "no-such-thing"), "there is no signature"),
        (("--resume", "../../etc", "--yes"), "there is no withdrawal"),
        (("--resume", "20260131T120000Z-aaaaaa", "--yes"), "there is no withdrawal"),
        (("--nonsense",), "No such option"),
    ],
)
def test_wrong_words(site: OperatorSite, gerrit: FakeGerrit, words: tuple[str, ...], said: str) -> None:
    bad_day(gerrit, 1)
    done = site.operate("retract-votes", *words)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert gerrit.posted() == []


def test_without_a_server_in_ci_yaml(site: OperatorSite) -> None:
    del site.settings["gerrit"]
    site.write()
    done = site.operate("retract-votes", "--since", "2026-01-31")
    assert done.returncode == 2 and "gerrit" in done.stderr


def test_terminal_escapes_of_others_are_shown_as_text(site: OperatorSite, gerrit: FakeGerrit) -> None:
    number = gerrit.push(subject="\x1b[2J")
    gerrit.vote(number, CI_USER, "Verified", -1, "Build failed (check pipeline).\n\n- a\x1b]0;x\x07 http://x : FAILURE")
    done = site.operate("retract-votes", "--since", "2026-01-31", "--change", str(number))
    assert done.returncode == 0 and "\x1b" not in done.stdout
