"""ci-operate doctor --trusted, run as the installed command against a fake Gerrit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.fake_jenkins import TOKEN, USER, FakeJenkins
from tests.fakes.jenkins_jobs import job_xml
from tests.fakes.operator_site import OperatorSite


@pytest.fixture
def gerrit() -> Iterator[FakeGerrit]:
    with FakeGerrit() as server:
        yield server


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, gerrit: FakeGerrit, jenkins: FakeJenkins) -> OperatorSite:
    logs = tmp_path / "logs"
    logs.mkdir()
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    server = {"url": jenkins.url, "user": USER, "job": jenkins.job, "password_file": str(token), "timeout_seconds": 30}
    section = {"publish_to": str(logs), "url": "https://logs.example.org"}
    return OperatorSite(tmp_path / "site", gerrit, logs=section, jenkins=server)


def findings(site: OperatorSite, exit_code: int) -> dict[str, dict[str, Any]]:
    done = site.operate("doctor", "--trusted", "--json")
    assert done.returncode == exit_code, done.stdout + done.stderr
    return {entry["what"]: entry for entry in json.loads(done.stdout)}


def test_all_is_well(site: OperatorSite) -> None:
    found = findings(site, 0)
    jenkins = {"jenkins", "jenkins job"}
    assert set(found) == {"configuration", "contacts", "gerrit", "account's full name", "logs", "history"} | jenkins
    assert "we are The Operator" in found["jenkins"]["text"] and "next build is 41" in found["jenkins job"]["text"]
    assert "Ann Op, Bob Op" in found["contacts"]["text"] and "demo-ci" in found["gerrit"]["text"]


def test_nothing_is_set_up(site: OperatorSite) -> None:
    for name in ("gerrit", "logs", "jenkins", "contacts"):
        del site.settings[name]
    site.write()
    bad = {what: entry["mend"] for what, entry in findings(site, 3).items() if not entry["good"]}
    assert set(bad) == {"contacts", "gerrit", "logs"} and all(bad.values())


@pytest.mark.parametrize(
    ("section", "values", "what"),
    [
        ("gerrit", {"url": "http://127.0.0.1:1", "timeout_seconds": 1}, "gerrit"),
        ("gerrit", {"user": "zuul"}, "gerrit"),
        ("logs", {"publish_to": "/nonexistent/logs"}, "logs"),
        ("history", {"url": "sqlite:////dev/null/history.sqlite"}, "history"),
        ("jenkins", {"password_file": "/nonexistent/token"}, "jenkins"),
        ("jenkins", {"url": "http://127.0.0.1:1"}, "jenkins"),
        ("jenkins", {"user": "another"}, "jenkins"),
        ("jenkins", {"job": "ci/deleted"}, "jenkins job"),
        ("jenkins", {"definitions": ["nowhere"]}, "jenkins definitions"),
    ],
    ids=[
        *("gerrit down", "wrong password", "no folder", "no database", "no token", "jenkins down", "wrong user"),
        *("no job", "no definitions"),
    ],
)
def test_one_thing_is_wrong(site: OperatorSite, section: str, values: dict[str, Any], what: str) -> None:
    site.settings[section] = {**site.settings.get(section, {}), **values}
    site.write()
    bad = [name for name, entry in findings(site, 3).items() if not entry["good"]]
    assert bad == [what]


def test_an_account_with_another_name(site: OperatorSite) -> None:
    site.settings["name"] = "Another CI"
    site.write()
    found = findings(site, 3)
    assert not found["account's full name"]["good"] and "Another CI" in found["account's full name"]["mend"]


def test_jenkins_lacks_what_the_jobs_need(site: OperatorSite, jenkins: FakeJenkins) -> None:
    timed = (
        "- job:\n    name: timed\n    wrappers:\n      - timestamps\n    publishers:\n      - junit: {results: x.xml}\n"
    )
    (site.root / "jobs.yaml").write_text(timed)
    site.settings["jenkins"]["definitions"] = ["jobs.yaml"]
    site.write()
    jenkins.plugins = {"timestamper": "1.27"}
    jenkins.jobs[jenkins.job].xml = job_xml(("GERRIT_CHANGE_NUMBER",))
    bad = {what: entry["text"] for what, entry in findings(site, 3).items() if not entry["good"]}
    assert set(bad) == {"jenkins job", "jenkins plug-ins"}
    assert "missing: junit" in bad["jenkins plug-ins"] and "GERRIT_REFSPEC" in bad["jenkins job"]
    # Who may not see the list is told what is needed.
    jenkins.denied.add("Overall/Administer")
    found = findings(site, 3)["jenkins plug-ins"]
    assert found["good"] and "junit, timestamper" in found["text"]
    jenkins.denied.add("Overall/Read")
    assert "Overall/Read" in findings(site, 3)["jenkins"]["mend"]


def test_a_paused_test_job(site: OperatorSite, jenkins: FakeJenkins) -> None:
    jenkins.jobs[jenkins.job].disabled = True
    assert "resume" in findings(site, 3)["jenkins job"]["mend"]
