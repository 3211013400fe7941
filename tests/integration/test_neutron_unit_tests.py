"""Neutron's own ML2 unit tests with the example driver, which talks to the real example controller."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gate_runs import EXAMPLES, NEUTRON, Run, configuration

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate

# Seventeen of the 1,590 tests that the regex of the example selects.
PART = r"\.test_plugin\.(TestMl2BasicGet|TestMl2V2HTTPResponse|TestExternalNetwork)\."


def _configuration(folder: Path, repository: Path, **unit_tests: Any) -> Path:
    def here(content: dict[str, Any]) -> None:
        project = content["projects"][NEUTRON]
        project["url"] = str(repository)
        project["patches"] = [str(EXAMPLES / patch) for patch in project["patches"]]
        content["unit_tests"]["exclude_list"] = str(EXAMPLES / content["unit_tests"]["exclude_list"])
        content["unit_tests"] |= {"regex": PART, "concurrency": 2, **unit_tests}

    return configuration(folder, here, "ci-unit-tests.yaml")


def _tested(run: Run, repository: Path, ref: str) -> tuple[int, int, str]:
    """Exit codes of ci-run-unit-tests and ci-summarize-results, and all that was said."""
    run.prepare(repository, ref, project=NEUTRON)
    tested = run.command("ci-run-unit-tests")
    summed = run.command("ci-summarize-results")
    return tested.exit_code, summed.exit_code, tested.output + summed.output


def test_a_harmless_change_passes_and_the_controller_heard_of_it(
    make_run: Callable[..., Run], neutron_repository: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, _configuration(tmp_path, neutron_repository))
    tested, summed, output = _tested(run, neutron_repository, "refs/changes/02/2/1")
    assert (tested, summed) == (0, 0), output
    verdict, tests = run.read("verdict.json"), run.tests()
    assert (verdict["outcome"], verdict["blame"]) == ("SUCCESS", "nobody")
    assert set(tests) == set(run.selected())
    assert sum(name.startswith("neutron.tests.unit.plugins.ml2.") for name in tests) == 17
    # The proof: Neutron's own words in each start of its plug-in, and what the controllers hold.
    (loaded,) = [item for item in verdict["proof"]["items"] if item["name"] == "driver loaded by Neutron"]
    assert loaded["ok"]
    assert "example in 17 of 17 starts" in loaded["text"]
    journals = [path.read_text() for path in sorted(run.workspace.logs.glob("check-*.log"))]
    assert len(journals) == 2
    assert all("refused: 0" in journal for journal in journals)
    assert not all("created: 0 networks" in journal for journal in journals)
    assert run.read("logs/driver.json")["mechanism_drivers"] == ["example"]
    assert "neutron @ file://" in run.workspace.packages_txt.read_text()


def test_a_change_that_breaks_the_driver_is_blamed(
    make_run: Callable[..., Run], neutron_repository: Path, tmp_path: Path
) -> None:
    # Drivers are not told a port's MAC address: nothing but a driver notices.
    part = r"\.test_plugin\.TestMl2(BasicGet|PortsV2\.test_create_port_json)"
    run = make_run(tmp_path, _configuration(tmp_path, neutron_repository, regex=part))
    tested, summed, output = _tested(run, neutron_repository, "refs/changes/03/3/1")
    assert (tested, summed) == (1, 1), output
    verdict = run.read("verdict.json")
    assert (verdict["outcome"], verdict["blame"], verdict["rule"]) == (
        "FAILURE",
        "change",
        "fails-only-with-the-change",
    )
    failed = [name for name, status in run.tests().items() if status == "failed"]
    assert any(name.endswith("TestMl2PortsV2.test_create_port_json") for name in failed)
    trials = sorted(path.name for path in run.workspace.trials.iterdir())
    assert trials == ["1-control", "2-change"]


def test_the_patch_applies_to_the_pinned_neutron_and_to_nothing_else_in_it(
    neutron_repository: Path, tmp_path: Path
) -> None:
    subprocess.run(["git", "clone", "--quiet", str(neutron_repository), str(tmp_path / "neutron")], check=True)
    patch = EXAMPLES / "patches" / "neutron-ml2-unit-tests.patch"
    subprocess.run(["git", "apply", "--index", str(patch)], cwd=tmp_path / "neutron", check=True)
    argv = ["git", "diff", "--cached", "--name-only"]
    done = subprocess.run(argv, cwd=tmp_path / "neutron", check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.split() == ["neutron/tests/unit/plugins/ml2/test_plugin.py"]
