"""From a push to a vote: real git, a real gate, a real Gerrit, and every command as a job calls it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.comment_parsers import zuul_summary
from tests.fakes.fake_gerrit import CI_USER, settings_for
from tests.integration.gate_runs import BIN, DRIVER, NETWORKS, SECONDS, Run, configuration
from tests.integration.gerrit_server import RealGerrit
from tests.repositories import git

pytest_plugins = ["tests.integration.gate_fixtures", "tests.integration.gerrit_server"]
pytestmark = pytest.mark.gate

JOB = "example-tempest"
LOGS = "https://logs.example.org"
CHANGE_ID = f"I{'5' * 40}"
HARMLESS, WRONG_DATA = "refs/changes/01/1/1", "refs/changes/04/4/1"


class Way:
    """One change of the example driver on a real Gerrit, and the two sides of a job: a node and the trusted side."""

    def __init__(self, folder: Path, gerrit: RealGerrit, driver: Path, make_run: Callable[..., Run]) -> None:
        self.folder = folder
        self.gerrit = gerrit
        self.driver = driver
        self.make_run = make_run
        self.clone = folder / "clone"
        self.address = f"{gerrit.url}/{DRIVER}"
        self.pushes = f"http://admin:{gerrit.password('admin')}@{gerrit.url.partition('://')[2]}/a/{DRIVER}"
        self.config = configuration(folder, self._configure)
        self.number = 0
        self.patch_set = 0
        self.runs = 0

    def _configure(self, content: dict[str, Any]) -> None:
        content["name"] = "Demo CI"
        content["projects"][DRIVER]["url"] = self.address
        content["driver"]["source"] = self.address
        content["gate"]["shards"] = 1
        content["tempest"]["regex"] = NETWORKS
        content["gerrit"] = settings_for(self.gerrit, self.folder / "secrets")
        content["voting"] = {"mode": "full"}
        content["logs"] = {"publish_to": str(self.folder / "published"), "url": LOGS}
        content["contacts"] = [{"name": "Ann Op", "email": "ann@example.org"}, {"name": "Bob Op", "irc": "bob"}]

    def begin(self) -> None:
        """The driver's master goes to Gerrit, as its project."""
        (self.folder / "published").mkdir()
        self.gerrit.ask("PUT", f"/projects/{DRIVER.replace('/', '%2F')}", {})
        git(self.folder, "clone", "--quiet", str(self.driver), str(self.clone))
        git(self.clone, "push", "--quiet", self.pushes, "HEAD:refs/heads/master")

    def push(self, ref: str) -> None:
        """What the example has at ``ref`` becomes the change's next patch set."""
        git(self.clone, "fetch", "--quiet", "origin", ref)
        git(self.clone, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        git(self.clone, "commit", "--quiet", "--amend", "-m", f"Test me\n\nChange-Id: {CHANGE_ID}")
        said = git(self.clone, "push", self.pushes, "HEAD:refs/for/master")
        found = re.search(r"/\+/([0-9]+)", said)
        assert found is not None, said
        self.number = int(found.group(1))
        self.patch_set += 1

    def trigger(self) -> dict[str, str]:
        """The variables with which Jenkins' Gerrit Trigger starts a build."""
        last = f"{self.number % 100:02d}/{self.number}/{self.patch_set}"
        return {
            "GERRIT_CHANGE_NUMBER": str(self.number),
            "GERRIT_PATCHSET_NUMBER": str(self.patch_set),
            "GERRIT_PATCHSET_REVISION": git(self.clone, "rev-parse", "HEAD").strip(),
            "GERRIT_PROJECT": DRIVER,
            "GERRIT_BRANCH": "master",
            "GERRIT_REFSPEC": f"refs/changes/{last}",
            "GERRIT_CHANGE_URL": f"{self.gerrit.url}/c/{DRIVER}/+/{self.number}",
            "GERRIT_EVENT_TYPE": "patchset-created",
            "JOB_NAME": JOB,
        }

    def test(self) -> Path:
        """A build on a node and the trusted side's verdict about it; the trusted workspace."""
        self.runs += 1
        node = self.make_run(self.folder / f"node{self.runs}", self.config, CI_DRIVER_SOURCE=self.address)
        node.command("ci-run-job", "--config", self.config, **self.trigger())
        trusted = self.folder / f"trusted{self.runs}"
        self.trusted("ci-summarize-results", trusted, "--from", str(node.workspace.root))
        code, said = self.trusted("ci-publish-logs", trusted)
        assert code == 0, said
        return trusted

    def trusted(self, name: str, workspace: Path, *more: str) -> tuple[int, str]:
        """A command of the trusted side: its exit code and what it said."""
        node = self.make_run(self.folder / "nowhere", self.config)
        done = subprocess.run(
            [str(BIN / name), "--config", str(self.config), "--workspace", str(workspace), *more],
            cwd=self.folder,
            env={**node.environment, **self.trigger()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        return done.returncode, done.stdout

    def report(self, workspace: Path) -> tuple[int, str]:
        return self.trusted("ci-report-to-gerrit", workspace)

    def reported(self, workspace: Path) -> None:
        code, said = self.report(workspace)
        assert code == 0, said

    def vote(self) -> int:
        labels = self.gerrit.ask("GET", f"/changes/{self.number}/detail")["labels"]
        ours = self.gerrit.number_of(CI_USER)
        return sum(vote.get("value", 0) for vote in labels["Verified"].get("all", ()) if vote["_account_id"] == ours)

    def comments(self) -> list[dict[str, Any]]:
        """Our messages on the change, oldest first, as the server shows them."""
        ours = self.gerrit.number_of(CI_USER)
        messages = self.gerrit.ask("GET", f"/changes/{self.number}/detail")["messages"]
        return [message for message in messages if message.get("author", {}).get("_account_id") == ours]


@pytest.fixture
def way(
    tmp_path: Path, real_gerrit: RealGerrit, driver_repository: Path, make_run: Callable[..., Run]
) -> Iterator[Way]:
    found = Way(tmp_path, real_gerrit, driver_repository, make_run)
    found.begin()
    yield found


def test_a_change_is_pushed_tested_reported_rechecked_and_pushed_again(way: Way) -> None:
    way.push(HARMLESS)
    first = way.test()
    way.reported(first)
    (comment,) = way.comments()
    assert way.vote() == 1
    assert comment["tag"] == "autogenerated:zuul:check"
    summary = zuul_summary(comment["message"])
    assert summary is not None and summary.green and summary.pipeline == "check"
    (job,) = summary.jobs
    assert (job.name, job.result) == (JOB, "SUCCESS")
    last = f"{way.number % 100:02d}/{way.number}/1/check/{JOB}/"
    assert job.url is not None and job.url.startswith(f"{LOGS}/{last}")
    assert (way.folder / "published" / job.url.removeprefix(f"{LOGS}/") / "index.html").is_file()
    way.reported(first)
    assert len(way.comments()) == 1

    way.gerrit.say(way.number, "jane", "recheck the lab was down")
    second = way.test()
    way.reported(second)
    assert len(way.comments()) == 2

    way.push(WRONG_DATA)
    way.reported(second)
    assert len(way.comments()) == 2
    third = way.test()
    way.reported(third)
    assert way.vote() == -1
    blamed = zuul_summary(way.comments()[-1]["message"])
    assert blamed is not None and not blamed.green and [one.result for one in blamed.jobs] == ["FAILURE"]
    assert "controller-holds-what-neutron-holds" in way.comments()[-1]["message"]
