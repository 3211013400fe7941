"""The stages one by one in one workspace, as an operator calls them, on two shards."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.gates.access import read_access
from ci_scripts.verdict.read_stream import read_stream
from tests.fakes.left_behind import is_open
from tests.integration.gate_runs import ADDRESS_PAIRS, Run, configuration

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate

# Classes that all make ports: the check wants each shard to have seen some.
ALL_PORTS = r"^tempest\.api\.network\.test_ports\."


def _that_needs_its_shard(content: dict[str, Any]) -> None:
    content["driver"]["neutron_config"]["ml2_conf.ini"]["ml2_type_vlan"] = {
        "network_vlan_ranges": "physnet-of-{shard}:100:199"
    }
    content["gate"]["shards"] = 2


def _workers(run: Run) -> dict[str, int]:
    counts: dict[str, int] = {}
    for test in run.read("tests.json")["tests"]:
        counts[test["worker"]] = counts.get(test["worker"], 0) + 1
    return counts


def _ports(run: Run) -> list[int]:
    shards = read_access(run.workspace)
    urls = [url for shard in shards for url in (shard.keystone_url, shard.neutron_url, *shard.service_urls.values())]
    return [int(url.split(":")[2].split("/")[0]) for url in urls]


def test_each_stage_once_and_tempest_twice(
    make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, configuration(tmp_path, _that_needs_its_shard))
    run.prepare(driver_repository, "refs/changes/01/1/1")
    run.good("ci-install-driver")
    run.good("ci-start-gate")
    pids, ports = [service["pid"] for service in run.services()], _ports(run)
    assert len(pids) == len(ports) == 6
    for shard in (0, 1):
        options = (run.workspace.gate_dir / f"shard{shard}/neutron/driver-ml2_conf.ini").read_text()
        assert f"physnet-of-{shard}:100:199" in options

    run.good("ci-run-tempest", "--regex", ADDRESS_PAIRS, "--concurrency", 1, "--no-checks")
    first = [test.id for test in read_stream(run.workspace.stream).tests]
    assert first and all("AllowedAddressPair" in name for name in first)
    assert sorted(first) == sorted(run.selected())
    assert [service["pid"] for service in run.services()] == pids
    assert all(os.path.exists(f"/proc/{pid}") for pid in pids) and all(map(is_open, ports))

    run.good("ci-run-tempest", "--regex", ALL_PORTS, "--concurrency", 2)
    run.good("ci-stop-gate")
    run.good("ci-stop-gate")
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids) and not any(map(is_open, ports))
    assert {service["state"] for service in run.services()} == {"stopped"}

    assert "Verdict: SUCCESS" in run.good("ci-summarize-results")
    second, workers = run.tests(), _workers(run)
    assert sorted(second) == sorted(run.selected())
    assert set(second.values()) <= {"passed", "skipped"}
    assert not second.keys() & set(first)
    # Worker 0 is on shard 0, worker 1 on shard 1.
    assert workers["worker-0"] > 0 and workers["worker-1"] > 0
    assert {name for name in second if name.startswith("checks.")} == {
        f"checks.controller-holds-what-neutron-holds.shard{shard}" for shard in (0, 1)
    }
