"""ci-start-gate as it is installed, on a fake OpenStack."""

from __future__ import annotations

import configparser
import json

from tests.fakes.fake_openstack import FakeSite
from tests.fakes.left_behind import is_open, ports_of


def test_the_gate_stays_up_when_the_command_ends(prepared_site: FakeSite) -> None:
    done = prepared_site.command("ci-start-gate")
    assert done.exit_code == 0, done.errors
    access = prepared_site.workspace.gate_dir / "access.json"
    assert access.stat().st_mode & 0o777 == 0o600
    (shard,) = json.loads(access.read_text())["shards"]
    assert f"shard 0: Keystone {shard['keystone_url']} Neutron {shard['neutron_url']}" in done.errors
    ports = ports_of(prepared_site.folder)
    assert len(ports) == 2
    assert all(is_open(port) for port in ports)
    tempest = configparser.ConfigParser(interpolation=None)
    tempest.read(prepared_site.workspace.gate_dir / "shard0" / "tempest" / "etc" / "tempest.conf")
    assert tempest.get("identity", "uri_v3") == shard["keystone_url"]
    assert tempest.get("network", "public_network_id") == "id-of-networks"
    assert tempest.get("network-feature-enabled", "api_extensions") == "router,security-group"
    assert prepared_site.command("ci-stop-gate").exit_code == 0
    assert not any(is_open(port) for port in ports)
    assert not access.exists()


def test_the_driver_must_be_there_first(prepared_site: FakeSite) -> None:
    prepared_site.workspace.driver_json.unlink()
    done = prepared_site.command("ci-start-gate")
    assert done.exit_code == 2
    assert "run ci-install-driver first" in done.paragraph("ci-start-gate")


def test_a_service_that_is_late_is_waited_for(prepared_site: FakeSite) -> None:
    prepared_site.behave("keystone", listens_after=0.7)
    prepared_site.behave("neutron", listens_after=0.4)
    done = prepared_site.command("ci-start-gate")
    assert done.exit_code == 0, done.errors
    assert prepared_site.command("ci-stop-gate").exit_code == 0


def test_a_service_that_never_listens_has_a_limit(prepared_site: FakeSite) -> None:
    prepared_site.write_config(gate={"start_timeout_seconds": 1})
    prepared_site.behave("neutron", listens_after=600)
    done = prepared_site.command("ci-start-gate")
    assert done.exit_code == 3
    assert "neutron of shard 0 did not answer within gate.start_timeout_seconds" in done.paragraph("ci-start-gate")
    assert prepared_site.left() == []


def test_the_service_that_broke_is_named_not_the_one_that_is_waited_for(prepared_site: FakeSite) -> None:
    prepared_site.behave("keystone", listens_after=600)
    prepared_site.behave("neutron", exits=22, says="no application")
    done = prepared_site.command("ci-start-gate")
    assert done.exit_code == 3
    said = done.paragraph("ci-start-gate")
    assert said.startswith("ci-start-gate: neutron of shard 0 did not start: neutron (shard 0) ended by itself")
    assert "no application" in said
    assert prepared_site.left() == []
