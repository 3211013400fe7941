"""A run without a change, by the installed commands on the stand-in of OpenStack: prepared, run, judged, kept."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ci_scripts.change import change_from_record
from ci_scripts.history import ControlRecord, history_url, open_history
from ci_scripts.settings import load_settings
from tests.fakes.fake_openstack import CLASS, PROJECT, FakeSite, driver_files
from tests.repositories import ENVIRONMENT, Remote, git

GOOD, BAD = f"{CLASS}.test_good", f"{CLASS}Other.test_bad"
JOB = "example-test-job"


def prepared(site: FakeSite, *more: str) -> dict[str, Any]:
    done = site.command("ci-prepare-gate", "--config", str(site.config), "--control-run", *more)
    assert done.exit_code == 0, done.errors
    return dict(site.workspace.read_run())


def newest_control(site: FakeSite, branch: str = "master", job: str = JOB) -> ControlRecord | None:
    settings = load_settings(site.config, environment=ENVIRONMENT)
    with open_history(history_url(settings, ENVIRONMENT), timeout=10) as history:
        return history.newest_control(job, branch, datetime.now(UTC) - timedelta(hours=1))


def own_history(site: FakeSite, **sections: Any) -> Remote:
    """A driver and a history of this test's own; change 1,1 breaks the driver."""
    breaks = driver_files(module=f"class FakeDriver:\n    behaviour = {{{GOOD!r}: 'fail'}}\n")
    url = f"sqlite:///{site.folder / 'history.sqlite'}"
    return site.use_driver(driver_files(), breaks, history={"url": url}, **sections)


def test_the_tip_is_tested_proved_and_kept_as_a_control(fake_site: FakeSite) -> None:
    remote = own_history(fake_site)
    fake_site.tests({GOOD: "driver"})
    run = prepared(fake_site, "--job", JOB)
    tip = remote.tip()
    assert run["control"] is True and run["trigger"] == "control-run"
    assert (run["change"]["number"], run["change"]["patchset"]) == (None, None)
    assert (run["change"]["branch"], run["change"]["revision"]) == ("master", tip)
    assert (run["checkouts"][PROJECT]["commit"], run["checkouts"][PROJECT]["merged"]) == (tip, [])
    assert (run["job"], run["also"], run["left_out"]) == (JOB, [], [])
    assert change_from_record(run).is_control
    environment = fake_site.workspace.environment_sh.read_text()
    assert f"ZUUL_COMMIT={tip}" in environment and "ZUUL_CHANGE=" not in environment
    assert "--control-run --project" in fake_site.workspace.reproduce_sh.read_text()
    assert fake_site.command("ci-run-gate").exit_code == 0
    config = ("--config", str(fake_site.config))
    done = fake_site.command("ci-summarize-results", *config, "--record")
    assert done.exit_code == 0, done.errors
    verdict = fake_site.verdict()
    assert (verdict["outcome"], verdict["rule"], verdict["history"]) == ("SUCCESS", "passed", "")
    proof = {item["name"]: item["text"] for item in verdict["proof"]["items"]}
    assert f"{PROJECT} at {tip} holds {tip}" in proof["patch set under test"]
    control = newest_control(fake_site)
    assert control is not None and control.outcome == "SUCCESS"
    assert control.passed == {GOOD} and not control.failed


def test_what_fails_without_a_change_is_nobodys_change(fake_site: FakeSite) -> None:
    own_history(fake_site, verdict={"control_run": "always"})
    fake_site.tests({GOOD: "pass", BAD: "fail"})
    prepared(fake_site, "--job", JOB)
    assert fake_site.command("ci-run-gate").exit_code == 0
    assert fake_site.trials() == [], "it is the control itself"
    done = fake_site.command("ci-summarize-results", "--config", str(fake_site.config), "--record")
    verdict = fake_site.verdict()
    assert done.exit_code == verdict["exit_code"] == 3, done.errors
    assert (verdict["rule"], verdict["blame"], verdict["outcome"]) == ("control-run-failed", "ci", "ERROR")
    control = newest_control(fake_site)
    assert control is not None and control.failed == {BAD} and control.passed == {GOOD}


def test_an_earlier_good_control_blames_no_change_either(fake_site: FakeSite) -> None:
    own_history(fake_site)
    for how, code in (("pass", 0), ("fail", 3)):
        fake_site.tests({GOOD: "pass", BAD: how})
        prepared(fake_site, "--job", JOB)
        assert fake_site.command("ci-run-gate").exit_code == 0
        # As if the gate were of a kind that has no trials, for which the history speaks.
        run = fake_site.workspace.read_run()
        fake_site.workspace.run_json.write_text(json.dumps({**run, "gate": {"kind": "devstack"}}))
        done = fake_site.command("ci-summarize-results", "--config", str(fake_site.config), "--record")
        assert done.exit_code == code, done.errors
    assert fake_site.verdict()["rule"] == "control-run-failed"


def test_the_trusted_side_says_that_it_is_a_control(fake_site: FakeSite) -> None:
    own_history(fake_site)
    fake_site.tests({GOOD: "pass"})
    prepared(fake_site)
    assert fake_site.command("ci-run-gate").exit_code == 0
    node = fake_site.folder / "node"
    shutil.copytree(fake_site.workspace.root, node, symlinks=True)
    trusted = ("--config", str(fake_site.config), "--from", str(node), "--job", JOB, "--record")
    where = ("--workspace", str(fake_site.folder / "trusted"))
    done = fake_site.command("ci-summarize-results", *trusted, *where, "--control-run")
    assert done.exit_code == 0, done.errors
    control = newest_control(fake_site)
    assert control is not None and control.outcome == "SUCCESS"
    told = fake_site.command("ci-report-to-gerrit", "--config", str(fake_site.config), *where)
    assert told.exit_code in (2, 4) and "Traceback" not in told.errors


def test_a_node_cannot_make_its_run_a_control(fake_site: FakeSite) -> None:
    own_history(fake_site)
    fake_site.tests({GOOD: "pass"})
    prepared(fake_site)
    assert fake_site.command("ci-run-gate").exit_code == 0
    node = fake_site.folder / "node"
    shutil.copytree(fake_site.workspace.root, node, symlinks=True)
    trusted = ["--config", str(fake_site.config), "--from", str(node), "--job", JOB, "--record"]
    change = ["--change", "1,1", "--project", PROJECT, "--url", fake_site.index.driver.url]
    done = fake_site.command("ci-summarize-results", *trusted, "--workspace", str(fake_site.folder / "t"), *change)
    assert done.exit_code == 3
    verdict = json.loads((fake_site.folder / "t" / "verdict.json").read_text())
    assert verdict["rule"] == "other-change"
    assert "run.json says a control run, the trigger a run of a change" in " ".join(verdict["reasons"])
    assert newest_control(fake_site) is None
    # Nor where nobody names a change.
    fake_site.command("ci-summarize-results", *trusted, "--workspace", str(fake_site.folder / "u"))
    assert newest_control(fake_site) is None


def test_another_branch_and_project_are_taken(fake_site: FakeSite) -> None:
    remote = own_history(fake_site)
    remote.branch("stable/2026.1")
    git(remote.folder, "checkout", "--quiet", "stable/2026.1")
    stable = remote.commit({"only-here": "1"}, branch="stable/2026.1")
    git(remote.folder, "checkout", "--quiet", "master")
    flags = ("--config", str(fake_site.config), "--branch", "stable/2026.1", "--project", PROJECT)
    done = fake_site.command("ci-prepare-gate", "--control-run", *flags)
    assert done.exit_code == 0, done.errors
    run = fake_site.workspace.read_run()
    assert (run["change"]["branch"], run["change"]["revision"]) == ("stable/2026.1", stable)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--change", "1,1"], "--change cannot go with --control-run"),
        (["--ref", "refs/heads/master"], "--ref cannot go with --control-run"),
        (["--project", "example/other"], "'example/other' is not tested here"),
        (["--branch", "../x"], "'..'"),
        (["--job", "a b"], "is not one plain word"),
    ],
)
def test_what_makes_no_control_run_is_refused(fake_site: FakeSite, words: list[str], said: str) -> None:
    done = fake_site.command("ci-prepare-gate", "--config", str(fake_site.config), "--control-run", *words)
    assert done.exit_code == 2, done.errors
    assert said in done.errors and "Traceback" not in done.errors


def test_a_dry_run_says_what_it_would_check_out(fake_site: FakeSite) -> None:
    done = fake_site.command("ci-prepare-gate", "--config", str(fake_site.config), "--control-run", "--dry-run")
    assert done.exit_code == 0, done.errors
    assert f"control run of {PROJECT} for master" in done.output
    assert not fake_site.workspace.run_json.exists()
