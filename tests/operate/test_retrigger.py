"""ci-operate retrigger, run as the installed command against a fake Gerrit and a fake Jenkins or Zuul over HTTP."""

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

from tests.fakes import fake_jenkins, fake_zuul
from tests.fakes.fake_gerrit import CI_USER, PROJECT, FakeGerrit
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.fake_zuul import FakeZuul
from tests.fakes.operator_site import TAG, OperatorSite, bad_day, failure

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
FAST = ("--poll-seconds", "0.05")
WHY = ("--why", "the lab lost its network", "--yes")


@pytest.fixture
def gerrit() -> Iterator[FakeGerrit]:
    with FakeGerrit() as server:
        server.now = lambda: NOON
        yield server


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture
def zuul() -> Iterator[FakeZuul]:
    with FakeZuul() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, gerrit: FakeGerrit, jenkins: FakeJenkins) -> OperatorSite:
    token = tmp_path / "jenkins-token"
    token.write_text(f"{fake_jenkins.TOKEN}\n")
    section = {"url": jenkins.url, "user": fake_jenkins.USER, "job": jenkins.job, "password_file": str(token)}
    return OperatorSite(tmp_path / "site", gerrit, jenkins=section)


@pytest.fixture
def zuul_site(tmp_path: Path, gerrit: FakeGerrit, zuul: FakeZuul) -> OperatorSite:
    token = tmp_path / "zuul-token"
    token.write_text(f"{fake_zuul.TOKEN}\n")
    section = {"url": zuul.url, "tenant": fake_zuul.TENANT, "password_file": str(token)}
    return OperatorSite(tmp_path / "site", gerrit, zuul=section)


def test_dry_run_asks_nobody(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    first, second = bad_day(gerrit, 2)
    gerrit.merge(second)
    done = site.operate("retrigger", "--outcome", "FAILURE", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 changes to test again" in done.stdout and "left alone: merged" in done.stdout
    found = site.as_json("retrigger", "--outcome", "FAILURE", "--dry-run")
    assert [(entry["change"], entry["left_alone"]) for entry in found["changes"]] == [(first, ""), (second, "merged")]
    assert jenkins.requests == [] and not site.cache.exists()


def test_a_withdrawal_is_tested_again_oldest_first(
    site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins
) -> None:
    times = iter([3, 1, 2])
    numbers = []
    for hour in times:
        gerrit.now = lambda hour=hour: NOON + timedelta(hours=hour)  # type: ignore[misc]
        numbers += bad_day(gerrit, 1)
    merged, uploaded = bad_day(gerrit, 2)
    withdrawn = json.loads(site.operate("retract-votes", "--since", "2026-01-31", *WHY, "--json").stdout)
    gerrit.merge(merged)
    gerrit.new_patch_set(uploaded)
    done = site.operate("retrigger", "--withdrawal", withdrawn["withdrawal"], "--in-flight", "1", *FAST)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == [numbers[1], numbers[2], numbers[0]]
    assert jenkins.most_running == 1
    change = gerrit.changes[numbers[1]]
    parameters = jenkins.builds[0].parameters
    assert parameters["GERRIT_PROJECT"] == PROJECT and parameters["GERRIT_BRANCH"] == "master"
    assert parameters["GERRIT_REFSPEC"] == change.current.ref
    assert parameters["GERRIT_PATCHSET_REVISION"] == change.current.revision
    assert parameters["GERRIT_CHANGE_URL"].startswith(gerrit.url)


@pytest.mark.parametrize("crumbs", [True, False])
@pytest.mark.parametrize("forget", [True, False])
def test_in_flight_is_kept(
    site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins, crumbs: bool, forget: bool
) -> None:
    jenkins.crumbs, jenkins.forget = crumbs, forget
    numbers = bad_day(gerrit, 7)
    done = site.operate("retrigger", "--outcome", "FAILURE", "--in-flight", "3", "--wait", *FAST)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == numbers and jenkins.most_running == 3
    assert all(build.ended for build in jenkins.builds)


def test_again_asks_for_nothing(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    numbers = bad_day(gerrit, 2)
    words = ("retrigger", "--outcome", "FAILURE", *FAST)
    assert site.operate(*words).returncode == 0
    done = site.operate(*words)
    assert done.returncode == 0 and "asked for already" in done.stdout
    assert jenkins.changes() == numbers
    assert site.operate(*words, "--new").returncode == 0
    assert jenkins.changes() == numbers * 2
    # What our account says is an answer: the next wrong verdict is tested again without more words.
    gerrit.vote(numbers[0], CI_USER, "Verified", -1, failure("20260131T150000Z-dddddd"), TAG)
    assert site.operate(*words).returncode == 0
    assert jenkins.changes() == [*numbers * 2, numbers[0]]


def test_left_alone_when_it_is_its_turn(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    numbers = bad_day(gerrit, 5)

    def meanwhile(parameters: dict[str, str]) -> None:
        if int(parameters["GERRIT_CHANGE_NUMBER"]) == numbers[0]:
            gerrit.merge(numbers[1])
            gerrit.new_patch_set(numbers[2])
            gerrit.vote(numbers[3], CI_USER, "Verified", 1, failure("20260131T130000Z-eeeeee", outcome="SUCCESS"), TAG)

    jenkins.asked = meanwhile
    done = site.operate("retrigger", "--outcome", "FAILURE", "--in-flight", "1", *FAST)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == [numbers[0], numbers[4]]
    assert "it has a new verdict" in done.stderr and "a newer patch set" in done.stderr


def test_killed_while_asking_and_resumed(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    numbers = bad_day(gerrit, 20)
    killed = threading.Event()

    def kill(parameters: dict[str, str]) -> None:
        # The build is in Jenkins' queue; who asked for it never hears so.
        if int(parameters["GERRIT_CHANGE_NUMBER"]) == numbers[7]:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed.set()

    jenkins.asked = kill
    process = site.start("retrigger", "--outcome", "FAILURE", "--in-flight", "2", *FAST)
    assert killed.wait(120)
    with contextlib.suppress(ValueError):
        process.communicate(timeout=60)
    done = site.operate("retrigger", "--outcome", "FAILURE", "--in-flight", "2", *FAST)
    assert done.returncode == 0, done.stderr
    assert "is continued" in done.stderr
    assert jenkins.changes() == numbers


def test_an_answer_that_was_lost(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    numbers = bad_day(gerrit, 3)
    jenkins.fail_next("/buildWithParameters", 0)
    words = ("retrigger", "--outcome", "FAILURE", *FAST)
    first = site.operate(*words)
    assert first.returncode == 3 and "goes on from here" in first.stderr
    done = site.operate(*words)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == numbers


def test_one_that_fails_does_not_keep_the_others(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    numbers = bad_day(gerrit, 3)
    jenkins.fail_next("/buildWithParameters", 400)
    words = ("retrigger", "--outcome", "FAILURE", *FAST)
    done = site.operate(*words)
    assert done.returncode == 3 and f"1 of 3 changes failed: {numbers[0]}" in done.stderr
    assert jenkins.changes() == numbers[1:]
    done = site.operate(*words)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == [*numbers[1:], numbers[0]]


@pytest.mark.parametrize(("status", "said"), [(401, "its token"), (403, "Job/Read"), (404, "does not exist")])
def test_jenkins_says_no_to_everything(
    site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins, status: int, said: str
) -> None:
    bad_day(gerrit, 3)
    jenkins.fail_next(f"{jenkins.path}/api/json", status, 10)
    done = site.operate("retrigger", "--outcome", "FAILURE", *FAST)
    assert done.returncode == 3 and said in done.stderr and "others were not tried" in done.stderr
    assert jenkins.builds == [] and len(jenkins.requests) < 6
    assert fake_jenkins.TOKEN not in done.stderr


def test_jenkins_is_down(site: OperatorSite, gerrit: FakeGerrit) -> None:
    bad_day(gerrit, 3)
    site.settings["jenkins"] |= {"url": "http://127.0.0.1:9", "restart_seconds": 1}
    site.write()
    done = site.operate("retrigger", "--outcome", "FAILURE", *FAST)
    assert done.returncode == 3 and "others were not tried" in done.stderr
    assert "asked again for up to 1 s" in done.stderr


def test_a_build_that_was_cancelled_frees_its_place(
    site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins
) -> None:
    numbers = bad_day(gerrit, 3)
    jenkins.executors = 0

    def cancel(parameters: dict[str, str]) -> None:
        jenkins.builds[-1].cancelled = True

    jenkins.asked = cancel
    done = site.operate("retrigger", "--outcome", "FAILURE", "--in-flight", "1", *FAST)
    assert done.returncode == 0, done.stderr
    assert jenkins.changes() == numbers and "it was cancelled" in done.stderr


def test_two_at_the_same_time(site: OperatorSite, gerrit: FakeGerrit, jenkins: FakeJenkins) -> None:
    bad_day(gerrit, 2)
    jenkins.looks = 0
    first = site.start("retrigger", "--outcome", "FAILURE", "--in-flight", "1", *FAST)
    waiting = threading.Event()
    while not jenkins.builds and first.poll() is None:
        waiting.wait(0.05)
    second = site.operate("retrigger", "--outcome", "FAILURE", *FAST)
    first.terminate()
    first.communicate(timeout=60)
    assert second.returncode == 2 and "another retrigger is under way" in second.stderr
    assert first.returncode == 143 and len(jenkins.builds) == 1


def test_by_zuul(zuul_site: OperatorSite, gerrit: FakeGerrit, zuul: FakeZuul) -> None:
    numbers = bad_day(gerrit, 5)
    done = zuul_site.operate("retrigger", "--outcome", "FAILURE", "--in-flight", "2", "--wait", *FAST)
    assert done.returncode == 0, done.stderr
    assert [(item.project, item.change) for item in zuul.items] == [(PROJECT, f"{number},1") for number in numbers]
    assert zuul.most_running == 2 and all(item.result for item in zuul.items)


def test_zuul_killed_while_asking(zuul_site: OperatorSite, gerrit: FakeGerrit, zuul: FakeZuul) -> None:
    numbers = bad_day(gerrit, 6)
    killed = threading.Event()

    def kill(change: str) -> None:
        if change == f"{numbers[2]},1":
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            killed.set()

    zuul.asked = kill
    process = zuul_site.start("retrigger", "--outcome", "FAILURE", *FAST)
    assert killed.wait(120)
    with contextlib.suppress(ValueError):
        process.communicate(timeout=60)
    done = zuul_site.operate("retrigger", "--outcome", "FAILURE", *FAST)
    assert done.returncode == 0, done.stderr
    assert [item.change for item in zuul.items] == [f"{number},1" for number in numbers]


def test_zuul_takes_no_token(zuul_site: OperatorSite, gerrit: FakeGerrit, zuul: FakeZuul, tmp_path: Path) -> None:
    bad_day(gerrit, 2)
    (tmp_path / "zuul-token").write_text("another\n")
    done = zuul_site.operate("retrigger", "--outcome", "FAILURE", *FAST)
    assert done.returncode == 3 and "token is an admin's" in done.stderr and "another" not in done.stderr
    assert zuul.items == []


def test_nobody_to_ask(site: OperatorSite, gerrit: FakeGerrit, zuul: FakeZuul) -> None:
    bad_day(gerrit, 1)
    jenkins = site.settings.pop("jenkins")
    site.write()
    done = site.operate("retrigger", "--outcome", "FAILURE")
    assert done.returncode == 2 and "neither" in done.stderr
    password = site.settings["gerrit"]["password_file"]
    site.settings |= {"jenkins": jenkins, "zuul": {"url": zuul.url, "tenant": "lab", "password_file": password}}
    site.write()
    done = site.operate("retrigger", "--outcome", "FAILURE")
    assert done.returncode == 2 and "--with" in done.stderr
    done = site.operate("retrigger", "--outcome", "FAILURE", "--with", "jenkins", "--dry-run")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nothing is chosen"),
        (("--withdrawal", "nonsense"), "there is no withdrawal"),
        (("--withdrawal", "20260131T120000Z-aaaaaa", "--since", "2026-01-31"), "one or the other"),
        (("--since", "2026-01-31", "--in-flight", "0"), "--in-flight"),
    ],
)
def test_wrong_words(site: OperatorSite, words: tuple[str, ...], said: str) -> None:
    done = site.operate("retrigger", *words)
    assert done.returncode == 2 and said in done.stderr, done.stderr
