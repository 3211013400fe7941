"""A Zuul in memory over real HTTP on loopback, after its REST API: enqueue, status of a change, buildsets."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TENANT, TOKEN = "lab", "admin token of the tenant"


@dataclass
class FakeItem:
    """A buildset; it is in the pipeline until it was looked at ``FakeZuul.looks`` times."""

    project: str
    change: str
    uuid: str
    looks: int = 0
    result: str | None = None


@dataclass
class FakeZuul:
    """``asked`` is called while a change is being enqueued."""

    looks: int = 2
    ignores: bool = False
    asked: Callable[[str], None] = lambda change: None
    items: list[FakeItem] = field(default_factory=list)
    faults: list[tuple[str, int]] = field(default_factory=list)
    most_running: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.zuul = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeZuul:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        """Status and JSON."""
        root = f"/api/tenant/{TENANT}"
        if method == "POST" and (found := re.fullmatch(rf"{root}/project/(.+)/enqueue", path)):
            if not isinstance(body, dict) or not {"change", "pipeline"} <= set(body):
                return 400, {"error": "Invalid request body"}
            if not self.ignores:
                uuid = f"{len(self.items):032x}"
                self.items.append(FakeItem(unquote(found[1]), body["change"], uuid))
            self.most_running = max(self.most_running, sum(item.result is None for item in self.items))
            self.asked(body["change"])
            return 200, True
        if method == "GET" and (found := re.fullmatch(rf"{root}/status/change/(.+)", path)):
            return 200, [self._seen(item) for item in self.items if item.change == found[1] and item.result is None]
        if method == "GET" and path == f"{root}/buildsets":
            wanted = f"{query['change'][0]},{query['patchset'][0]}"
            found_items = [item for item in reversed(self.items) if item.change == wanted]
            limit = int(query.get("limit", ["50"])[0])
            return 200, [{"uuid": item.uuid, "result": item.result} for item in found_items][:limit]
        return 404, {"error": "not found"}

    def _seen(self, item: FakeItem) -> dict[str, Any]:
        item.looks += 1
        if item.looks >= self.looks:
            item.result = "SUCCESS"
        return {"id": item.change, "project": item.project, "pipeline": "check"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self, method: str) -> None:
        zuul: FakeZuul = self.server.zuul  # type: ignore[attr-defined]
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        with zuul.lock:
            fault = next((one for one in zuul.faults if one[0] in parts.path), None)
            if fault is not None:
                zuul.faults.remove(fault)
                status, data = fault[1], {"error": "fault"}
            elif method == "POST" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, data = 401, {"error": "invalid_token"}
            else:
                status, data = zuul.answer(method, parts.path, parse_qs(parts.query), json.loads(raw or b"null"))
        body = json.dumps(data).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True
