"""Every exit code that a command can end with, reached by running an installed command."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from tests.fakes.fake_openstack import CLASS, Ended, FakeSite

Way = Callable[[FakeSite], Ended]


def passes(site: FakeSite) -> Ended:
    return site.command("ci-run-gate")


def failing_tests(site: FakeSite) -> Ended:
    site.tests({f"{CLASS}.test_bad": "fail"})
    assert site.command("ci-start-gate").exit_code == 0
    done = site.command("ci-run-tempest")
    assert site.command("ci-stop-gate").exit_code == 0
    return done


def hooks_run_to_the_end_with_failed_tests(site: FakeSite) -> Ended:
    site.tests({f"{CLASS}.test_bad": "fail"})
    return site.command("ci-run-gate")


def change_is_to_blame(site: FakeSite) -> Ended:
    # In the run and alone, not in the control run, and again with the change.
    site.tests({f"{CLASS}.test_bad": "fail then fail then pass then fail"})
    assert site.command("ci-run-gate").exit_code == 0
    return site.command("ci-summarize-results")


def bad_option(site: FakeSite) -> Ended:
    return site.command("ci-run-tempest", "--concurrency", "none")


def no_such_option(site: FakeSite) -> Ended:
    return site.command("ci-run-gate", "--shrads", "2")


def gate_does_not_start(site: FakeSite) -> Ended:
    site.behave("keystone", exits=1, says="no")
    return site.command("ci-run-gate")


def fails_without_the_change_too(site: FakeSite) -> Ended:
    hooks_run_to_the_end_with_failed_tests(site)
    return site.command("ci-summarize-results")


def flaky_test(site: FakeSite) -> Ended:
    site.tests({f"{CLASS}.test_bad": "fail then pass"})
    assert site.command("ci-run-gate").exit_code == 0
    return site.command("ci-summarize-results")


def nobody_knows(site: FakeSite) -> Ended:
    return site.command("ci-summarize-results")


def worker_crashes(site: FakeSite) -> Ended:
    site.tests({f"{CLASS}.test_bad": "crash"})
    return site.command("ci-run-gate")


def merge_conflict(site: FakeSite) -> Ended:
    driver = site.index.driver
    driver.change(9, 1, {"README": "mine\n"}, on="master~1")
    driver.commit({"README": "theirs\n"})
    return site.command("ci-prepare-gate", *site.change_flags("9,1"))


def bug_of_ours(site: FakeSite) -> Ended:
    # run.json is ours alone and has a known schema: a wrong type in it means that one of our stages has a bug.
    run = json.loads(site.workspace.run_json.read_text())
    site.workspace.run_json.write_text(json.dumps({**run, "config": 7}))
    return site.command("ci-run-gate")


def interrupted_by(number: signal.Signals) -> Way:
    def way(site: FakeSite) -> Ended:
        site.behave("neutron", listens_after=600)
        process = site.begin("ci-run-gate")
        site.wait_for_words("==> gate_hook")
        process.send_signal(number)
        return site.end(process)

    return way


WAYS: list[tuple[int, str, Way]] = [
    (0, "passes", passes),
    (0, "run-gate with failed tests", hooks_run_to_the_end_with_failed_tests),
    (0, "a flaky test", flaky_test),
    (1, "tests fail", failing_tests),
    (1, "the change is to blame", change_is_to_blame),
    (2, "bad option", bad_option),
    (2, "no such option", no_such_option),
    (3, "the gate does not start", gate_does_not_start),
    (3, "it fails without the change too", fails_without_the_change_too),
    (3, "nobody knows", nobody_knows),
    (3, "a worker crashes", worker_crashes),
    (4, "merge conflict", merge_conflict),
    (70, "a bug of ours", bug_of_ours),
    (130, "Ctrl-C", interrupted_by(signal.SIGINT)),
    (143, "SIGTERM", interrupted_by(signal.SIGTERM)),
    (143, "SIGHUP: the terminal went away", interrupted_by(signal.SIGHUP)),
]


@pytest.mark.parametrize(("code", "way"), [(code, way) for code, _, way in WAYS], ids=[name for _, name, _ in WAYS])
def test_exit_code(prepared_site: FakeSite, code: int, way: Way) -> None:
    done = way(prepared_site)
    assert done.exit_code == code, done.errors
    assert "Traceback" not in done.errors
    assert prepared_site.left() == []


def test_a_bug_leaves_its_traceback_in_a_log(prepared_site: FakeSite) -> None:
    done = bug_of_ours(prepared_site)
    said = done.paragraph("ci-run-gate")
    assert "a bug in this command: TypeError" in said
    assert "report it with that log" in said
    (log,) = prepared_site.workspace.logs.glob("internal-error-*.log")
    assert str(log) in said
    assert "Traceback (most recent call last)" in log.read_text()
    assert prepared_site.stage("run-gate")["exit_code"] == 70
