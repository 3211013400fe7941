"""The stages one by one in one workspace, as an operator calls them, on two shards."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.gates.access import ShardAccess, read_access
from ci_scripts.gates.local.api import Session
from ci_scripts.verdict.read_stream import read_stream
from tests.fakes.left_behind import is_open
from tests.integration.gate_runs import ADDRESS_PAIRS, Run, configuration, environment_of_user

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


def _assert_tempest_is_content(run: Run, shard: ShardAccess) -> None:
    """``tempest verify-config`` prints what it would change; the extensions are those that the API gives now."""
    configured = Path(shard.tempest_dir) / "etc" / "tempest.conf"
    text = configured.read_text()
    session = Session(shard.keystone_url, shard.neutron_url)
    session.log_in()
    aliases = session.extensions()
    session.http.close()
    (listed,) = [line for line in text.splitlines() if line.startswith("api_extensions")]
    assert sorted(listed.partition("=")[2].strip().split(",")) == aliases
    verified = subprocess.run(
        [str(run.workspace.environments_dir / "tempest/bin/tempest"), "verify-config", "-o", "wanted.conf"],
        cwd=run.folder,
        env={**environment_of_user(), "TEMPEST_CONFIG_DIR": str(configured.parent), "HOME": str(run.folder)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (verified.returncode, verified.stdout.strip()) == (0, ""), verified.stderr
    assert configured.read_text() == text


def test_each_stage_once_and_tempest_twice(
    make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, configuration(tmp_path, _that_needs_its_shard))
    run.prepare(driver_repository, "refs/changes/01/1/1")
    run.good("ci-install-driver")
    run.good("ci-start-gate")
    pids, ports = [service["pid"] for service in run.services()], _ports(run)
    assert len(pids) == len(ports) == 6
    for index in (0, 1):
        options = (run.workspace.gate_dir / f"shard{index}/neutron/driver-ml2_conf.ini").read_text()
        assert f"physnet-of-{index}:100:199" in options

    for shard in read_access(run.workspace):
        _assert_tempest_is_content(run, shard)

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
