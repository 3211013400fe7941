"""The rendered freestyle jobs run for real: Hudson calls every stage, on a real gate, and the trusted job after it.

`ci-operate jenkins update` makes the jobs. What Hudson has no plug-in for is done otherwise, by the variable ``server:
bare``, or by the test: it starts the trusted job with what Parameterized Trigger would hand on, and the Gerrit password
is a file of the trusted configuration, because there is no Credentials Binding. Hudson has one machine, for both sides.
Lock, time-out, time stamps, descriptions, NOT_BUILT, ABORTED and Pipeline cannot be shown with it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.gates.local.ports import HOST, free_ports
from tests.fakes.fake_gerrit import CI_USER, FakeGerrit, settings_for
from tests.fakes.left_behind import left_behind
from tests.integration.gate_runs import ADDRESS_PAIRS, BIN, DRIVER, SECONDS, configuration, environment_of_user
from tests.integration.hudson_server import NODE, TRUSTED, Build, RealHudson
from tests.jenkins_jobs.rendering import DEFINITIONS

pytest_plugins = ["tests.integration.gate_fixtures", "tests.integration.hudson_server"]
pytestmark = pytest.mark.gate

TOKEN = "EXAMPLE_JENKINS_TOKEN"
LOGS = "https://logs.example.org"


class Site:
    """A CI: its configuration on the node and on the trusted side, a Gerrit with the example's changes, two jobs."""

    def __init__(self, folder: Path, hudson: RealHudson, gerrit: FakeGerrit, driver: Path, cache: Path) -> None:
        self.folder, self.hudson, self.gerrit, self.driver = folder, hudson, gerrit, driver
        # The server is shared with other tests.
        self.job = f"{folder.name.replace('_', '-')}-local"
        self._cache = cache
        self.probes: list[dict[str, Any]] = []
        gerrit.add_project(DRIVER)
        for _ in range(4):
            number = gerrit.push(DRIVER)
            self._set_revision(number)
        (folder / "published").mkdir()

    def _set_revision(self, number: int) -> None:
        patch_set = self.gerrit.changes[number].current
        found = subprocess.run(
            ["git", "-C", str(self.driver), "rev-parse", "--verify", "--quiet", patch_set.ref],
            stdout=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
        )
        if found.returncode == 0:
            patch_set.revision = found.stdout.strip()

    def new_patch_set(self, number: int) -> None:
        self.gerrit.new_patch_set(number)
        self._set_revision(number)

    def _of_node(self, content: dict[str, Any]) -> None:
        content["name"] = "Demo CI"
        content["cache_dir"] = str(self._cache)
        content["projects"][DRIVER]["url"] = str(self.driver)
        content["driver"]["source"] = str(self.driver)
        content["gate"]["shards"] = 1
        content["tempest"]["regex"] = ADDRESS_PAIRS
        content["probes"] += self.probes

    def _of_trusted(self, content: dict[str, Any]) -> None:
        self._of_node(content)
        content["gerrit"] = settings_for(self.gerrit, self.folder / "secrets")
        content["voting"] = {"mode": "full"}
        content["logs"] = {"publish_to": str(self.folder / "published"), "url": LOGS}
        content["history"] = {"url": f"sqlite:///{self.folder}/history.sqlite"}
        content["contacts"] = [{"name": "Ann Op", "email": "ann@example.org"}, {"name": "Bob Op", "irc": "bob"}]
        content["jenkins"] = {
            "url": self.hudson.url,
            "user": "operator",
            "password_environment": TOKEN,
            "job": self.job,
            "definitions": [str(DEFINITIONS), str(self.folder / "project.yaml")],
        }

    def make_jobs(self) -> str:
        """What ci-operate jenkins update says."""
        for side, change in (("node", self._of_node), ("trusted", self._of_trusted)):
            (self.folder / side).mkdir()
            configuration(self.folder / side, change)
        trusted = self.folder / "trusted" / "ci.yaml"
        project = {
            "name": self.job,
            "jobs": ["ci-test-local-freestyle", "ci-report-freestyle"],
            "test_job": self.job,
            "server": "bare",
            "trigger": "hand",
            "ci_bin": str(BIN),
            "ci_config": str(self.folder / "node" / "ci.yaml"),
            "trusted_config": str(trusted),
            "node_label": NODE,
            "trusted_label": TRUSTED,
            "copied_job_url": f"{self.hudson.url}/job/{self.job}",
        }
        (self.folder / "project.yaml").write_text(json.dumps([{"project": project}]))
        done = subprocess.run(
            [str(BIN / "ci-operate"), "jenkins", "update", "--config", str(trusted)],
            cwd=self.folder,
            env={**environment_of_user(), TOKEN: "a-token"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def trigger(self, number: int) -> dict[str, str]:
        """What Gerrit Trigger says about the change's current patch set."""
        change = self.gerrit.changes[number]
        return {
            "GERRIT_EVENT_TYPE": "patchset-created",
            "GERRIT_PROJECT": DRIVER,
            "GERRIT_BRANCH": change.branch,
            "GERRIT_REFSPEC": change.current.ref,
            "GERRIT_CHANGE_NUMBER": str(number),
            "GERRIT_PATCHSET_NUMBER": str(change.current.number),
            "GERRIT_PATCHSET_REVISION": change.current.revision,
        }

    def test(self, number: int) -> Build:
        return self.hudson.build(self.job, self.trigger(number), SECONDS)

    def report(self, number: int, test: Build) -> Build:
        """The trusted job after it, started as Parameterized Trigger would."""
        parameters = {**self.trigger(number), "TEST_BUILD": str(test.number)}
        return self.hudson.build(f"{self.job}-report", parameters, SECONDS)

    def vote(self, number: int) -> int:
        return self.gerrit.changes[number].vote_of("Verified", CI_USER)

    def comments(self, number: int) -> list[str]:
        """Our own, oldest first."""
        messages = self.gerrit.changes[number].messages
        return [message.text for message in messages if message.author.username == CI_USER]


@pytest.fixture
def site(tmp_path: Path, real_hudson: RealHudson, driver_repository: Path, cache: Path) -> Iterator[Site]:
    with FakeGerrit() as gerrit:
        yield Site(tmp_path, real_hudson, gerrit, driver_repository, cache)
    for environments in real_hudson.workspaces("environments", "trials/*/environments"):
        # Looking through its files takes half a minute.
        shutil.rmtree(environments)
    assert left_behind(real_hudson.folder, keep=frozenset({real_hudson.pid})) == []


def test_a_harmless_change_is_a_success_in_both_jobs_and_voted_for(site: Site) -> None:
    said = site.make_jobs()
    assert site.job in said and f"{site.job}-report" in said
    test = site.test(1)
    assert test.result == "SUCCESS", test.console
    assert "CI-RESULT: SUCCESS (exit code 0" in test.console
    assert {"run.json", "stages/run-gate.json", "logs/testrepository.subunit", "report/junit.xml"} <= test.artifacts
    # Every stage was called in Jenkins' workspace, with the change of the build's parameters.
    change = json.loads(test.artifact("run.json"))["change"]
    assert (change["number"], change["patchset"], change["project"]) == ("1", "1", DRIVER)
    called = {name.partition("/")[2] for name in test.artifacts if name.startswith("stages/")}
    assert called >= {
        f"{stage}.json"
        for stage in ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest", "summarize-results")
    }
    report = site.report(1, test)
    assert report.result == "SUCCESS", report.console
    (comment,) = site.comments(1)
    assert site.job in comment and "SUCCESS" in comment and LOGS in comment
    assert site.vote(1) == 1
    # The same again: nothing is posted twice.
    assert site.report(1, test).result == "SUCCESS"
    assert len(site.comments(1)) == 1


def test_a_change_to_blame_is_a_failure_in_both_jobs_and_voted_against(site: Site) -> None:
    site.make_jobs()
    test = site.test(4)
    assert test.result == "FAILURE", test.console
    assert "CI-RESULT: FAILURE (exit code 1: the change is to blame)" in test.console
    report = site.report(4, test)
    assert report.result == "FAILURE", report.console
    (comment,) = site.comments(4)
    assert "controller-holds-what-neutron-holds" in comment
    assert site.vote(4) == -1


def test_a_ci_to_blame_is_unstable_in_both_jobs_and_no_vote(site: Site) -> None:
    site.probes = [{"name": "lab-controller", "url": f"http://{HOST}:{free_ports(1)[0]}/health"}]
    site.make_jobs()
    site.new_patch_set(1)
    test = site.test(1)
    assert test.result == "UNSTABLE", test.console
    assert "CI-RESULT: UNSTABLE (exit code 3" in test.console
    report = site.report(1, test)
    assert report.result == "UNSTABLE", report.console
    (comment,) = site.comments(1)
    assert "lab-controller" in comment
    assert site.vote(1) == 0
