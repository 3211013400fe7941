"""What goes wrong while a comment is posted, with the installed command: nothing twice, nothing lost, and said."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.fake_gerrit import FakeGerrit, Fault
from tests.fakes.trusted_runs import Reporter, own_messages, own_summaries, reported, trusted_run

pytestmark = pytest.mark.timeout(180)


class StuckGerrit(FakeGerrit):
    """``stuck`` says which requests get no answer until the server ends."""

    stuck: Callable[[str], bool] = staticmethod(lambda method: False)

    def fault_for(self, method: str, path: str) -> Fault | None:
        if self.stuck(method):
            return Fault(1, "", "", kind="drip")
        return super().fault_for(method, path)


@pytest.fixture
def server() -> Iterator[StuckGerrit]:
    with StuckGerrit() as gerrit:
        yield gerrit


@pytest.fixture
def reporter(tmp_path: Path, server: FakeGerrit) -> Reporter:
    return Reporter(tmp_path, server).configure(voting={"mode": "full"})


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


GOOD_AGAIN = [
    ({"status": 401}, "401"),
    ({"status": 403}, "403"),
    ({"status": 404}, "404"),
    ({"status": 429, "headers": {"Retry-After": "3600"}}, "429"),
    ({"status": 500}, "500"),
    ({"kind": "html"}, "HTML"),
    ({"kind": "garbage"}, ""),
]


@pytest.mark.parametrize(("fault", "said"), GOOD_AGAIN)
@pytest.mark.parametrize("where", ["/accounts/self", "/changes/"])
def test_exit_code_5_where_gerrit_does_not_answer_and_0_once_it_does(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, fault: dict[str, Any], said: str, where: str
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    server.fail_next(method="GET", path=where, **fault)
    done = reporter.report(workspace)
    assert done.returncode == 5 and "not reported: " in done.stderr and "Next: " in done.stderr
    assert said in done.stderr and server.password("demo-ci") not in done.stderr
    assert own_messages(server, number) == [] and not (workspace / "reported.json").exists()

    assert reporter.report(workspace).returncode == 0
    assert len(own_messages(server, number)) == 1


def test_a_gerrit_that_is_down_or_too_slow(tmp_path: Path, server: FakeGerrit, reporter: Reporter) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = {"url": f"http://127.0.0.1:{unused.getsockname()[1]}", "timeout_seconds": 1}
        assert reporter.configure(gerrit=down).report(workspace).returncode == 5
    server.fail_next(9, kind="slow", seconds=30)
    done = reporter.configure(gerrit={"url": server.url}).report(workspace)
    assert done.returncode == 5 and "no answer in" in done.stderr
    assert own_messages(server, number) == []


def test_without_the_right_to_vote_the_comment_is_posted_and_that_is_said(tmp_path: Path, server: FakeGerrit) -> None:
    server.add_account("poor", "Poor CI")
    reporter = Reporter(tmp_path, server, "poor").configure(voting={"mode": "full"})
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "change")
    done = reporter.report(workspace)
    assert done.returncode == 0 and "the vote -1 was not taken" in done.stderr
    assert len(own_messages(server, number, "poor")) == 1
    assert server.changes[number].vote_of("Verified", "poor") == 0 and reported(workspace)["vote"] == 0


def test_a_label_that_the_project_does_not_have(tmp_path: Path, server: FakeGerrit, reporter: Reporter) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    done = reporter.configure(gerrit={"label": "Tested"}).report(workspace)
    assert done.returncode == 0 and "posted without the vote +1" in done.stderr
    assert len(own_messages(server, number)) == 1


@pytest.mark.parametrize("status", [400, 409])
def test_a_change_that_was_closed_at_the_last_moment(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, status: int
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "change")
    server.fail_next(method="POST", status=status, body="change is closed")
    server.now = closing_on_post(server, number)
    done = reporter.report(workspace)
    assert done.returncode == 4 and "is abandoned by now" in done.stderr
    assert own_messages(server, number) == []


def closing_on_post(server: FakeGerrit, number: int) -> Callable[[], Any]:
    """The change is abandoned when the refusal of the review is noted."""
    now = server.now
    requests = server.requests

    class Noted(list[Any]):
        def append(self, request: Any) -> None:
            super().append(request)
            if request.method == "POST":
                server.abandon(number)

    server.requests = Noted(requests)
    return now


@pytest.mark.parametrize("status", [400, 409])
def test_a_vote_that_is_refused_on_an_open_change_is_left_out(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, status: int
) -> None:
    number = server.push()
    server.fail_next(method="POST", status=status)
    done = reporter.report(trusted_run(tmp_path / "w", number, "passed"))
    assert done.returncode == 0 and "posted without it" in done.stderr
    assert len(own_messages(server, number)) == 1


def test_an_answer_that_is_lost_is_looked_up_and_nothing_is_posted_twice(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    server.fail_next(method="POST", kind="lost")
    done = reporter.report(trusted_run(tmp_path / "w", number, "passed"))
    assert done.returncode == 0 and "Looking whether it has arrived" in done.stderr
    assert len(own_messages(server, number)) == 1 and len(server.posted()) == 1


def test_a_review_that_did_not_arrive_is_posted_by_the_next_call(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    server.fail_next(method="POST", status=500)
    done = reporter.report(workspace)
    assert done.returncode == 5 and "not on the change so far" in done.stderr
    assert reporter.report(workspace).returncode == 0
    assert len(own_messages(server, number)) == 1


def test_killed_between_posting_and_writing_it_down(tmp_path: Path, server: StuckGerrit, reporter: Reporter) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "change")
    server.stuck = lambda method: method == "GET" and bool(own_messages(server, number))
    with reporter.start("--workspace", workspace) as process:
        wait_until(lambda: own_messages(server, number))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and not (workspace / "reported.json").exists()

    server.stuck = lambda method: False
    done = reporter.report(workspace)
    assert done.returncode == 0 and "this run was reported already" in done.stderr
    assert len(own_messages(server, number)) == 1 and len(server.posted()) == 1
    assert (
        reported(workspace)["message"] == own_messages(server, number)[0].number and reported(workspace)["vote"] == -1
    )


def test_killed_before_posting_leaves_no_claim_in_the_way(
    tmp_path: Path, server: StuckGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    arrived: list[str] = []

    def stuck(method: str) -> bool:
        if method == "POST":
            arrived.append(method)
        return method == "POST"

    server.stuck = stuck
    with reporter.start("--workspace", workspace) as process:
        wait_until(lambda: arrived)
        process.send_signal(signal.SIGKILL)
    server.stuck = lambda method: False
    assert reporter.report(workspace).returncode == 0
    assert len(own_messages(server, number)) == 1


@pytest.mark.parametrize("machines", ["one", "two"])
def test_of_two_reporters_at_the_same_time_one_posts(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, machines: str
) -> None:
    number = server.push()
    reporters = [reporter]
    if machines == "two":
        shared = {"url": f"sqlite:///{tmp_path / 'shared.sqlite'}"}
        (tmp_path / "other").mkdir()
        other = Reporter(tmp_path / "other", server).configure(voting={"mode": "full"})
        reporters = [one.configure(history=shared) for one in (reporter, other)]
    workspaces = [trusted_run(tmp_path / f"w{name}", number, "change") for name in range(4)]
    server.fail_next(method="POST", kind="slow", seconds=1)
    processes = [
        reporters[name % len(reporters)].start("--workspace", workspace) for name, workspace in enumerate(workspaces)
    ]
    said = [process.communicate(timeout=90)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, said
    assert len(own_messages(server, number)) == 1 and len(server.posted()) == 1
    assert sum(reported(workspace)["posted"] for workspace in workspaces) == 1
    assert len({reported(workspace)["message"] for workspace in workspaces}) == 1


def test_two_runs_of_one_patch_set_at_the_same_time_are_one_comment(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspaces = [trusted_run(tmp_path / run, number, "passed", run_id=run) for run in ("run-1", "run-2")]
    server.fail_next(method="POST", kind="slow", seconds=1)
    processes = [reporter.start("--workspace", workspace) for workspace in workspaces]
    said = "".join(process.communicate(timeout=90)[1] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], said
    assert "nobody has asked for a recheck" in said
    assert len(own_summaries(server, number)) == 1


def test_a_history_that_is_locked_or_gone_is_said_and_gerrit_alone_decides(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    reporter.configure(history={"timeout_seconds": 1})
    assert reporter.report(trusted_run(tmp_path / "v", server.push(), "passed")).returncode == 0
    holder = sqlite3.connect(tmp_path / "cache" / "history.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        done = reporter.report(workspace)
    finally:
        holder.close()
    assert done.returncode == 0 and "history" in done.stderr and "other machines cannot be told" in done.stderr
    assert len(own_messages(server, number)) == 1

    gone = {"url": "postgresql://nobody@127.0.0.1:1/history"}
    done = reporter.configure(history=gone).report(workspace)
    assert done.returncode == 0 and "this run was reported already" in done.stderr
    number = server.push()
    done = reporter.report(trusted_run(tmp_path / "u", number, "passed"))
    assert done.returncode == 0 and "other machines cannot be told" in done.stderr
    assert len(own_messages(server, number)) == 1


def test_a_message_that_somebody_deleted_is_not_posted_again_where_the_history_knows(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    assert reporter.report(workspace).returncode == 0
    server.changes[number].messages = []
    done = reporter.report(workspace)
    assert done.returncode == 0 and "the history says that this run was reported" in done.stderr
    assert own_messages(server, number) == []
    assert reporter.report(workspace, more=("--again",)).returncode == 0
    assert len(own_messages(server, number)) == 1


def test_a_workspace_that_cannot_be_written_is_exit_code_5_and_nothing_twice(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter
) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    (workspace / "reported.json").mkdir()
    for _ in range(2):
        done = reporter.report(workspace)
        assert done.returncode == 5 and "reported.json could not be written" in done.stderr
    assert len(own_messages(server, number)) == 1


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path, server: FakeGerrit, reporter: Reporter) -> None:
    number = server.push()
    workspace = trusted_run(tmp_path / "w", number, "passed")
    (tmp_path / "cache").write_text("not a folder")
    done = reporter.report(workspace)
    assert done.returncode == 0 and "cannot be locked" in done.stderr
    assert len(own_messages(server, number)) == 1


@pytest.mark.parametrize("hours", [-1000, 1000])
def test_a_server_with_another_clock_changes_nothing(
    tmp_path: Path, server: FakeGerrit, reporter: Reporter, hours: int
) -> None:
    from datetime import timedelta

    real = server.now
    server.now = lambda: real() + timedelta(hours=hours)
    number = server.push()
    for run, recheck in (("run-1", True), ("run-2", True), ("run-3", False)):
        assert reporter.report(trusted_run(tmp_path / run, number, "passed", run_id=run)).returncode == 0
        if recheck and run == "run-1":
            server.say(number, "jane", "recheck")
    assert len(own_messages(server, number)) == 2


def test_the_password_is_nowhere_in_what_is_left(tmp_path: Path, server: FakeGerrit, reporter: Reporter) -> None:
    workspace = trusted_run(tmp_path / "w", server.push(), "passed")
    server.fail_next(method="POST", status=500, body=f"no {server.password('demo-ci')}")
    done = reporter.report(workspace)
    texts = [done.stdout, done.stderr, *(path.read_text() for path in workspace.rglob("*") if path.is_file())]
    assert all(server.password("demo-ci") not in text for text in texts)
    assert os.path.exists(workspace / "stages/report-to-gerrit.json")
