"""An HTTP server that plays Keystone and Neutron for the check, and mirrors to the controller as a driver does."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import comparison

DEFAULTS = {
    "networks": {
        "project_id": "t1",
        "admin_state_up": True,
        "mtu": 1450,
        "router:external": False,
        "provider:network_type": "vxlan",
        "provider:physical_network": None,
        "provider:segmentation_id": 7,
    },
    "subnets": {
        "project_id": "t1",
        "gateway_ip": None,
        "enable_dhcp": True,
        "allocation_pools": [{"start": "b", "end": "c"}, {"start": "e", "end": "f"}],
        "dns_nameservers": [],
        "host_routes": [],
    },
    "ports": {
        "project_id": "t1",
        "admin_state_up": True,
        "mac_address": "fa:16:3e:00:00:01",
        "device_id": "",
        "device_owner": "",
        "binding:vnic_type": "normal",
        "security_groups": ["g2", "g1"],
    },
}


def send(method, url, document=None):
    data = None if document is None else json.dumps(document).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=10) as answer:
        return answer.read()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _act(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")
        status, headers, answer = self.server.cloud.answer(self.command, self.path, body, self.headers)
        content = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _act

    def log_message(self, *_arguments):
        """Keep the output of the tests clean."""


class Cloud:
    """Keystone and Neutron; each change is mirrored to the controller as `mirror` says."""

    def __init__(self, controller_url):
        self.controller = controller_url
        self.resources = {kind: {} for kind in comparison.KINDS}
        self.mirror = self.tell
        self.overrides = {}
        self.asked = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.cloud = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def tell(self, method, kind, resource):
        document = comparison.expected_document(kind, resource) if method == "PUT" else None
        send(method, f"{self.controller}/{kind}/{resource['id']}", document)

    def add(self, kind, attributes):
        number = 1 + sum(len(kinds) for kinds in self.resources.values())
        resource = {"id": f"{kind[0]}{number}", "name": "", **DEFAULTS[kind], **attributes}
        if kind == "ports":
            resource["binding:host_id"] = attributes.get("binding:host_id", "")
            addresses = ["192.0.2.9", "2001:db8::9"]
            resource["fixed_ips"] = [
                {"subnet_id": wanted["subnet_id"], "ip_address": address}
                for wanted, address in zip(attributes.get("fixed_ips", []), addresses, strict=False)
            ]
        self.resources[kind][resource["id"]] = resource
        self.mirror("PUT", kind, resource)
        return resource

    def answer(self, method, path, body, headers):
        self.asked.append((method, path))
        if (method, path) in self.overrides:
            return self.overrides[method, path]
        if path == "/v3/auth/tokens":
            return self._token(body)
        if headers["X-Auth-Token"] != "token":
            return 401, {}, {}
        kind, _, key = path.removeprefix("/v2.0/").partition("/")
        return self._neutron(method, kind, key, body)

    def _token(self, body):
        user = body["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"], user["domain"]) != ("admin", "secret", {"name": "Default"}):
            return 401, {}, {"error": {}}
        endpoint = {"interface": "public", "region": "RegionOne", "url": self.url}
        catalog = [{"type": "network", "endpoints": [endpoint]}]
        return 201, {"X-Subject-Token": "token"}, {"token": {"catalog": catalog}}

    def _neutron(self, method, kind, key, body):
        if method == "GET":
            return 200, {}, {kind: list(self.resources[kind].values())}
        if method == "POST":
            return 201, {}, {kind[:-1]: self.add(kind, body[kind[:-1]])}
        if key not in self.resources[kind]:
            return 404, {}, {"NeutronError": {}}
        if method == "PUT":
            self.resources[kind][key].update(body[kind[:-1]])
            self.mirror("PUT", kind, self.resources[kind][key])
            return 200, {}, {kind[:-1]: self.resources[kind][key]}
        self.mirror("DELETE", kind, self.resources[kind].pop(key))
        return 204, {}, None
