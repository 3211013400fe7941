"""Waiting for a build, and what a client does when Jenkins is not up: against a Jenkins in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.jenkins.by_hand import Waiting, ask, wait_for
from ci_scripts.jenkins.client import Client, Limits
from ci_scripts.jenkins.errors import JenkinsFailed, NoRight, NotThere
from ci_scripts.jenkins.server import Server
from tests.fakes.fake_jenkins import TOKEN, USER, FakeJenkins
from tests.fakes.jenkins_jobs import job_xml

PARAMETERS = {"GERRIT_CHANGE_NUMBER": "12", "GERRIT_PATCHSET_NUMBER": "3", "NOT_DECLARED": "x"}


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins() as server:
        yield server


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def server(jenkins: FakeJenkins, notes: list[str]) -> Server:
    return Server(Client(jenkins.url, USER, TOKEN, Limits(30, 30), notes.append))


def test_a_build_is_not_waited_for_longer(server: Server, jenkins: FakeJenkins) -> None:
    jenkins.executors, said = 0, list[str]()
    asked = ask(server, jenkins.job, PARAMETERS)
    with pytest.raises(InfrastructureError, match=r"still waits in the queue \(Waiting\)"):
        wait_for(server, asked, Waiting(0.01, 0.05, said.append))
    assert said == ["it waits: Waiting"] and not jenkins.builds[0].cancelled
    jenkins.executors, jenkins.looks = 1, 0
    jenkins._start()
    with pytest.raises(InfrastructureError, match="build 41 of ci/test-neutron is still running"):
        wait_for(server, asked, Waiting(0.01, 0.05, said.append))


def test_only_declared_parameters_are_sent(server: Server, jenkins: FakeJenkins) -> None:
    asked = ask(server, jenkins.job, PARAMETERS)
    assert "NOT_DECLARED" not in asked.parameters and asked.queue_id == 1
    assert jenkins.builds[0].parameters["GERRIT_CHANGE_NUMBER"] == "12"
    # Addresses are logged by proxies; what is asked for is in the body.
    assert jenkins.requests[-1] == ("POST", "/job/ci/job/test-neutron/buildWithParameters")


@pytest.mark.parametrize("crumbs", [True, False])
def test_crumbs(server: Server, jenkins: FakeJenkins, crumbs: bool, notes: list[str]) -> None:
    """They end with the session, that is with a restart; then a new one is asked for, once."""
    jenkins.crumbs = crumbs
    server.set_disabled(jenkins.job, True)
    jenkins.restart(1)
    server.set_disabled(jenkins.job, False)
    assert not jenkins.jobs[jenkins.job].disabled and len(notes) == 1
    asked = sum(path == "/crumbIssuer/api/json" for _, path in jenkins.requests)
    assert asked == (2 if crumbs else 1)


def test_no_crumb_helps_who_lacks_the_right(server: Server, jenkins: FakeJenkins) -> None:
    jenkins.denied.add("Job/Configure")
    with pytest.raises(NoRight, match="missing the Job/Configure permission"):
        server.set_disabled(jenkins.job, True)


def test_folders_and_odd_names(server: Server, jenkins: FakeJenkins) -> None:
    name = "ci/a b#c?d%2Fé"
    server.create(name, job_xml(()))
    assert server.config(name) == job_xml(()) and server.job(name).name == name
    assert name in server.all_jobs() and "ci" in server.all_jobs()
    server.change(name, job_xml(("A",)))
    assert server.job(name).parameters == {"A"}
    server.delete(name)
    assert server.config(name) is None
    with pytest.raises(NotThere):
        server.change(name, job_xml(()))
    with pytest.raises(NotThere, match="nowhere/x"):
        server.create("nowhere/x", job_xml(()))


def test_a_folder_cannot_be_disabled(server: Server) -> None:
    with pytest.raises(JenkinsFailed):
        server.set_disabled("ci", True)


def test_the_reason_of_a_refusal(server: Server, jenkins: FakeJenkins) -> None:
    """Jenkins says it in a header."""
    jenkins.jobs[jenkins.job].disabled = True
    with pytest.raises(JenkinsFailed, match="not buildable"):
        server.start(jenkins.job, {})


def test_an_older_server_without_ranges(server: Server, jenkins: FakeJenkins) -> None:
    jenkins.fail_next("/job/ci/job/test-neutron/api/json", 500)
    assert [build["number"] for build in server.builds(jenkins.job, 5)] == [40]


def test_plugins(server: Server, jenkins: FakeJenkins) -> None:
    assert [plugin["shortName"] for plugin in server.plugins() or ()] == ["gerrit-trigger"]
    jenkins.denied.add("Overall/Administer")
    assert server.plugins() is None
