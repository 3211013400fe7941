"""What the gate itself asks of Keystone and Neutron: a token, the catalog's network entry, the external network."""

from __future__ import annotations

from typing import Any

import requests

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.local import keystone
from ci_scripts.gates.local.neutron import PHYSICAL_NETWORK

TIMEOUT = (5.0, 60.0)
PUBLIC_CIDR = "172.24.4.0/24"


class Session:
    """The administrator's session with one shard. Every method raises InfrastructureError naming the call."""

    def __init__(self, keystone_url: str, neutron_url: str) -> None:
        self.keystone_url = keystone_url
        self.neutron_url = neutron_url
        self.http = requests.Session()
        self.http.trust_env = False

    def log_in(self) -> None:
        """Have a token issued; it is sent with every later call."""
        domain = {"name": keystone.ADMIN["domain_name"]}
        user = {"name": keystone.ADMIN["username"], "password": keystone.ADMIN["password"], "domain": domain}
        body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"name": keystone.ADMIN["project_name"], "domain": domain}},
            }
        }
        answer = self._call("POST", f"{self.keystone_url}/auth/tokens", body)
        self.http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def add_network_endpoint(self) -> None:
        """Enter Neutron into Keystone's catalog."""
        service = {"service": {"type": "network", "name": "neutron"}}
        made = self._call("POST", f"{self.keystone_url}/services", service).json()["service"]
        endpoint = {
            "interface": "public",
            "service_id": made["id"],
            "url": self.neutron_url,
            "region_id": keystone.REGION,
        }
        self._call("POST", f"{self.keystone_url}/endpoints", {"endpoint": endpoint})

    def extensions(self) -> list[str]:
        """The aliases of the extensions that Neutron has loaded; the token is used here."""
        answer = self._call("GET", f"{self.neutron_url}/v2.0/extensions?fields=alias").json()
        return sorted(str(entry["alias"]) for entry in answer["extensions"])

    def seed_external_network(self) -> str:
        """Create the external network that routers get their gateways from, and return its id."""
        network: dict[str, Any] = {
            "name": "public",
            "router:external": True,
            "provider:network_type": "flat",
            "provider:physical_network": PHYSICAL_NETWORK,
        }
        made = self._call("POST", f"{self.neutron_url}/v2.0/networks", {"network": network}).json()["network"]
        subnet = {
            "network_id": made["id"],
            "name": "public-subnet",
            "ip_version": 4,
            "cidr": PUBLIC_CIDR,
            "enable_dhcp": False,
        }
        self._call("POST", f"{self.neutron_url}/v2.0/subnets", {"subnet": subnet})
        return str(made["id"])

    def _call(self, method: str, url: str, body: object = None) -> requests.Response:
        try:
            answer = self.http.request(method, url, json=body, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise InfrastructureError(f"{method} {url} failed: {error}.") from error
        if answer.status_code >= 300:
            raise InfrastructureError(f"{method} {url} was answered with {answer.status_code}: {answer.text[:500]}")
        return answer
