"""ci-run-gate as it is installed, on a fake OpenStack: services, probes, hooks, and everything stopped."""

from __future__ import annotations

import json

import pytest

from tests.fakes.fake_openstack import CLASS, FakeSite

SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
CONTROLLER = {
    "name": "controller",
    "command": ["{python}", "-c", SERVER, "{port}"],
    "ready_url": "{service.controller.url}/",
}


def test_the_three_hooks_run_in_their_order(prepared_site: FakeSite) -> None:
    done = prepared_site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    record = prepared_site.stage("run-gate")
    assert [step["name"] for step in record["steps"]] == [
        "start the services",
        "ask the probes",
        "pre_test_hook",
        "gate_hook",
        "post_test_hook",
        "ask the probes again",
        "stop the gate",
    ]
    assert {step["ended"] for step in record["steps"]} == {"done"}
    for hook in ("pre_test_hook", "gate_hook", "post_test_hook"):
        assert (prepared_site.workspace.logs / f"{hook}.log").read_text()
    assert {service["state"] for service in prepared_site.services().values()} == {"stopped"}
    assert prepared_site.left() == []


def test_failed_tests_are_no_failure_of_the_gate(prepared_site: FakeSite) -> None:
    prepared_site.tests({f"{CLASS}.test_bad": "fail"})
    assert prepared_site.command("ci-run-gate").exit_code == 0
    assert prepared_site.stage("run-tempest")["exit_code"] == 1


def test_the_vendors_service_runs_for_each_shard_and_is_probed(prepared_site: FakeSite) -> None:
    prepared_site.write_config(
        gate={"shards": 2},
        services=[{**CONTROLLER, "per_shard": True}],
        probes=[{"name": "controller", "url": "{service.controller.url}/"}],
        checks=[{"name": "alive", "command": ["{python}", "-c", "import sys; print(sys.argv)", "{neutron.url}"]}],
    )
    done = prepared_site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    status = json.loads(prepared_site.workspace.gate_status.read_text())["services"]
    assert sorted((service["name"], service["shard"]) for service in status) == [
        (name, shard) for name in ("controller", "keystone", "neutron") for shard in (0, 1)
    ]
    urls = json.loads((prepared_site.workspace.gate_dir / "service-urls.json").read_text())["urls"]
    assert urls["0"]["controller"] != urls["1"]["controller"]
    selected = prepared_site.workspace.selected_tests.read_text().split()
    assert {"checks.alive.shard0", "checks.alive.shard1"} <= set(selected)


def test_its_time_is_limited(prepared_site: FakeSite) -> None:
    service = {**CONTROLLER, "ready_url": "{service.controller.url}/missing", "ready_timeout_seconds": 1}
    prepared_site.write_config(services=[service])
    done = prepared_site.command("ci-run-gate")
    assert done.exit_code == 3
    assert "the service controller was not ready after 1 s" in done.paragraph("ci-run-gate")
    assert "it answers 404" in done.paragraph("ci-run-gate")


@pytest.mark.parametrize("behaviour", ["crash", "exit 70"])
def test_a_tempest_that_dies(prepared_site: FakeSite, behaviour: str) -> None:
    prepared_site.tests({f"{CLASS}.test_a": "pass", f"{CLASS}.test_b": behaviour})
    done = prepared_site.command("ci-run-gate")
    assert done.exit_code == 3, done.errors
    assert "Tempest's worker-" in done.paragraph("ci-run-gate")
    assert prepared_site.command("ci-summarize-results").exit_code == 3
