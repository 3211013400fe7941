"""ci-operate jenkins with folders and Pipeline jobs, which Hudson does not know; and what deleting old ones spares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fakes.fake_jenkins import FakeJenkins
from tests.jenkins.jenkins_site import HAND_MADE, JenkinsSite


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins(job="there") as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, jenkins: FakeJenkins) -> JenkinsSite:
    return JenkinsSite(tmp_path / "site", jenkins.url, "lab/ci/test", jenkins)


def define(site: JenkinsSite, *jobs: dict[str, object]) -> None:
    (site.root / "jobs/jobs.yaml").write_text(yaml.safe_dump([{"job": job} for job in jobs]))


LAB: dict[str, object] = {"name": "lab", "project-type": "folder"}
CI: dict[str, object] = {"name": "lab/ci", "project-type": "folder"}
TEST: dict[str, object] = {"name": "lab/ci/test", "project-type": "pipeline", "dsl": "sh 'ci-run-gate'"}


def test_folders_of_the_definitions_come_first(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    define(site, TEST, CI, LAB)
    assert "Done: 3 made." in site.good("update")
    made = [path for path in jenkins.changed() if path.endswith("/createItem")]
    assert made == ["/createItem", "/job/lab/createItem", "/job/lab/job/ci/createItem"]
    assert site.states(0) == {"lab": "same", "lab/ci": "same", "lab/ci/test": "same"}
    paused = site.good("pause")
    assert paused == "paused   lab/ci/test\n"
    assert site.states(0)["lab/ci/test"] == "same"
    site.good("resume")
    assert not jenkins.jobs["lab/ci/test"].disabled


def test_a_folder_that_is_not_there(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    define(site, TEST, {"name": "top"})
    done = site.operate("update")
    assert done.returncode == 2 and "there is no folder lab/ci" in done.stderr, done.stderr
    assert "top" not in jenkins.jobs


def test_a_folder_with_a_job_of_somebody_else_is_not_deleted(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    define(site, LAB, CI, TEST)
    site.good("update")
    define(site, {"name": "top"})
    site.good("update")
    jenkins.add_folder("by-hand")
    jenkins.jobs["lab/theirs"] = type(jenkins.jobs["top"])("lab/theirs", HAND_MADE)
    assert "2 deleted" in site.good("update", "--delete-old", "--yes")
    assert {"lab", "lab/theirs", "by-hand", "top"} <= set(jenkins.jobs) and "lab/ci" not in jenkins.jobs
    del jenkins.jobs["lab/theirs"]
    assert "1 deleted" in site.good("update", "--delete-old", "--yes")
    # Another team's, by Jenkins Job Builder too: only who names it means it.
    assert "lab" not in jenkins.jobs and "there" in jenkins.jobs
    assert "1 deleted" in site.good("update", "--only", "t*", "--delete-old", "--yes")
    assert set(jenkins.jobs) == {"by-hand", "top"}


def test_a_hostile_job_of_the_server(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    """Its XML is 1.1 as Jenkins writes it, and holds what would drive a terminal."""
    define(site, {"name": "top", "description": "ours"})
    site.good("update")
    xml = jenkins.jobs["top"].xml.partition("?>")[2].replace("ours", "&#x1b;[2J\u202eours &lt;script&gt;")
    jenkins.jobs["top"].xml = f"<?xml version='1.1' encoding='UTF-8'?>{xml}"
    done = site.operate("check")
    assert done.returncode == 3 and "\x1b" not in done.stdout and "\u202e" not in done.stdout
    assert r"\x1b[2J\u202eours" in done.stdout


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa">]><project><description>&a;</description></project>',
        "<project>" + "<a>" * 5000 + "</a>" * 5000 + "</project>",
        "no XML at all",
    ],
    ids=["entities", "deep", "text"],
)
def test_a_job_that_cannot_be_read(site: JenkinsSite, jenkins: FakeJenkins, xml: str) -> None:
    define(site, {"name": "top"})
    site.good("update")
    jenkins.jobs["top"].xml = xml
    assert site.states(3) == {"top": "foreign"}
    done = site.operate("update")
    assert done.returncode == 2 and "--take-over" in done.stderr


def test_a_name_of_control_characters(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    name = "a \x1b[2J <b>ü 100%"
    define(site, {"name": name})
    out = site.good("update")
    assert "\x1b" not in out and r"a \x1b[2J <b>ü 100%" in out and name in jenkins.jobs
    assert site.states(0) == {name: "same"}
    define(site, {"name": f"{name}/below"})
    done = site.operate("update")
    assert done.returncode in (2, 3) and "\x1b" not in done.stderr and r"\x1b[2J" in done.stderr


def test_what_job_builder_says_stays_out_of_the_output(site: JenkinsSite) -> None:
    define(site, {"name": "top", "logrotate": {"daysToKeep": 3}})
    done = site.operate("update", "--json")
    assert done.returncode == 0 and yaml.safe_load(done.stdout)["jobs"][0]["what"] == "made"
    assert "logrotate is deprecated" in done.stderr and "INFO" not in done.stderr


def test_our_own_definitions(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    """What Jenkins makes of them when it saves them is no difference, with the notes of update or without."""
    house = Path(__file__).parents[2]
    site.write(definitions=[str(house / "jenkins-jobs"), str(house / "examples/jenkins")], job="there")
    site.good("update")
    jobs = [name for name in jenkins.jobs if name != "there"]
    assert len(jobs) >= 4
    site.good("pause")
    site.good("resume")
    (notes,) = site.cache.glob("jenkins/*/sent.json")
    assert set(site.states(0)) == set(jobs)
    notes.unlink()
    assert set(site.states(0)) == set(jobs)
