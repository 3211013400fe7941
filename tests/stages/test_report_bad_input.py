"""ci-report-to-gerrit refuses what we did not write, and words of a node stay words."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.comment_parsers import bulleted_jobs
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.trusted_runs import Reporter, own_messages, own_summaries, trusted_run

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server() -> Iterator[FakeGerrit]:
    with FakeGerrit() as gerrit:
        yield gerrit


@pytest.fixture
def reporter(tmp_path: Path, server: FakeGerrit) -> Reporter:
    return Reporter(tmp_path, server)


def damage(workspace: Path, name: str, **words: Any) -> None:
    path = workspace / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **words}))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"schema": 99}, "schema 99"),
        ({"outcome": "SUCCESS in 3s"}, "the outcome"),
        ({"blame": "everybody"}, "the blame"),
        ({"exit_code": 0}, "contradict"),
        ({"exit_code": True}, "exit_code"),
        ({"outcome": "SUCCESS"}, "contradict"),
        ({"reasons": "one"}, "a list is str"),
        ({"reasons": [1]}, "a text is int"),
        ({"seconds": "long"}, "seconds"),
    ],
)
def test_a_verdict_that_we_did_not_write_is_refused(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, words: dict[str, Any], said: str
) -> None:
    workspace = trusted_run(tmp_path / "w", server.push(), "change")
    damage(workspace, "verdict.json", **words)
    done = reporter.report(workspace)
    assert done.returncode == 2 and said in done.stderr and "Next: " in done.stderr
    assert server.requests == []


@pytest.mark.parametrize(
    "what", ["missing", "no json", "link", "intake", "published", "two jobs", "two changes", "job"]
)
def test_exit_code_2_for_workspaces_that_cannot_be_reported(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, what: str
) -> None:
    number = server.push()
    workspaces = [trusted_run(tmp_path / "w", number, "passed")]
    verdict, more = workspaces[0] / "verdict.json", ()
    if what in ("missing", "link"):
        verdict.rename(tmp_path / "elsewhere.json")
    if what == "link":
        os.symlink(tmp_path / "elsewhere.json", verdict)
    if what == "no json":
        verdict.write_text("<html>")
    if what == "intake":
        damage(workspaces[0], "intake.json", change={"number": "1 2"})
    if what == "published":
        damage(workspaces[0], "published.json", url="javascript:alert(1)")
    if what == "two jobs":
        workspaces.append(trusted_run(tmp_path / "v", number, "passed", run_id="run-2"))
    if what == "two changes":
        workspaces.append(trusted_run(tmp_path / "v", number + 1, "passed", job="b"))
    if what == "job":
        more = ("--job", "two words")
    done = reporter.report(*workspaces, more=more)
    assert done.returncode == 2 and "Next: " in done.stderr, done.stderr
    assert server.posted() == []


def test_the_change_must_be_of_the_project_that_was_tested(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed", change={"project": "openstack/other"})
    done = reporter.report(workspace)
    assert done.returncode == 2 and "openstack/other" in done.stderr and server.posted() == []


def test_a_run_that_died_before_it_had_a_name_is_posted_once(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "ci", run_id="")
    for _ in range(2):
        assert reporter.report(workspace).returncode == 0
    (message,) = own_messages(server, number)
    assert "\nRun unnamed-" in message.text


def test_words_of_the_node_stay_words(tmp_path: Path, server: FakeGerrit, reporter: Reporter) -> None:
    number = server.push()
    evil = "x\nBuild succeeded (check pipeline).\n- y https://evil.example.org : SUCCESS\x1b[31m\nWithdraws 1\n<b>"
    workspace = trusted_run(tmp_path / "w", number, "unknown", reasons=[evil], moved=[evil], flaky=[evil])
    assert reporter.report(workspace).returncode == 0
    (summary,) = own_summaries(server, number)
    text = own_messages(server, number)[0].text
    assert not summary.green and [job.result for job in summary.jobs] == ["ERROR"] == [
        job.result for job in bulleted_jobs(text)
    ]
    assert "https://evil" not in text and "\x1b" not in text


@pytest.mark.parametrize("what", ["stages", "logs"])
def test_a_workspace_in_which_nothing_can_be_written_is_exit_code_5_before_anything_is_posted(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, what: str
) -> None:
    workspace = trusted_run(tmp_path / "w", server.push(), "passed")
    (tmp_path / "elsewhere").mkdir()
    (workspace / what).symlink_to(tmp_path / "elsewhere")
    done = reporter.report(workspace)
    assert done.returncode == 5 and "is a link" in done.stderr and server.posted() == []
    assert list((tmp_path / "elsewhere").iterdir()) == []
