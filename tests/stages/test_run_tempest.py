"""ci-run-tempest as it is installed, on a fake OpenStack: what runs, the stream, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ci_scripts.verdict.read_stream import read_stream
from tests.fakes.fake_openstack import CLASS, FakeSite

MANY = {f"{CLASS}{letter}.test_{number}": "pass" for letter in "ABC" for number in range(4)}


@pytest.fixture
def site(prepared_site: FakeSite) -> Iterator[FakeSite]:
    """With a gate that is up."""
    started = prepared_site.command("ci-start-gate")
    assert started.exit_code == 0, started.errors
    yield prepared_site
    assert prepared_site.command("ci-stop-gate").exit_code == 0


def statuses(site: FakeSite) -> dict[str, str]:
    content = read_stream(site.workspace.stream)
    assert content.problems == []
    return {test.id: test.status for test in content.tests}


def test_every_outcome(site: FakeSite) -> None:
    names = ["pass", "fail", "skip", "xfail", "uxsuccess"]
    site.tests({f"{CLASS}.test_{name}": name for name in names})
    done = site.command("ci-run-tempest")
    assert done.exit_code == 1
    assert "2 tests failed" in done.paragraph("ci-run-tempest")
    assert f"FAILED {CLASS}.test_fail" in done.errors
    words = dict(zip(names, ["passed", "failed", "skipped", "passed", "failed"], strict=True))
    assert statuses(site) == {f"{CLASS}.test_{name}": word for name, word in words.items()}


@pytest.mark.parametrize("workers", ["1", "3"])
def test_every_test_runs_once_and_classes_stay_together(site: FakeSite, workers: str) -> None:
    site.tests(MANY)
    assert site.command("ci-run-tempest", "--concurrency", workers).exit_code == 0
    content = read_stream(site.workspace.stream)
    assert sorted(test.id for test in content.tests) == sorted(MANY)
    used = {(test.id.rpartition(".")[0], test.worker) for test in content.tests}
    assert len(used) == 3
    assert len({worker for _, worker in used}) == int(workers)


def test_more_workers_than_classes(site: FakeSite) -> None:
    assert site.command("ci-run-tempest", "--concurrency", "6").exit_code == 0
    assert len(statuses(site)) == 3


def test_what_is_given_by_hand_wins(site: FakeSite) -> None:
    excluded = site.folder / "skip.txt"
    excluded.write_text("test_second  # not supported\n")
    done = site.command("ci-run-tempest", "--regex", r"FakeTest\.", "--exclude-list", str(excluded))
    assert done.exit_code == 0, done.errors
    assert list(statuses(site)) == [f"{CLASS}.test_first"]
    assert site.workspace.selected_tests.read_text() == f"{CLASS}.test_first\n"


def test_a_bad_regex_by_hand(site: FakeSite) -> None:
    done = site.command("ci-run-tempest", "--regex", "(")
    assert done.exit_code == 2
    assert "--regex '(' is not a regular expression" in done.paragraph("ci-run-tempest")


def test_checks_are_tests(site: FakeSite) -> None:
    bad = "import os, sys; print(os.environ['OS_USERNAME']); sys.exit(4)"
    checks = [
        {"name": "good", "command": ["{python}", "-c", "pass"]},
        {"name": "bad", "command": ["{python}", "-c", bad]},
    ]
    site.write_config(checks=checks)
    done = site.command("ci-run-tempest")
    assert done.exit_code == 1, done.errors
    found = {test.id: test for test in read_stream(site.workspace.stream).tests}
    assert (found["checks.good"].status, found["checks.bad"].status) == ("passed", "failed")
    assert "admin\n\nexit code 4" in (found["checks.bad"].text or "")
    assert (site.workspace.logs / "check-bad-0.log").read_text() == "admin\n"
    assert site.command("ci-run-tempest", "--no-checks").exit_code == 0
    assert "checks" not in site.workspace.selected_tests.read_text()


def test_a_worker_that_crashes_keeps_what_others_found(site: FakeSite) -> None:
    site.tests({f"{CLASS}.test_a": "pass", f"{CLASS}.test_b": "crash", f"{CLASS}.test_c": "pass"})
    done = site.command("ci-run-tempest", "--concurrency", "1")
    assert done.exit_code == 3
    assert "worker-0 ended with exit code -9" in done.paragraph("ci-run-tempest")
    found = {test.id: test.status for test in read_stream(site.workspace.stream).tests}
    assert found == {f"{CLASS}.test_a": "passed", f"{CLASS}.test_b": "incomplete"}


def test_a_runner_that_leaves_a_test_out(site: FakeSite) -> None:
    site.tests({f"{CLASS}.test_a": "exit 0", f"{CLASS}.test_b": "pass"})
    done = site.command("ci-run-tempest", "--concurrency", "1")
    assert done.exit_code == 3, done.errors
    assert "have no outcome" in done.paragraph("ci-run-tempest")


def test_no_gate_is_running(prepared_site: FakeSite) -> None:
    done = prepared_site.command("ci-run-tempest")
    assert done.exit_code == 2
    assert "no gate is running in this workspace" in done.paragraph("ci-run-tempest")


def test_old_results_do_not_pass_for_new_ones(site: FakeSite) -> None:
    assert site.command("ci-run-tempest").exit_code == 0
    site.tests({"import errors": "broken"})
    assert site.command("ci-run-tempest").exit_code == 3
    assert not site.workspace.stream.exists()
    assert json.loads((site.workspace.stages_dir / "run-tempest.json").read_text())["exit_code"] == 3
