"""What Neutron holds, asked as the gate's administrator: a few quick GETs, no Tempest needed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import requests

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.access import ShardAccess

# In the order in which people look for leaks; a collection whose extension is not loaded is answered with 404.
# Segments and rules go with their networks and groups. No entry is left out: a whole passing run of tempest.api.network
# (254 tests) leaves nothing in any of them, not even the default security groups of its projects, which Tempest deletes
# before the project.
COLLECTIONS = (
    ("network", "networks"),
    ("subnet", "subnets"),
    ("port", "ports"),
    ("router", "routers"),
    ("floatingip", "floatingips"),
    ("security-group", "security-groups"),
    ("subnetpool", "subnetpools"),
    ("address-scope", "address-scopes"),
    ("address-group", "address-groups"),
    ("qos-policy", "qos/policies"),
    ("rbac-policy", "rbac-policies"),
    ("trunk", "trunks"),
    ("metering-label", "metering/metering-labels"),
    ("flavor", "flavors"),
    ("service-profile", "service_profiles"),
    ("local-ip", "local_ips"),
    ("ndp-proxy", "ndp_proxies"),
)
# Connection, and each read; one that is slower than this is no healthy gate.
REQUEST_SECONDS = (5.0, 20.0)
ALL_SECONDS = 30.0


def neutron_lines(shard: ShardAccess) -> list[str]:
    """A line "kind id name" for everything that Neutron of one shard holds.

    Raises InfrastructureError naming the call that failed; after 30 s no further call is made.
    """
    lines: list[str] = []
    deadline = time.monotonic() + ALL_SECONDS
    with requests.Session() as http:
        # The gate is on this machine: a proxy of the environment does not know it.
        http.trust_env = False
        http.headers["X-Auth-Token"] = _token(http, shard)
        for kind, path in COLLECTIONS:
            if time.monotonic() > deadline:
                raise InfrastructureError(f"Neutron was too slow: {path} was not asked for within {ALL_SECONDS:g} s.")
            url = f"{shard.neutron_url.rstrip('/')}/v2.0/{path}?fields=id&fields=name"
            lines += [_line(kind, entry) for entry in _list(http, url)]
    return lines


def _line(kind: str, entry: Mapping[str, Any]) -> str:
    # A name may hold line breaks and blanks.
    return " ".join([kind, *str(entry.get("id")).split(), *str(entry.get("name") or "").split()])


def _token(http: requests.Session, shard: ShardAccess) -> str:
    domain = {"name": shard.domain_name}
    user = {"name": shard.username, "password": shard.password, "domain": domain}
    scope = {"project": {"name": shard.project_name, "domain": domain}}
    identity = {"methods": ["password"], "password": {"user": user}}
    body = {"auth": {"identity": identity, "scope": scope}}
    url = f"{shard.keystone_url.rstrip('/')}/auth/tokens"
    token = _call(http, "POST", url, body).headers.get("X-Subject-Token")
    if not token:
        raise InfrastructureError(f"POST {url} gave no token.")
    return token


def _list(http: requests.Session, url: str) -> list[dict[str, Any]]:
    answer = _call(http, "GET", url)
    if answer.status_code == 404:
        return []
    try:
        content = answer.json()
    except ValueError as error:
        raise InfrastructureError(f"GET {url} was not answered with JSON: {answer.text[:100]!r}") from error
    # {"networks": [...]}; with a page limit of its own Neutron adds a list of links beside it.
    found = [value for key, value in content.items() if not key.endswith("_links")] if isinstance(content, dict) else []
    if len(found) != 1 or not isinstance(found[0], list) or not all(isinstance(entry, dict) for entry in found[0]):
        raise InfrastructureError(f"GET {url} was not answered with one list.")
    entries: list[dict[str, Any]] = found[0]
    return entries


def _call(http: requests.Session, method: str, url: str, body: object = None) -> requests.Response:
    try:
        answer = http.request(method, url, json=body, timeout=REQUEST_SECONDS)
    except requests.RequestException as error:
        raise InfrastructureError(f"{method} {url} failed: {error}.") from error
    if answer.status_code >= 300 and not (method == "GET" and answer.status_code == 404):
        raise InfrastructureError(f"{method} {url} was answered with {answer.status_code}: {answer.text[:200]}")
    return answer
