# Licensed under the Apache License, Version 2.0; see the file LICENSE of this repository.
"""Ask Keystone, Neutron and the controller over HTTP, each request with a time-out."""

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

LARGEST_ANSWER = 64 * 1024 * 1024
# Services are asked directly: a proxy of the environment does not know addresses of a test node.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class CannotAsk(Exception):
    """Something needed for the comparison does not answer, or not with what was asked for."""


class Refused(Exception):
    """Neutron answered a change with an error; `status` is the one of HTTP."""

    def __init__(self, method, url, status, text):
        super().__init__(f"Neutron answered {method} {urllib.parse.urlsplit(url).path} with {status}: {text[:300]}")
        self.status = status


def request(method, url, body=None, headers=None, timeout=30.0):
    """Send one request; returns status, headers and the decoded JSON (None without a body).

    :param timeout: seconds for the connection, and for each read.
    :raises CannotAsk: no connection, no answer in time, or an answer that is not JSON.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        asked = urllib.request.Request(
            url,
            data,
            {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})},
            method=method,
        )
        try:
            answer = _OPENER.open(asked, timeout=timeout)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            content = answer.read(LARGEST_ANSWER + 1)
            status, answered = answer.status, answer.headers
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CannotAsk(f"{method} {url}: {getattr(error, 'reason', None) or error or type(error).__name__}") from error
    if len(content) > LARGEST_ANSWER:
        raise CannotAsk(f"{method} {url}: the answer has more than {LARGEST_ANSWER} bytes")
    try:
        return status, answered, json.loads(content) if content else None
    except ValueError as error:
        if status < 400:
            raise CannotAsk(f"{method} {url} was not answered with JSON: {content[:100]!r}") from error
        return status, answered, content[:300].decode(errors="replace")


def _list_in(answer, key, url):
    entries = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and "id" in entry for entry in entries):
        raise CannotAsk(f"GET {url}: the answer has no list {key!r}")
    return {entry["id"]: entry for entry in entries}


def authenticate(environment, timeout):
    """Get a token; returns it and the public URL of the network service in the catalog (None without one).

    :param environment: a mapping with the OS_* variables.
    :raises CannotAsk: a variable is missing, or Keystone gives no token.
    """
    names = ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise CannotAsk(f"not set: {', '.join(missing)}")
    user_domain = environment.get("OS_USER_DOMAIN_ID") or environment.get("OS_USER_DOMAIN_NAME")
    project_domain = environment.get("OS_PROJECT_DOMAIN_ID") or environment.get("OS_PROJECT_DOMAIN_NAME")
    user = {
        "name": environment["OS_USERNAME"],
        "password": environment["OS_PASSWORD"],
        "domain": {"id" if environment.get("OS_USER_DOMAIN_ID") else "name": user_domain or "Default"},
    }
    domain = {"id" if environment.get("OS_PROJECT_DOMAIN_ID") else "name": project_domain or "Default"}
    identity = {"methods": ["password"], "password": {"user": user}}
    scope = {"project": {"name": environment["OS_PROJECT_NAME"], "domain": domain}}
    root = environment["OS_AUTH_URL"].rstrip("/").removesuffix("/v3")
    url = f"{root}/v3/auth/tokens"
    status, headers, answer = request("POST", url, {"auth": {"identity": identity, "scope": scope}}, timeout=timeout)
    token = headers.get("X-Subject-Token")
    if status != 201 or not token:
        raise CannotAsk(f"Keystone gave no token: POST {url} was answered with {status}")
    return token, _network_url(answer, environment.get("OS_REGION_NAME"))


def _network_url(answer, region):
    token = answer.get("token", {}) if isinstance(answer, dict) else {}
    for service in token.get("catalog", []):
        for endpoint in service.get("endpoints", []) if service.get("type") == "network" else []:
            if endpoint.get("interface") == "public" and region in (None, "", endpoint.get("region")):
                return endpoint.get("url")
    return None


class Neutron:
    """Neutron's API with one token."""

    def __init__(self, url, token, timeout):
        self._root = url.rstrip("/").removesuffix("/v2.0") + "/v2.0"
        self._headers = {"X-Auth-Token": token}
        self._timeout = timeout

    def list(self, kind):
        """All resources of a kind by id.

        :raises CannotAsk: the list cannot be had.
        """
        url = f"{self._root}/{kind}"
        status, _, answer = request("GET", url, headers=self._headers, timeout=self._timeout)
        if status != 200:
            raise CannotAsk(f"GET {url} was answered with {status}")
        return _list_in(answer, kind, url)

    def create(self, kind, attributes):
        """Create a resource; returns it.

        :raises Refused: Neutron answered with an error.
        """
        return self._change("POST", f"{self._root}/{kind}", kind[:-1], attributes)

    def update(self, kind, resource_id, attributes):
        """Update a resource; returns it.

        :raises Refused: Neutron answered with an error.
        """
        return self._change("PUT", f"{self._root}/{kind}/{resource_id}", kind[:-1], attributes)

    def delete(self, kind, resource_id):
        """Delete a resource.

        :raises Refused: Neutron answered with an error; 404 when it is not there.
        """
        self._change("DELETE", f"{self._root}/{kind}/{resource_id}", None, None)

    def _change(self, method, url, name, attributes):
        body = None if name is None else {name: attributes}
        status, _, answer = request(method, url, body, self._headers, self._timeout)
        if not 200 <= status < 300:
            raise Refused(method, url, status, json.dumps(answer))
        if name is None:
            return None
        resource = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(resource, dict) or "id" not in resource:
            raise CannotAsk(f"{method} {url}: the answer has no {name!r}")
        return resource


class Controller:
    """The controller's API."""

    def __init__(self, url, timeout):
        self._root = url.rstrip("/")
        self._timeout = timeout

    def list(self, kind):
        """All documents of a kind by id.

        :raises CannotAsk: the list cannot be had.
        """
        return _list_in(self._get(kind), kind, f"{self._root}/{kind}")

    def journal(self):
        """Counts since the controller's start.

        :raises CannotAsk: the journal cannot be had.
        """
        journal = self._get("journal")
        if not isinstance(journal, dict) or not {"created", "deleted", "refused"} <= journal.keys():
            raise CannotAsk(f"GET {self._root}/journal: that is no journal")
        return journal

    def expect_alive(self):
        """:raises CannotAsk: the controller does not answer /health."""
        self._get("health")

    def _get(self, path):
        url = f"{self._root}/{path}"
        status, _, answer = request("GET", url, timeout=self._timeout)
        if status != 200:
            raise CannotAsk(f"GET {url} was answered with {status}")
        return answer
