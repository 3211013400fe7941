"""ci-run-job on the example driver's changes: each leads to what networking_example_changes.py says."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gate_runs import ADDRESS_PAIRS, Run, environment_of_user

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate

SECONDS = 120
CHECK = "checks.controller-holds-what-neutron-holds"


def _bash(*arguments: object) -> subprocess.CompletedProcess[str]:
    argv = ["bash", *map(str, arguments)]
    return subprocess.run(argv, env=environment_of_user(), capture_output=True, text=True, timeout=SECONDS)


def _proved(verdict: dict[str, Any]) -> dict[str, bool]:
    return {item["name"]: item["ok"] for item in verdict["proof"]["items"]}


def test_a_harmless_change_passes(make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path)
    done = run.job(driver_repository, "refs/changes/01/1/1")
    assert done.exit_code == 0, done.output
    verdict, workspace = run.read("verdict.json"), run.workspace
    assert (verdict["outcome"], verdict["blame"], verdict["exit_code"]) == ("SUCCESS", "nobody", 0)
    assert verdict["proof"]["complete"]
    assert set(_proved(verdict)) >= {"patch set under test", "driver installed", "driver loaded by Neutron"}
    tests = run.tests()
    assert sorted(tests) == sorted(run.selected())
    assert sum(status == "passed" for status in tests.values()) >= 40
    assert "failed" not in tests.values()
    page = (workspace.report_dir / "index.html").read_text()
    assert "SUCCESS" in page and "networking-example" in page
    assert len(list(ElementTree.parse(workspace.report_dir / "junit.xml").iter("testcase"))) == len(tests)
    assert "NetworksTest" in workspace.testr_results.read_text()
    assert "networking-example" in workspace.packages_txt.read_text()
    _assert_scripts_are_usable(run)


def _assert_scripts_are_usable(run: Run) -> None:
    reproduce = run.workspace.reproduce_sh
    assert _bash("-n", reproduce).returncode == 0
    assert "refs/changes/01/1/1" in reproduce.read_text()
    sourced = _bash("-eu", "-c", '. "$1"; env', "bash", run.workspace.environment_sh)
    assert sourced.returncode == 0, sourced.stderr
    assert "networking-example" in sourced.stdout


def test_a_change_that_sends_wrong_data_is_blamed_though_the_api_tests_pass(
    make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path)
    done = run.job(driver_repository, "refs/changes/04/4/1", "--shards", 1, "--regex", ADDRESS_PAIRS)
    assert done.exit_code == 1, done.output
    verdict, tests = run.read("verdict.json"), run.tests()
    assert (verdict["outcome"], verdict["blame"]) == ("FAILURE", "change")
    assert [name for name, status in tests.items() if status == "failed"] == [CHECK]
    assert sum(status == "passed" for status in tests.values()) >= 3
    assert verdict["proof"]["complete"]


@pytest.mark.parametrize(
    ("ref", "outcome", "words"),
    [
        ("refs/changes/05/5/1", "MERGER_FAILURE", "options.py"),
        ("refs/changes/06/6/1", "SKIPPED", "README.md"),
    ],
    ids=["merge-conflict", "documentation"],
)
def test_a_change_that_cannot_be_tested_is_nobodys_fault(
    make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path, ref: str, outcome: str, words: str
) -> None:
    run = make_run(tmp_path)
    done = run.job(driver_repository, ref)
    assert done.exit_code == 4, done.output
    verdict = run.read("verdict.json")
    assert (verdict["outcome"], verdict["blame"], verdict["exit_code"]) == (outcome, "nobody", 4)
    assert words in " ".join(verdict["reasons"])
    assert not run.workspace.stream.exists()
