import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CONTROLLER = Path(__file__).resolve().parents[2] / "examples" / "controller" / "controller.py"
NETWORK = {
    "id": "n1",
    "project_id": "",
    "name": "net",
    "admin_state_up": True,
    "mtu": 1450,
    "external": False,
    "segments": [],
}
SUBNET = {
    "id": "s1",
    "network_id": "n1",
    "project_id": "t1",
    "name": "",
    "ip_version": 6,
    "cidr": "2001:db8::/64",
    "gateway_ip": None,
    "enable_dhcp": False,
    "allocation_pools": [],
    "dns_nameservers": [],
    "host_routes": [],
}
PORT = {
    "id": "p1",
    "network_id": "n1",
    "project_id": "t1",
    "name": "",
    "admin_state_up": True,
    "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": [{"subnet_id": "s1", "ip_address": "2001:db8::5"}, {"subnet_id": "s2", "ip_address": "192.0.2.5"}],
    "device_id": "",
    "device_owner": "",
    "host": "",
    "vnic_type": "normal",
    "security_groups": [],
}


class Client:
    """One kept connection."""

    def __init__(self, url):
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)

    def ask(self, method, path, body=None):
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        self.connection.request(method, path, data)
        answer = self.connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None


@pytest.fixture
def client(controller):
    return Client(controller.url)


def test_a_document_is_created_replaced_shown_and_deleted(client):
    assert client.ask("PUT", "/networks/n1", NETWORK) == (201, NETWORK)
    assert client.ask("PUT", "/networks/n1", {**NETWORK, "name": "new"})[0] == 200
    assert client.ask("GET", "/networks/n1") == (200, {**NETWORK, "name": "new"})
    assert client.ask("GET", "/networks") == (200, {"networks": [{**NETWORK, "name": "new"}]})
    assert client.ask("DELETE", "/networks/n1") == (204, None)
    assert client.ask("GET", "/networks/n1")[0] == 404
    assert client.ask("DELETE", "/networks/n1")[0] == 404


def test_the_journal_counts_by_kind(client):
    for path, document in (
        ("/networks/n1", NETWORK),
        ("/subnets/s1", SUBNET),
        ("/ports/p1", PORT),
        ("/ports/p1", PORT),
    ):
        client.ask("PUT", path, document)
    client.ask("DELETE", "/ports/p1")
    client.ask("DELETE", "/ports/p1")
    assert client.ask("GET", "/journal")[1] == {
        "created": {"networks": 1, "subnets": 1, "ports": 1},
        "updated": {"networks": 0, "subnets": 0, "ports": 1},
        "deleted": {"networks": 0, "subnets": 0, "ports": 1},
        "refused": 0,
        "refusals": [],
    }


@pytest.mark.parametrize("kind, document", [("networks", NETWORK), ("subnets", SUBNET), ("ports", PORT)])
def test_every_field_must_be_there(client, kind, document):
    for field in document:
        body = {key: value for key, value in document.items() if key != field}
        status, answer = client.ask("PUT", f"/{kind}/{document['id']}", body)
        assert (status, answer) == (400, {"error": [f"{field} is missing"]})
    assert client.ask("GET", f"/{kind}")[1] == {kind: []}
    assert client.ask("GET", "/journal")[1]["refused"] == len(document)


@pytest.mark.parametrize(
    "path, body, problem",
    [
        ("/networks/n1", b"{", "not JSON"),
        ("/networks/n1", b"\xff", "not JSON"),
        ("/networks/n1", ["n1"], "not a JSON object"),
        ("/networks/n2", NETWORK, "not the one of the URL"),
        ("/networks/n1", {**NETWORK, "mtu": True}, "mtu has the wrong type bool"),
        ("/networks/n1", {**NETWORK, "name": None}, "name has the wrong type NoneType"),
        ("/networks/n1", {**NETWORK, "colour": 1}, "colour is unknown"),
        ("/subnets/s1", {**SUBNET, "cidr": "2001:db8::/200"}, "cidr"),
        ("/subnets/s1", {**SUBNET, "ip_version": 4}, "does not fit"),
        ("/ports/p1", {**PORT, "mac_address": "fa:16"}, "mac_address"),
        ("/ports/p1", {**PORT, "fixed_ips": [{"subnet_id": "s1"}]}, "no valid ip_address"),
        ("/ports/p1", {**PORT, "fixed_ips": ["2001:db8::5"]}, "no valid ip_address"),
    ],
)
def test_a_bad_body_is_refused_and_noted(client, path, body, problem):
    status, answer = client.ask("PUT", path, body)
    assert status == 400
    assert problem in answer["error"][0]
    (refusal,) = client.ask("GET", "/journal")[1]["refusals"]
    assert (refusal["method"], refusal["path"], refusal["problems"]) == ("PUT", path, answer["error"])


def test_a_deleted_subnet_takes_its_addresses_off_the_ports(client):
    client.ask("PUT", "/subnets/s1", SUBNET)
    client.ask("PUT", "/ports/p1", PORT)
    client.ask("DELETE", "/subnets/s1")
    assert client.ask("GET", "/ports/p1")[1]["fixed_ips"] == [{"subnet_id": "s2", "ip_address": "192.0.2.5"}]


def test_a_connection_is_kept_also_after_a_refusal(client):
    client.ask("PUT", "/networks/n1", NETWORK)
    port = client.connection.sock.getsockname()[1]
    client.ask("PUT", "/nowhere/n1", NETWORK)
    client.ask("POST", "/networks", NETWORK)
    assert client.ask("GET", "/networks/n1")[0] == 200
    assert client.connection.sock.getsockname()[1] == port


@pytest.mark.parametrize("header", ["Content-Length: -5", "Content-Length: 99999999", "Transfer-Encoding: chunked"])
def test_a_body_without_an_honest_length_ends_the_connection(controller, header):
    with socket.create_connection(("127.0.0.1", urlsplit(controller.url).port), timeout=10) as connection:
        connection.sendall(f"PUT /networks/n1 HTTP/1.1\r\nHost: c\r\n{header}\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.split()[1] in (b"411", b"413")
    assert b"Connection: close" in answer


def test_many_clients_at_once(controller):
    def work(number):
        client = Client(controller.url)
        for step in range(20):
            key = f"n{number}-{step}"
            client.ask("PUT", f"/networks/{key}", {**NETWORK, "id": key})
            client.ask("DELETE", f"/networks/{key}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal = Client(controller.url).ask("GET", "/journal")[1]
    assert (journal["created"]["networks"], journal["deleted"]["networks"]) == (160, 160)


def test_sigterm_stops_it_while_connections_are_open(controller, client):
    assert client.ask("GET", "/health") == (200, {"status": "ok"})
    controller.process.send_signal(signal.SIGTERM)
    assert controller.process.wait(timeout=5) == 0
    with pytest.raises(ConnectionRefusedError):
        Client(controller.url).ask("GET", "/health")


def test_the_state_file_survives_the_process(start_controller, tmp_path):
    state = tmp_path / "state.json"
    first = start_controller("--state-file", str(state))
    Client(first.url).ask("PUT", "/networks/n1", NETWORK)
    Client(first.url).ask("PUT", "/networks/n2", {})
    first.process.kill()
    first.process.wait()
    second = Client(start_controller("--state-file", str(state)).url)
    assert second.ask("GET", "/networks")[1] == {"networks": [NETWORK]}
    journal = second.ask("GET", "/journal")[1]
    assert (journal["created"]["networks"], journal["refused"]) == (1, 1)


def _fails_to_start(*options):
    done = subprocess.run(
        [sys.executable, str(CONTROLLER), *options],
        capture_output=True,
        text=True,
        timeout=30,
    )
    return done.returncode, done.stderr


def test_a_damaged_state_file_is_refused(tmp_path):
    state = tmp_path / "state.json"
    state.write_text('{"documents": {}}')
    code, text = _fails_to_start("--port", "0", "--state-file", str(state))
    assert code == 2
    assert "is not the state of a controller" in text


def test_a_taken_port_is_refused(controller):
    code, text = _fails_to_start("--port", str(urlsplit(controller.url).port))
    assert code == 2
    assert "cannot serve on 127.0.0.1" in text


def test_a_port_that_cannot_be_is_refused():
    assert _fails_to_start("--port", "70000")[0] == 2
