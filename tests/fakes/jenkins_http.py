"""How the Jenkins in memory speaks HTTP: crumbs, the login, and the ways to misbehave."""

from __future__ import annotations

import base64
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.jenkins_jobs import pick

if TYPE_CHECKING:
    from tests.fakes.fake_jenkins import FakeJenkins

USER, TOKEN = "operator", "api token of the operator"
Answer = tuple[int, Any, dict[str, str]]
RESTARTING = "<html><body><h1>Please wait while Jenkins is getting ready to work ...</h1></body></html>"
LOGIN_PAGE = "<html><head><title>Sign in</title></head></html>"
DRIP_SECONDS = 0.2


class Handler(BaseHTTPRequestHandler):
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
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path, query = re.sub("/{2,}", "/", parts.path), dict(parse_qsl(parts.query, keep_blank_values=True))
        with jenkins.lock:
            jenkins.requests.append((method, path))
            fault = next((one for one in jenkins.faults if one[0] in path), None)
            if fault is not None:
                jenkins.faults.remove(fault)
            how = next((how for part, how in jenkins.misbehaves.items() if part in path), "")
            if not how:
                status, data, headers = self._answered(jenkins, method, path, query, body, fault[1] if fault else 0)
        if how:
            self._misbehave(jenkins, how)
        elif fault is not None and not fault[1]:
            self.close_connection = True
        else:
            self._send(status, data, headers)

    def _answered(
        self, jenkins: FakeJenkins, method: str, path: str, query: dict[str, str], body: bytes, fault: int
    ) -> Answer:
        if jenkins.restarts:
            jenkins.restarts -= 1
            return 503, RESTARTING, {}
        if fault:
            return fault, {}, {}
        if self.headers.get("Authorization") != f"Basic {base64.b64encode(f'{USER}:{TOKEN}'.encode()).decode()}":
            return 401, "<html><title>Error 401 Unauthorized</title></html>", {}
        if method == "POST" and jenkins.crumbs and self.headers.get("Jenkins-Crumb") != jenkins.crumb:
            return 403, "No valid crumb was included in the request", {}
        status, data, headers = jenkins.answer(method, path, query, body)
        if status == 200 and "tree" in query:
            try:
                data = pick(data, query["tree"])
            except ValueError as error:
                return 500, f"<html><p>Malformed tree expression: {error}</p></html>", {}
        return status, data, headers

    def _send(self, status: int, data: Any, headers: dict[str, str]) -> None:
        text = isinstance(data, str)
        content = data.encode() if text else json.dumps(data).encode()
        kind = "text/html;charset=utf-8" if text else "application/json;charset=utf-8"
        try:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "X-Jenkins": "2.492.1", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def _misbehave(self, jenkins: FakeJenkins, how: str) -> None:
        self.close_connection = True
        if how == "html":
            self._send(200, LOGIN_PAGE, {})
        elif how == "elsewhere":
            self._send(302, "", {"Location": "https://login.example.org/?from=here"})
        elif how == "hang":
            jenkins.over.wait(60)
        else:
            self._endless(jenkins, how)

    def _endless(self, jenkins: FakeJenkins, how: str) -> None:
        """An answer that goes on: in megabytes, or a byte now and then."""
        try:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            piece = b" " * (1024 * 1024) if how == "huge" else b" "
            for _ in range(100):
                self.wfile.write(piece)
                self.wfile.flush()
                if jenkins.over.wait(0 if how == "huge" else DRIP_SECONDS):
                    return
        except OSError:
            return
