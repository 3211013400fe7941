"""ci-operate jenkins against a Jenkins that is down, restarts, hangs, is none, or says no: by the installed command.

The Jenkins is one in memory: a real one cannot be had here, and Hudson has no crumbs, no rights and no restart page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.jenkins_jobs import job_xml
from tests.jenkins.jenkins_site import CHANGE, FAST, JenkinsSite


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, jenkins: FakeJenkins) -> JenkinsSite:
    found = JenkinsSite(tmp_path / "site", jenkins.url, jenkins.job, jenkins)
    found.define()
    return found


def test_a_jenkins_that_is_down(site: JenkinsSite) -> None:
    site.write(url="http://127.0.0.1:9", restart_seconds=1)
    done = site.operate("builds")
    assert (
        done.returncode == 3 and "Connection refused" in done.stderr and "Next: see whether Jenkins runs" in done.stderr
    )
    assert "asked again for up to 1 s" in done.stderr


def test_a_jenkins_that_restarts_is_waited_for(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.write(restart_seconds=60)
    jenkins.restarts = 2
    done = site.operate("builds")
    assert done.returncode == 0 and "starting or restarting" in done.stderr, done.stderr


def test_a_jenkins_that_restarts_for_too_long(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.write(restart_seconds=1)
    jenkins.restarts = 1000
    done = site.operate("pause", "--job", jenkins.job)
    assert done.returncode == 3 and "503" in done.stderr and "does not exist" not in done.stderr
    assert not jenkins.jobs[jenkins.job].disabled


def test_a_restart_while_a_build_is_waited_for(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    """And the crumb of the session before it is no more valid: a new one is asked for."""
    site.write(restart_seconds=60)
    jenkins.looks = 6
    jenkins.asked = lambda parameters: jenkins.restart(2)
    done = site.operate("run", *CHANGE, *FAST)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stderr
    assert len(jenkins.builds) == 1 and "restarting" in done.stderr


@pytest.mark.parametrize(
    ("right", "words"),
    [
        ("Overall/Read", ("builds",)),
        ("Job/ExtendedRead", ("check",)),
        ("Job/Configure", ("update", "--take-over")),
        ("Job/Configure", ("pause", "--job", "ci/test-neutron")),
        ("Job/Build", ("run", *CHANGE)),
    ],
)
def test_without_a_right(site: JenkinsSite, jenkins: FakeJenkins, right: str, words: tuple[str, ...]) -> None:
    jenkins.denied.add(right)
    done = site.operate(*words)
    assert done.returncode == 3 and right in done.stderr and "operator" in done.stderr, done.stderr
    assert jenkins.jobs[jenkins.job].xml == job_xml() and jenkins.builds == []


def test_without_the_right_to_make_jobs(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.define("ci/another")
    jenkins.denied.add("Job/Create")
    done = site.operate("update")
    assert done.returncode == 3 and "Job/Create" in done.stderr and "ci/another" not in jenkins.jobs


def test_a_wrong_token(site: JenkinsSite, tmp_path: Path) -> None:
    (tmp_path / "site/token").write_text("a wrong one\n")
    done = site.operate("builds")
    assert done.returncode == 3 and "401" in done.stderr and "its token" in done.stderr
    assert "a wrong one" not in done.stderr


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("html", "a page (HTML) where Jenkins would answer with JSON"),
        ("elsewhere", "leads elsewhere"),
        ("hang", "no answer in 1 s"),
        ("drip", "did not end in time"),
        ("huge", "larger than"),
    ],
)
def test_something_else_answers(site: JenkinsSite, jenkins: FakeJenkins, how: str, said: str) -> None:
    site.write(timeout_seconds=1, restart_seconds=60)
    jenkins.misbehaves["/api/json"] = how
    done = site.operate("builds")
    assert done.returncode == 3 and said in done.stderr, done.stderr


def test_a_login_page_takes_a_change(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    """A redirect of what was posted did nothing, whatever the page behind it says."""
    jenkins.misbehaves["/disable"] = "elsewhere"
    done = site.operate("pause", "--job", jenkins.job)
    assert done.returncode == 3 and "leads elsewhere" in done.stderr and not jenkins.jobs[jenkins.job].disabled


def test_an_answer_that_was_lost(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    """What starts a build is not sent twice."""
    site.write(restart_seconds=60)
    jenkins.fail_next("/buildWithParameters", 0)
    done = site.operate("run", *CHANGE)
    assert done.returncode == 3 and "not known whether it was done" in done.stderr
    assert len(jenkins.builds) == 1


def test_a_job_that_the_server_refuses_does_not_keep_the_others(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.define("ci/a", "ci/b")
    jenkins.fail_next("/createItem", 500)
    done = site.operate("update")
    assert done.returncode == 3 and "refused 1 of 2 jobs: ci/a" in done.stderr, done.stderr
    assert "ci/b" in jenkins.jobs and "ci/a" not in jenkins.jobs
    assert "Done: 1 made, 1 left." in site.good("update")


@pytest.mark.parametrize(
    ("jenkins_section", "said"),
    [
        ({"definitions": []}, "names no files"),
        ({"definitions": ["nowhere"]}, "nowhere"),
        ({"password_file": "nowhere"}, "password_file"),
        ({"url": "http://jenkins.example.org"}, "https"),
    ],
)
def test_a_wrong_configuration(site: JenkinsSite, jenkins_section: dict[str, object], said: str) -> None:
    site.write(**jenkins_section)
    done = site.operate("update")
    assert done.returncode == 2 and said in done.stderr, done.stderr


def test_no_jenkins_section(site: JenkinsSite) -> None:
    del site.settings["jenkins"]
    (site.root / "ci.yaml").write_text(yaml.safe_dump(site.settings))
    done = site.operate("builds")
    assert done.returncode == 2 and "no 'jenkins' section" in done.stderr
