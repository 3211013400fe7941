"""Named verbs of Zuul's REST API: enqueue a change (with an admin token of the tenant), and see how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit.records import Change
from ci_scripts.retriggers.runner import RunnerFailed, State, Ticket, token_of

if TYPE_CHECKING:
    import requests

    from ci_scripts.settings_model import Settings

BUILDSET = "after buildset"
LARGEST = 16 * 1024 * 1024
SHOWN = 300


def open_zuul(settings: Settings, environment: Mapping[str, str]) -> Zuul:
    """The Zuul of ci.yaml's section. Nothing is sent yet. Raises ConfigurationError."""
    import requests

    section = settings.zuul
    if section is None:
        raise ConfigurationError("there is no 'zuul' section in ci.yaml.", next_step="add url and tenant.")
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token_of(settings, 'zuul', environment)}"
    # Else requests would send what ~/.netrc says instead of the token.
    session.trust_env = False
    return Zuul(session, section.url, section.tenant, section.pipeline, section.timeout_seconds)


class Zuul:
    """One pipeline of one tenant."""

    def __init__(self, session: requests.Session, url: str, tenant: str, pipeline: str, timeout: float) -> None:
        self._session = session
        self._url = url
        self._tenant = f"{url}/api/tenant/{quote(tenant, safe='')}"
        self._pipeline = pipeline
        self._timeout = timeout

    @property
    def name(self) -> str:
        return f"Zuul {self._url} (pipeline {self._pipeline})"

    def mark(self, change: Change) -> str:
        """The newest buildset of this patch set, empty where there is none."""
        newest = self._newest(change)
        return str(newest.get("uuid", "")) if newest else ""

    def ask(self, change: Change, mark: str) -> Ticket:
        path = f"/project/{quote(change.project, safe='/')}/enqueue"
        body = {"change": _named(change), "pipeline": self._pipeline}
        self._request("POST", path, f"to enqueue {_named(change)}", body)
        return Ticket(BUILDSET, mark)

    def find(self, change: Change, mark: str) -> Ticket | None:
        """In the pipeline now, or a buildset that is newer than ``mark``."""
        if self._is_in_pipeline(change) or self.mark(change) != mark:
            return Ticket(BUILDSET, mark)
        return None

    def state(self, change: Change, ticket: Ticket) -> State:
        """Unseen at first, because Zuul takes a moment to put an event into its pipeline."""
        if self._is_in_pipeline(change):
            return "running"
        newest = self._newest(change)
        if newest is None or str(newest.get("uuid", "")) == ticket.number:
            return "unseen"
        return "ended" if newest.get("result") else "running"

    def _is_in_pipeline(self, change: Change) -> bool:
        items = self._request("GET", f"/status/change/{_named(change)}", f"about {_named(change)}")
        return any(
            isinstance(item, dict) and item.get("pipeline", self._pipeline) == self._pipeline
            for item in (items if isinstance(items, list) else ())
        )

    def _newest(self, change: Change) -> dict[str, Any] | None:
        wanted = {"project": change.project, "pipeline": self._pipeline, "change": change.number}
        query = urlencode({**wanted, "patchset": change.current.number, "limit": 1})
        found = self._request("GET", f"/buildsets?{query}", f"about the runs of {_named(change)}")
        entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
        return entries[0] if entries else None

    def _request(self, method: str, path: str, what: str, body: Mapping[str, str] | None = None) -> Any:
        import requests

        try:
            with self._session.request(
                method, self._tenant + path, json=body, timeout=self._timeout, allow_redirects=False, stream=True
            ) as answer:
                raw = answer.raw.read(LARGEST, decode_content=True)
                status = answer.status_code
        except (requests.RequestException, OSError) as error:
            raise RunnerFailed(
                f"{self.name} could not be asked {what}: {type(error).__name__}.",
                next_step="see that it answers, and give the same command again.",
                everything=isinstance(error, requests.ConnectionError),
            ) from error
        return self._understood(status, raw, what)

    def _understood(self, status: int, raw: bytes, what: str) -> Any:
        import json

        if status != 200:
            said = " ".join(raw.decode("utf-8", "replace").split())[:SHOWN]
            refused = status in (401, 403)
            raise RunnerFailed(
                f"{self.name} could not be asked {what}: {status} {said}.",
                next_step="see that the token is an admin's of the tenant, and not expired." if refused else "",
                everything=refused,
            )
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise RunnerFailed(
                f"{self.name} could not be asked {what}: the answer is not JSON.", next_step="see zuul.url."
            ) from error


def _named(change: Change) -> str:
    return f"{change.number},{change.current.number}"
