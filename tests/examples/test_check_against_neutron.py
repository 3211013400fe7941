"""The check against a real controller and a cloud that can be told to misbehave."""

import json
import subprocess
import sys
import threading
import urllib.error
from pathlib import Path

import comparison
import pytest
from fake_cloud import Cloud, send

CHECK = Path(__file__).resolve().parents[2] / "examples" / "controller" / "check_against_neutron.py"


@pytest.fixture
def cloud(controller):
    """A cloud whose tests have created and deleted something of each kind, and left one of each."""
    cloud = Cloud(controller.url)
    for _ in range(2):
        network = cloud.add("networks", {})
        subnet = cloud.add("subnets", {"network_id": network["id"], "ip_version": 4, "cidr": "192.0.2.0/24"})
        port = cloud.add("ports", {"network_id": network["id"], "fixed_ips": [{"subnet_id": subnet["id"]}]})
    for kind, resource in (("ports", port), ("subnets", subnet), ("networks", network)):
        cloud.tell("DELETE", kind, cloud.resources[kind].pop(resource["id"]))
    yield cloud
    cloud.stop()


def check(cloud, *options, **variables):
    environment = {
        "OS_AUTH_URL": f"{cloud.url}/v3",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": "secret",
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "PYTHONDONTWRITEBYTECODE": "1",
        "http_proxy": "http://127.0.0.1:9",
        **variables,
    }
    command = [sys.executable, str(CHECK), "--controller", cloud.controller, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_all_is_well(cloud):
    before = json.dumps(cloud.resources)
    assert check(cloud, "--neutron", cloud.url) == (
        0,
        "the controller holds what Neutron holds, and followed every change\n",
    )
    assert json.dumps(cloud.resources) == before
    assert sum(method == "POST" for method, path in cloud.asked if "/v2.0/" in path) == 4


def test_neutron_is_found_in_the_catalog(cloud):
    assert check(cloud, OS_REGION_NAME="RegionOne")[0] == 0
    code, text = check(cloud, OS_REGION_NAME="Elsewhere")
    assert code == 3
    assert "--neutron" in text


def test_a_field_that_differs_is_named_with_both_values(cloud):
    (port,) = cloud.resources["ports"].values()
    port["mac_address"] = "fa:16:3e:00:00:02"
    code, text = check(cloud)
    assert code == 1
    assert (
        f"port {port['id']}: mac_address is 'fa:16:3e:00:00:02' in Neutron, 'fa:16:3e:00:00:01' in the controller"
        in text
    )


def test_what_only_one_side_has_is_named(cloud):
    (network,) = cloud.resources["networks"].values()
    (port_id,) = cloud.resources["ports"]
    send("DELETE", f"{cloud.controller}/networks/{network['id']}")
    del cloud.resources["ports"][port_id]
    code, text = check(cloud)
    assert code == 1
    assert f"network {network['id']} (''): Neutron has it, the controller does not" in text
    assert f"port {port_id} (''): the controller has it, Neutron does not" in text


def test_the_order_of_addresses_and_groups_is_no_difference(cloud):
    (subnet,) = cloud.resources["subnets"].values()
    (port,) = cloud.resources["ports"].values()
    subnet["allocation_pools"].reverse()
    port["security_groups"].reverse()
    assert check(cloud)[0] == 0


def test_ports_of_distributed_routers_are_not_compared(cloud):
    (port,) = cloud.resources["ports"].values()
    cloud.resources["ports"]["p9"] = {**port, "id": "p9", "device_owner": comparison.DISTRIBUTED}
    assert check(cloud)[0] == 0


def test_a_driver_that_sends_nothing_is_seen_although_the_cloud_is_empty(cloud, start_controller):
    cloud.resources = {kind: {} for kind in comparison.KINDS}
    cloud.controller = start_controller().url
    cloud.mirror = lambda *_: None
    code, text = check(cloud)
    assert code == 1
    assert "during the tests the controller never saw that ports were created" in text
    assert "during the tests the controller never saw that networks were deleted" in text
    assert "after creating: port p4 is not in the controller" in text
    assert not any(cloud.resources.values())


def test_a_driver_that_sends_one_address_only_is_seen(cloud):
    def mirror(method, kind, resource):
        cloud.tell(method, kind, {**resource, "fixed_ips": resource.get("fixed_ips", [])[:1]})

    cloud.mirror = mirror
    code, text = check(cloud)
    assert code == 1
    assert "after creating: port" in text
    assert "'2001:db8::9'}] in Neutron, [{'subnet_id':" in text


def test_a_driver_that_forgets_deletes_is_seen(cloud):
    cloud.mirror = lambda method, *rest: cloud.tell(method, *rest) if method == "PUT" else None
    code, text = check(cloud)
    assert code == 1
    assert text.count("is still in the controller") == 4


def test_a_driver_that_forgets_updates_is_seen(cloud):
    known = set()

    def mirror(method, kind, resource):
        if method == "DELETE" or resource["id"] not in known:
            known.add(resource["id"])
            cloud.tell(method, kind, resource)

    cloud.mirror = mirror
    code, text = check(cloud)
    assert code == 1
    assert text.count("after renaming: ") == 4


def test_a_refused_request_is_a_difference(cloud):
    with pytest.raises(urllib.error.HTTPError):
        send("PUT", f"{cloud.controller}/ports/p1", {"id": "p1"})
    code, text = check(cloud)
    assert code == 1
    assert "the controller refused 1 request(s), the last one PUT /ports/p1: network_id is missing" in text


def test_a_create_that_fails_is_a_difference_and_the_rest_is_removed(cloud):
    cloud.overrides["POST", "/v2.0/ports"] = (500, {}, {"NeutronError": {"message": "Request Failed"}})
    before = json.dumps(cloud.resources)
    code, text = check(cloud)
    assert code == 1
    assert "while changing: Neutron answered POST /v2.0/ports with 500" in text
    assert "Request Failed" in text
    assert json.dumps(cloud.resources) == before


def test_a_create_that_was_done_but_not_answered_is_removed_all_the_same(cloud):
    add = cloud.add

    def add_then_break(kind, attributes):
        add(kind, attributes)
        cloud.overrides["POST", f"/v2.0/{kind}"] = (201, {}, b"<html>")
        return None

    cloud.add = add_then_break
    before = json.dumps(cloud.resources)
    code, text = check(cloud)
    assert code == 3
    assert "'network'" in text
    assert json.dumps(cloud.resources) == before


def test_a_delete_that_fails_is_a_difference(cloud):
    cloud.overrides["DELETE", "/v2.0/networks/n4"] = (409, {}, {"NeutronError": {"message": "in use"}})
    code, text = check(cloud)
    assert code == 1
    assert "while deleting: Neutron answered DELETE /v2.0/networks/n4 with 409" in text


def test_a_controller_that_dies_meanwhile_is_not_the_drivers_fault(cloud, controller):
    def die(method, kind, _resource):
        controller.process.kill()
        controller.process.wait()
        cloud.overrides["POST", f"/v2.0/{kind}"] = (503, {}, {"NeutronError": {}})

    cloud.mirror = die
    code, text = check(cloud)
    assert code == 3
    assert "cannot compare: GET " in text
    assert not [key for key, network in cloud.resources["networks"].items() if network["name"].startswith("ci-check")]


@pytest.mark.parametrize(
    "variables, problem",
    [
        ({"OS_PASSWORD": "wrong"}, "Keystone gave no token"),
        ({"OS_PASSWORD": "", "OS_USERNAME": ""}, "not set: OS_USERNAME, OS_PASSWORD"),
        ({"OS_AUTH_URL": "http://127.0.0.1:1/v3"}, "refused"),
        ({"OS_AUTH_URL": "nonsense"}, "unknown url type"),
    ],
)
def test_without_a_token_it_cannot_ask(cloud, variables, problem):
    code, text = check(cloud, **variables)
    assert code == 3
    assert problem in text


@pytest.mark.parametrize(
    "answer, problem",
    [
        ((500, {}, {}), "was answered with 500"),
        ((200, {}, b"<html>"), "was not answered with JSON"),
        ((200, {}, {"ports": None}), "has no list 'ports'"),
        ((200, {}, ["ports"]), "has no list 'ports'"),
    ],
)
def test_a_neutron_that_gives_no_list_cannot_be_asked(cloud, answer, problem):
    cloud.overrides["GET", "/v2.0/ports"] = answer
    code, text = check(cloud)
    assert code == 3
    assert problem in text


def test_a_controller_that_is_down_cannot_be_asked(cloud, controller):
    controller.process.kill()
    controller.process.wait()
    code, text = check(cloud)
    assert code == 3
    assert f"cannot compare: GET {cloud.controller}/journal" in text


def test_an_answer_nobody_thought_of_is_not_the_drivers_fault(cloud):
    cloud.overrides["POST", "/v3/auth/tokens"] = (201, {"X-Subject-Token": "token"}, {"token": {"catalog": ["?"]}})
    command = [sys.executable, str(CHECK), "--controller", cloud.controller]
    variables = {"OS_AUTH_URL": cloud.url, "OS_USERNAME": "a", "OS_PASSWORD": "b", "OS_PROJECT_NAME": "c"}
    assert subprocess.run(command, env=variables, capture_output=True, timeout=60).returncode == 3


def test_silence_ends_with_the_time_out(cloud):
    release = threading.Event()
    cloud.answer = lambda *_: (release.wait(20), {}, None)
    try:
        code, text = check(cloud, "--timeout", "0.3")
    finally:
        cloud.answer = lambda *_: (200, {}, None)
        release.set()
    assert code == 3
    assert "timed out" in text


def test_segments_of_a_network_with_several_are_expected_in_their_order():
    segments = [
        {"provider:network_type": kind, "provider:physical_network": None, "provider:segmentation_id": number}
        for kind, number in (("vxlan", 1), ("geneve", 2))
    ]
    document = comparison.expected_document("networks", {"id": "n1", "segments": segments})
    assert [segment["network_type"] for segment in document["segments"]] == ["vxlan", "geneve"]


NEUTRON_LOG = """\
2026-01-01 00:00:01.000 7 INFO neutron.tests.unit.plugins.ml2.drivers.mechanism_logger [-] create_network_postcommit \
called with network settings {} (original settings None) and network segments []
2026-01-01 00:00:02.000 7 INFO neutron.tests.unit.plugins.ml2.drivers.mechanism_logger [-] delete_network_postcommit \
called with network settings {} (original settings None) and network segments []
"""


def test_only_what_neutron_did_is_demanded_of_the_journal(cloud, start_controller, tmp_path):
    """A shard whose tests made no port cannot have told of one."""
    cloud.resources = {kind: {} for kind in comparison.KINDS}
    cloud.controller = start_controller().url
    network = cloud.add("networks", {})
    cloud.tell("DELETE", "networks", cloud.resources["networks"].pop(network["id"]))
    log = tmp_path / "neutron.log"
    log.write_text(NEUTRON_LOG)
    code, text = check(cloud, "--neutron-log", str(log))
    assert code == 0, text
    cloud.controller = start_controller().url
    cloud.mirror = lambda *_: None
    log.write_text(NEUTRON_LOG.replace("network_postcommit", "port_postcommit"))
    code, text = check(cloud, "--neutron-log", str(log))
    assert code == 1
    assert "never saw that ports were created" in text and "networks were created" not in text


def test_a_log_that_is_not_there_is_no_difference(cloud, tmp_path):
    code, text = check(cloud, "--neutron-log", str(tmp_path / "none.log"))
    assert code == 3
    assert "none.log" in text
