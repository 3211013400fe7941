"""ci-operate jenkins run and builds against a Jenkins in memory, for what Hudson has not: queue items, aborts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_gerrit import PROJECT, FakeGerrit, settings_for
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.jenkins_jobs import FakeBuild, job_xml
from tests.jenkins.jenkins_site import CHANGE, FAST, JenkinsSite

BLAMED = "FAILURE, blame: change"
VERDICT = {"schema": 1, "outcome": "FAILURE", "blame": "change"}


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, jenkins: FakeJenkins) -> JenkinsSite:
    return JenkinsSite(tmp_path / "site", jenkins.url, jenkins.job, jenkins)


def newest(jenkins: FakeJenkins) -> FakeBuild:
    return jenkins.builds[-1]


@pytest.mark.parametrize(
    ("result", "description", "exit_code", "said"),
    [
        ("SUCCESS", "SUCCESS, blame: nobody", 0, "SUCCESS in"),
        ("FAILURE", BLAMED, 1, "the change is to blame"),
        ("FAILURE", None, 3, "nobody has said"),
        ("FAILURE", "FAILURE, blame: ci", 3, "nobody has said"),
        ("UNSTABLE", "NODE_FAILURE, blame: ci", 3, "NODE_FAILURE"),
        ("NOT_BUILT", None, 4, "nothing to test"),
        ("ABORTED", None, 3, "ABORTED"),
    ],
)
def test_how_the_build_ended(
    site: JenkinsSite, jenkins: FakeJenkins, result: str, description: str | None, exit_code: int, said: str
) -> None:
    def ends(parameters: dict[str, str]) -> None:
        newest(jenkins).result, newest(jenkins).description = result, description

    jenkins.asked = ends
    done = site.operate("run", *CHANGE, *FAST)
    assert done.returncode == exit_code and said in done.stdout + done.stderr, done.stderr
    again = site.operate("run", *CHANGE, *FAST, "--json")
    assert again.returncode == exit_code and json.loads(again.stdout)["build"]["result"] == result


def test_the_verdict_is_read_from_the_archive(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    def ends(parameters: dict[str, str]) -> None:
        build = newest(jenkins)
        build.result = "FAILURE"
        wrong = json.dumps(VERDICT | {"blame": "ci"}).encode()
        build.artifacts = {"trials/1/verdict.json": wrong, "verdict.json": json.dumps(VERDICT).encode()}

    jenkins.asked = ends
    assert site.operate("run", *CHANGE, *FAST).returncode == 1
    found = site.as_json("builds")["builds"][0]
    assert (found["outcome"], found["blame"]) == ("FAILURE", "change")


def test_parameters_come_from_gerrit(site: JenkinsSite, jenkins: FakeJenkins, tmp_path: Path) -> None:
    with FakeGerrit() as gerrit:
        site.settings["gerrit"] = settings_for(gerrit, tmp_path / "secrets")
        site.write()
        number = gerrit.push(subject="One")
        gerrit.new_patch_set(number)
        done = site.operate("run", "--change", str(number))
        assert done.returncode == 0, done.stderr
        parameters = jenkins.builds[0].parameters
        assert parameters["GERRIT_PATCHSET_NUMBER"] == "2" and parameters["GERRIT_PROJECT"] == PROJECT
        assert parameters["GERRIT_REFSPEC"] == gerrit.changes[number].current.ref
        assert parameters["GERRIT_PATCHSET_REVISION"] == gerrit.changes[number].current.revision
        assert parameters["GERRIT_CHANGE_URL"].startswith(gerrit.url)
        done = site.operate("run", "--change", f"{number},1")
        assert done.returncode == 2 and "not current" in done.stderr
        done = site.operate("run", "--change", "99999")
        assert done.returncode == 3 and "99999" in done.stderr
    assert len(jenkins.builds) == 1


def test_cancelled_in_the_queue(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    jenkins.executors = 0

    def cancel(parameters: dict[str, str]) -> None:
        newest(jenkins).cancelled = True

    jenkins.asked = cancel
    done = site.operate("run", *CHANGE, *FAST)
    assert done.returncode == 3 and "cancelled while it waited" in done.stderr


def test_an_item_of_the_queue_that_jenkins_forgot(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    """It keeps them for some minutes; the build knows its number in the queue."""
    jenkins.forget = True
    done = site.operate("run", *CHANGE, *FAST)
    assert done.returncode == 0 and "build 41 of ci/test-neutron: SUCCESS" in done.stdout, done.stderr


def test_a_build_that_is_deleted_while_it_is_waited_for(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    jenkins.fail_next("/41/api/json", 404)
    done = site.operate("run", *CHANGE, *FAST)
    assert done.returncode == 3 and "build 41 of job ci/test-neutron" in done.stderr and "deleted" in done.stderr


def test_a_job_without_the_parameters(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    jenkins.jobs[jenkins.job].xml = job_xml(("GERRIT_CHANGE_NUMBER", "OTHER"))
    done = site.operate("run", *CHANGE)
    assert done.returncode == 2 and "GERRIT_REFSPEC" in done.stderr and jenkins.builds == []


def test_a_job_about_no_change(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.make("control", job_xml(("BRANCH",)))
    site.make("plain", job_xml(()))
    site.good("run", "--job", "control", "--parameter", "BRANCH=stable/2026.1", *FAST)
    site.good("run", "--job", "plain", *FAST)
    assert [(build.job, build.parameters) for build in jenkins.builds] == [
        ("control", {"BRANCH": "stable/2026.1"}),
        ("plain", {}),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no change is named"),
        (("--change", "12"), "no 'gerrit' section"),
        (("--change", "x"), "is not like"),
        (("--change", "12", "--project", "a/b"), "needs the patch set"),
        (("--change", "12,1", "--ref", "refs/changes/12/12/1"), "--ref needs --project"),
        (("--change", "12,1", "--project", "../x"), "--project"),
        (("--change", "12,1", "--project", "a/b", "--branch", "-x"), "--branch"),
        ((*CHANGE, "--parameter", "nothing"), "is not like NAME=VALUE"),
    ],
)
def test_wrong_words(site: JenkinsSite, jenkins: FakeJenkins, words: tuple[str, ...], said: str) -> None:
    done = site.operate("run", *words)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert jenkins.builds == []


def test_builds_of_every_state(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    jenkins.executors, jenkins.looks = 2, 0
    for number in ("5", "6", "7"):
        site.good("run", "--change", f"{number},1", "--project", "openstack/neutron")
    jenkins.builds[0].ended, jenkins.builds[0].description = True, "<b>ERROR</b>, blame: ci"
    found = site.as_json("builds", "--most", "3")
    states = [(one["change"], one["state"], one["outcome"], one["blame"]) for one in found["builds"]]
    assert states == [
        ("7", "queued", "", ""),
        ("6", "running", "", ""),
        ("5", "ended", "", ""),
        ("1", "ended", "", ""),
    ]
    jenkins.builds[0].description = "ERROR in 3m 2s, blame: ci"
    table = site.good("builds").splitlines()
    assert table[1].split() == ["7,1", "queued", "Waiting"]
    assert "ERROR" in table[3] and "12m 33s" in table[3]


def test_hostile_words_of_a_build(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>\u202e FAILURE, blame: change"
    jenkins.looks = 1
    site.good("run", *CHANGE, *FAST)
    jenkins.builds[0].parameters |= {"GERRIT_PROJECT": hostile, "GERRIT_CHANGE_NUMBER": "1\x1b[31m\n2"}
    jenkins.builds[0].description = hostile * 1000
    jenkins.builds[0].result = "\x9b31mSUCCESS"
    for words in (("builds",), ("builds", "--json")):
        out = site.good(*words)
        assert "\x1b" not in out and "\x9b" not in out and "\u202e" not in out and "FAILURE" in out
    assert len(site.good("builds").splitlines()) == 3


@pytest.mark.parametrize("content", [b"[]", b"{" * 10_000, b'{"outcome": 1, "blame": "change"}', b"\xf0(\x8c("])
def test_a_verdict_that_makes_no_sense(site: JenkinsSite, jenkins: FakeJenkins, content: bytes) -> None:
    jenkins.looks = 1
    site.good("run", *CHANGE, *FAST)
    jenkins.builds[0].artifacts = {"verdict.json": content}
    found = site.as_json("builds")["builds"][0]
    assert (found["outcome"], found["blame"]) == ("", "")
