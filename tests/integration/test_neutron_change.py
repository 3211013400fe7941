"""The main case: a change to Neutron is tested, the driver is held fixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.gate_runs import ADDRESS_PAIRS, NEUTRON, Run, configuration

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate


def _job(make_run: Callable[..., Run], folder: Path, repository: Path, ref: str) -> tuple[Run, int, str]:
    def here(content: dict[str, Any]) -> None:
        content["projects"][NEUTRON]["url"] = str(repository)

    config = configuration(folder, here, "ci-neutron.yaml")
    run = make_run(folder, config)
    done = run.job(repository, ref, "--shards", 1, "--regex", ADDRESS_PAIRS, project=NEUTRON)
    return run, done.exit_code, done.output


def _neutron_in(run: Run) -> str:
    (line,) = [line for line in run.workspace.packages_txt.read_text().splitlines() if line.startswith("neutron ")]
    return line


def test_a_harmless_change_passes_with_the_driver_held_fixed(
    make_run: Callable[..., Run], neutron_repository: Path, driver_repository: Path, tmp_path: Path
) -> None:
    run, exit_code, output = _job(make_run, tmp_path, neutron_repository, "refs/changes/02/2/1")
    assert exit_code == 0, output
    verdict, checkouts = run.read("verdict.json"), run.read("run.json")["checkouts"]
    assert (verdict["outcome"], verdict["blame"]) == ("SUCCESS", "nobody")
    assert verdict["proof"]["complete"]
    assert checkouts[NEUTRON]["commit"] in str(verdict["proof"])
    # The package index would give "neutron==29...": this one was built from the checkout, which has the change.
    assert " @ file://" in _neutron_in(run)
    installed = run.workspace.environments_dir / "openstack" / "lib"
    (file,) = installed.glob("python3*/site-packages/neutron/plugins/ml2/driver_context.py")
    assert '"""What a mechanism driver is told about a port."""' in file.read_text()
    driver = run.read("logs/driver.json")
    assert driver["commit"] == checkouts["example/networking-example"]["commit"]
    assert driver["distribution"] == "networking-example"


def test_a_change_that_breaks_the_driver_is_blamed(
    make_run: Callable[..., Run], neutron_repository: Path, tmp_path: Path
) -> None:
    run, exit_code, output = _job(make_run, tmp_path, neutron_repository, "refs/changes/03/3/1")
    assert exit_code == 1, output
    verdict = run.read("verdict.json")
    assert (verdict["outcome"], verdict["blame"]) == ("FAILURE", "change")
    assert verdict["proof"]["complete"]
    failed = [name for name, status in run.tests().items() if status == "failed"]
    assert any(name.startswith("tempest.") or "AllowedAddressPair" in name for name in failed)
    assert "mac_address" in (run.workspace.gate_logs / "shard0" / "neutron.log").read_text()
