"""The ``services:`` of ci.yaml: started before the hooks, one for all shards or one for each."""

from __future__ import annotations

import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import supervision
from ci_scripts.gates.local.ports import HOST, free_ports, is_taken
from ci_scripts.gates.local.services import Service
from ci_scripts.placeholders import fill
from ci_scripts.workspace import SCHEMA, Workspace, read_json, write_json_atomically

if TYPE_CHECKING:
    from ci_scripts.settings_model import Service as ServiceSettings

ASK_SECONDS = 5.0


def start_vendor_services(context: GateContext, shards: int) -> None:
    """Start all of them side by side and wait until each is ready.

    Raises InfrastructureError when a port is taken, one ends by itself, or one is not ready in its time.
    """
    wanted = [
        (entry, shard)
        for entry in context.settings.services
        for shard in (range(shards) if entry.per_shard else [None])
    ]
    ports = free_ports(len(wanted))
    urls: dict[str, dict[str, str]] = {}
    starting: list[tuple[ServiceSettings, Service, str | None]] = []
    for (entry, shard), port in zip(wanted, ports, strict=True):
        values = _values(context, shard, port, urls.get(_scope(shard), {}) | urls.get(_scope(None), {}))
        url = fill(entry.url, values) if entry.url else f"http://{HOST}:{port}"
        urls.setdefault(_scope(shard), {})[entry.name] = url
        values[f"service.{entry.name}.url"] = url
        ready_url = fill(entry.ready_url, values) if entry.ready_url else None
        _require_free_port(entry.name, ready_url or url)
        starting.append((entry, _service(context, entry, shard, values, ready_url), ready_url))
    write_json_atomically(_urls_file(context.workspace), {"schema": SCHEMA, "urls": urls})
    supervision.add_services(context.workspace, [service for _, service, _ in starting])
    for entry, service, ready_url in starting:
        _wait_until_ready(context, service, ready_url, entry.ready_timeout_seconds)


def urls_of_shard(workspace: Workspace, shard: int) -> dict[str, str]:
    """The addresses of the services as one shard sees them."""
    if not _urls_file(workspace).exists():
        return {}
    urls: dict[str, dict[str, str]] = read_json(_urls_file(workspace))["urls"]
    return urls.get(_scope(None), {}) | urls.get(_scope(shard), {})


def _urls_file(workspace: Workspace) -> Path:
    return workspace.gate_dir / "service-urls.json"


def _scope(shard: int | None) -> str:
    return "all" if shard is None else str(shard)


def _values(context: GateContext, shard: int | None, port: int, urls: dict[str, str]) -> dict[str, str]:
    return {
        **context.placeholders(),
        "port": str(port),
        "shard": "all" if shard is None else str(shard),
        **{f"service.{name}.url": url for name, url in urls.items()},
    }


def _service(
    context: GateContext, entry: ServiceSettings, shard: int | None, values: dict[str, str], ready_url: str | None
) -> Service:
    suffix = "" if shard is None else f"-{shard}"
    own = {name: fill(value, values) for name, value in entry.environment.items()}
    return Service(
        name=entry.name,
        shard=shard,
        argv=tuple(fill(word, values) for word in entry.command),
        cwd=str(context.settings.config_path.parent),
        env={**context.env, **own},
        log=str(context.workspace.gate_logs / f"{entry.name}{suffix}.log"),
        health_url=ready_url,
    )


def _require_free_port(name: str, url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if local and parts.port and is_taken(parts.port, parts.hostname or HOST):
        raise InfrastructureError(
            f"port {parts.port} of {parts.hostname} is taken, so the service {name} cannot start.",
            next_step=f"see who has it (ss -ltnp sport = :{parts.port}) and end it, or use {{port}} in ci.yaml.",
        )


def _wait_until_ready(context: GateContext, service: Service, ready_url: str | None, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    last = "no answer yet"
    with requests.Session() as session:
        session.trust_env = False
        while True:
            status = supervision.status_of(context.workspace, service)
            if status is not None and status.is_bad:
                why = context.record.masked(supervision.describe(status))
                raise InfrastructureError(
                    f"the service {service.label} did not start: {why}.",
                    next_step="start its command by hand and look at what it says.",
                )
            if ready_url is None:
                return
            try:
                answer = session.get(ready_url, timeout=ASK_SECONDS)
                if answer.status_code < 400:
                    return
                last = f"it answers {answer.status_code}"
            except requests.RequestException as error:
                last = str(error)
            if time.monotonic() > deadline:
                said = context.record.masked(f"at {ready_url}: {last}")
                raise InfrastructureError(
                    f"the service {service.label} was not ready after {seconds:g} s {said}.",
                    log=Path(service.log),
                    next_step="start its command by hand and look at what it says.",
                )
            time.sleep(0.05)
