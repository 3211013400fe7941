"""The administrator of the OpenStack that DevStack made: read from clouds.yaml, tried on Keystone and Neutron."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
import yaml

from ci_scripts.errors import InfrastructureError

ADMIN_CLOUD = "devstack-admin"
# Connection, and each read.
TIMEOUT = (10.0, 60.0)
SAID = 300


@dataclass(frozen=True)
class Cloud:
    """One entry of clouds.yaml. Domains are ``("id", ...)`` or ``("name", ...)``; ``keystone_url`` ends in /v3."""

    keystone_url: str
    username: str
    password: str
    project_name: str
    user_domain: tuple[str, str]
    project_domain: tuple[str, str]
    region: str
    cacert: str | None = None


@dataclass(frozen=True)
class Login:
    """What a token of the administrator tells: the domain's name, and where the catalog has Neutron."""

    token: str
    domain_name: str
    neutron_url: str


def cloud_of(text: str, where: str) -> Cloud:
    """The administrator in a clouds.yaml (openstacksdk's format, as DevStack's write_clouds_yaml writes it).

    Raises InfrastructureError naming ``where`` and what is missing.
    """
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise InfrastructureError(f"{where} is no YAML: {' '.join(str(error).split())[:SAID]}.") from error
    clouds = data.get("clouds") if isinstance(data, dict) else None
    entry = clouds.get(ADMIN_CLOUD) if isinstance(clouds, dict) else None
    auth = entry.get("auth") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(auth, dict):
        raise InfrastructureError(
            f"{where} has no cloud {ADMIN_CLOUD!r} with an 'auth' section.",
            next_step="DevStack writes it when Keystone starts; see logs/gate/stack.log.",
        )
    cacert = entry.get("cacert")
    return Cloud(
        keystone_url=_with_version(_word(auth, "auth_url", where)),
        username=_word(auth, "username", where),
        password=_word(auth, "password", where),
        project_name=_word(auth, "project_name", where),
        user_domain=_domain(auth, "user_domain"),
        project_domain=_domain(auth, "project_domain"),
        region=str(entry.get("region_name") or "RegionOne"),
        cacert=cacert if isinstance(cacert, str) and cacert else None,
    )


def _word(auth: dict[str, Any], key: str, where: str) -> str:
    value = auth.get(key)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        # A password of digits alone is a number to YAML.
        value = str(value)
    if not isinstance(value, str) or not value:
        raise InfrastructureError(f"{where}: the cloud {ADMIN_CLOUD} has no {key}.")
    return value


def _domain(auth: dict[str, Any], prefix: str) -> tuple[str, str]:
    for kind in ("id", "name"):
        value = auth.get(f"{prefix}_{kind}")
        if isinstance(value, str) and value:
            return kind, value
    return "id", "default"


def _with_version(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/v3") else f"{url.removesuffix('/v2.0')}/v3"


def log_in(cloud: Cloud) -> Login:
    """Have a token issued and find Neutron in the catalog. Raises InfrastructureError naming the call."""
    user_domain, project_domain = dict([cloud.user_domain]), dict([cloud.project_domain])
    user = {"name": cloud.username, "password": cloud.password, "domain": user_domain}
    scope = {"project": {"name": cloud.project_name, "domain": project_domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    answer = _call("POST", f"{cloud.keystone_url}/auth/tokens", cloud, body=body)
    token = answer.headers.get("X-Subject-Token")
    content = _json(answer).get("token")
    if not token or not isinstance(content, dict):
        raise InfrastructureError(f"POST {answer.url} gave no token.")
    return Login(token, _domain_name(content), _network_url(content, cloud.region, answer.url))


def extensions(cloud: Cloud, login: Login) -> list[str]:
    """The aliases of Neutron's extensions; the token is used here. Raises InfrastructureError naming the call."""
    url = f"{login.neutron_url}/v2.0/extensions?fields=alias"
    entries = _json(_call("GET", url, cloud, token=login.token)).get("extensions")
    if not isinstance(entries, list):
        raise InfrastructureError(f"GET {url} was not answered with a list of extensions.")
    return sorted(str(entry.get("alias")) for entry in entries if isinstance(entry, dict))


def _domain_name(token: dict[str, Any]) -> str:
    user = token.get("user")
    domain = user.get("domain") if isinstance(user, dict) else None
    name = domain.get("name") if isinstance(domain, dict) else None
    return name if isinstance(name, str) and name else "Default"


def _network_url(token: dict[str, Any], region: str, asked: str) -> str:
    """The public endpoint of the network service, without the version and the slash at the end."""
    for service in token.get("catalog") or ():
        if not isinstance(service, dict) or service.get("type") != "network":
            continue
        for endpoint in service.get("endpoints") or ():
            if (
                isinstance(endpoint, dict)
                and endpoint.get("interface") == "public"
                and endpoint.get("region") in (region, None)
                and isinstance(endpoint.get("url"), str)
            ):
                return str(endpoint["url"]).rstrip("/").removesuffix("/v2.0")
    raise InfrastructureError(
        f"the catalog that POST {asked} gave has no public endpoint of a network service in {region}.",
        next_step="see in logs/gate/stack.log whether Neutron was started (services: q-svc).",
    )


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError as error:
        raise InfrastructureError(f"{answer.url} was not answered with JSON: {answer.text[:SAID]!r}.") from error
    if not isinstance(content, dict):
        raise InfrastructureError(f"{answer.url} was not answered with a JSON object.")
    return content


def _call(method: str, url: str, cloud: Cloud, *, body: object = None, token: str | None = None) -> requests.Response:
    headers = {"X-Auth-Token": token} if token else {}
    try:
        with requests.Session() as http:
            # The node's own services: a proxy of the environment does not know them.
            http.trust_env = False
            verify = cloud.cacert or True
            answer = http.request(method, url, json=body, headers=headers, timeout=TIMEOUT, verify=verify)
    except (requests.RequestException, OSError) as error:
        raise InfrastructureError(f"{method} {url} failed: {error}.") from error
    if answer.status_code >= 300:
        raise InfrastructureError(f"{method} {url} was answered with {answer.status_code}: {answer.text[:SAID]}")
    return answer


def cloud_of_openrc(variables: Mapping[str, str], where: str) -> Cloud:
    """The administrator in the variables that DevStack's openrc exports.

    Raises InfrastructureError naming ``where`` and what is missing.
    """
    names = {"OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME"}
    missing = sorted(name for name in names if not variables.get(name))
    if missing:
        raise InfrastructureError(f"{where} does not set {', '.join(missing)}.")
    user, project = (
        ("name", variables[f"OS_{whose}_DOMAIN_NAME"])
        if variables.get(f"OS_{whose}_DOMAIN_NAME")
        else ("id", variables.get(f"OS_{whose}_DOMAIN_ID") or "default")
        for whose in ("USER", "PROJECT")
    )
    return Cloud(
        keystone_url=_with_version(variables["OS_AUTH_URL"]),
        username=variables["OS_USERNAME"],
        password=variables["OS_PASSWORD"],
        project_name=variables["OS_PROJECT_NAME"],
        user_domain=user,
        project_domain=project,
        region=variables.get("OS_REGION_NAME") or "RegionOne",
        cacert=variables.get("OS_CACERT") or None,
    )
