"""A Jenkins in memory over real HTTP on loopback, after its remote API: crumbs, a queue, builds with parameters.

A build begins when there is a free executor and ends when a test says so (`finish`) or by itself (``looks``: how often
it is looked at before it ends).
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

USER, TOKEN = "operator", "api token of the operator"


@dataclass
class FakeBuild:
    """``number`` is 0 while it waits in the queue; ``looks`` is how often it was seen running."""

    queue: int
    parameters: dict[str, str]
    number: int = 0
    ended: bool = False
    cancelled: bool = False
    looks: int = 0


@dataclass
class FakeJenkins:
    """``asked`` is called with the parameters while a build is being asked for; ``forget``: the queue is empty."""

    job: str = "ci/test-neutron"
    executors: int = 100
    looks: int = 2
    crumbs: bool = True
    forget: bool = False
    asked: Callable[[dict[str, str]], None] = lambda parameters: None
    builds: list[FakeBuild] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, int]] = field(default_factory=list)
    most_running: int = 0
    earlier: int = 40

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.jenkins = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeJenkins:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def path(self) -> str:
        return "".join(f"/job/{part}" for part in self.job.split("/"))

    def fail_next(self, path: str, status: int, count: int = 1) -> None:
        """The next requests whose path contains ``path`` are answered with ``status``; 0 cuts the connection after."""
        self.faults += [(path, status)] * count

    def changes(self) -> list[int]:
        """The changes that were asked for, in order."""
        return [int(build.parameters["GERRIT_CHANGE_NUMBER"]) for build in self.builds]

    def answer(self, method: str, path: str, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers."""
        if path == "/crumbIssuer/api/json":
            crumb = {"crumbRequestField": "Jenkins-Crumb", "crumb": "c1"}
            return (200, crumb, {}) if self.crumbs else (404, {}, {})
        if path == f"{self.path}/buildWithParameters" and method == "POST":
            return self._build(query)
        if path == f"{self.path}/api/json":
            return 200, self._job(), {}
        if path == "/queue/api/json":
            return 200, {"items": [self._item(build) for build in self.builds if not build.number]}, {}
        if found := re.fullmatch(r"/queue/item/(\d+)/api/json", path):
            return self._queued(int(found[1]))
        if found := re.fullmatch(re.escape(self.path) + r"/(\d+)/api/json", path):
            return self._info(int(found[1]))
        return 404, {}, {}

    def _build(self, parameters: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        build = FakeBuild(len(self.builds) + 1, parameters)
        self.builds.append(build)
        self._start()
        self.asked(parameters)
        return 201, {}, {"Location": f"{self.url}/queue/item/{build.queue}/"}

    def _start(self) -> None:
        for build in self.builds:
            running = sum(bool(one.number) and not one.ended for one in self.builds)
            if not build.number and not build.cancelled and running < self.executors:
                build.number = (
                    self.earlier + 1 + max((one.number - self.earlier for one in self.builds if one.number), default=0)
                )
        running = sum(not one.ended and not one.cancelled for one in self.builds)
        self.most_running = max(self.most_running, running)

    def _item(self, build: FakeBuild) -> dict[str, Any]:
        task = {"name": self.job.rpartition("/")[2], "url": f"{self.url}{self.path}/"}
        item = {"id": build.queue, "task": task, "actions": [{}, _parameters(build)], "cancelled": build.cancelled}
        return {**item, **({"executable": {"number": build.number}} if build.number else {"why": "Waiting"})}

    def _queued(self, number: int) -> tuple[int, Any, dict[str, str]]:
        found = [build for build in self.builds if build.queue == number]
        if not found or (self.forget and found[0].number):
            return 404, {}, {}
        return 200, self._item(found[0]), {}

    def _info(self, number: int) -> tuple[int, Any, dict[str, str]]:
        found = [build for build in self.builds if build.number == number]
        if not found:
            return 404, {}, {}
        build = found[0]
        build.looks += 1
        if self.looks and build.looks >= self.looks:
            build.ended = True
            self._start()
        return 200, {"number": number, "building": not build.ended, "actions": [_parameters(build)]}, {}

    def _job(self) -> dict[str, Any]:
        built = sorted((build for build in self.builds if build.number), key=lambda build: -build.number)
        builds = [{"number": build.number, "actions": [{}, _parameters(build)]} for build in built]
        old = {"GERRIT_CHANGE_NUMBER": "1", "GERRIT_PATCHSET_NUMBER": "1"}
        builds += [{"number": self.earlier, "actions": [_parameters(FakeBuild(0, old))]}]
        return {"name": self.job, "nextBuildNumber": builds[0]["number"] + 1, "builds": builds}


def _parameters(build: FakeBuild) -> dict[str, Any]:
    return {"parameters": [{"name": name, "value": value} for name, value in build.parameters.items()]}


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
        jenkins: FakeJenkins = self.server.jenkins  # type: ignore[attr-defined]
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path, query = re.sub("/{2,}", "/", parts.path), dict(parse_qsl(parts.query, keep_blank_values=True))
        with jenkins.lock:
            jenkins.requests.append((method, path))
            fault = next((one for one in jenkins.faults if one[0] in path), None)
            if fault is not None:
                jenkins.faults.remove(fault)
            if fault is not None and fault[1]:
                status, data, headers = fault[1], {}, {}
            elif self.headers.get("Authorization") != f"Basic {base64.b64encode(f'{USER}:{TOKEN}'.encode()).decode()}":
                status, data, headers = 401, {}, {}
            elif method == "POST" and jenkins.crumbs and self.headers.get("Jenkins-Crumb") != "c1":
                status, data, headers = 403, {"message": "No valid crumb was included in the request"}, {}
            else:
                status, data, headers = jenkins.answer(method, path, query)
        if fault is not None and not fault[1]:
            self.close_connection = True
            return
        body = json.dumps(data).encode()
        try:
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True
