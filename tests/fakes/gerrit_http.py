"""HTTP of the fake Gerrit: the paths, the password, and the faults."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.gerrit_infos import account_info, change_info, comments_info, files_info
from tests.fakes.gerrit_query import matcher
from tests.fakes.gerrit_state import FakeAccount, FakeChange, Refusal

if TYPE_CHECKING:
    from tests.fakes.fake_gerrit import FakeGerrit, Fault

NOBODY = FakeAccount(0, "", "", "", "", {})
LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"


class Server(ThreadingHTTPServer):
    """With a thread for each connection."""

    daemon_threads = True
    gerrit: FakeGerrit

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    """One connection, which may bring many requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def gerrit(self) -> FakeGerrit:
        assert isinstance(self.server, Server)
        return self.server.gerrit

    def _handle(self, method: str) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.gerrit.fault_for(method, self.path)
        if fault is not None and fault.kind == "slow":
            self.gerrit.stopping.wait(fault.seconds)
            fault = None
        if fault is not None and fault.kind != "lost":
            self._note(method, raw, fault.status)
            self._fail(fault)
            return
        try:
            value = self._answer(method, raw)
            status, text = (204, "") if value is None else (200, f")]}}'\n{json.dumps(value)}\n")
            kind = "application/json; charset=UTF-8"
        except Refusal as refusal:
            status, text, kind = refusal.status, refusal.text, "text/plain;charset=utf-8"
        self._note(method, raw, status if fault is None else 0)
        if fault is not None:
            self.close_connection = True
            return
        self._send(status, kind, text.encode())

    def _note(self, method: str, raw: bytes, status: int) -> None:
        from tests.fakes.fake_gerrit import FakeRequest

        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        with self.gerrit.lock:
            self.gerrit.requests.append(FakeRequest(method, self.path, self._user(), body, status))

    def _fail(self, fault: Fault) -> None:
        if fault.kind == "drop":
            self.close_connection = True
        elif fault.kind == "drip":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            while not self.gerrit.stopping.wait(0.02):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    break
            self.close_connection = True
        elif fault.kind == "html":
            self._send(fault.status or 200, "text/html; charset=utf-8", LOGIN_PAGE.encode(), fault.headers)
        elif fault.kind == "garbage":
            body = _bytes(fault.body or ')]}\'\n{"_number": [1, ')
            self._send(200, "application/json; charset=UTF-8", body, fault.headers)
        else:
            assert fault.status, f"no such fault: {fault}"
            body = _bytes(fault.body or f"fault {fault.status}")
            self._send(fault.status, "text/plain; charset=utf-8", body, fault.headers)

    def _send(self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        try:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _credentials(self) -> tuple[str, str]:
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":") if kind == "Basic" else ("", "", "")
        return user, password

    def _user(self) -> str:
        return self._credentials()[0]

    def _caller(self) -> FakeAccount:
        user, password = self._credentials()
        account = self.gerrit.state.accounts.get(user.lower())
        if account is None or account.password != password:
            raise Refusal(401, "Unauthorized")
        return account

    def _answer(self, method: str, raw: bytes) -> Any:
        parts = urlsplit(self.path)
        if parts.path in ("/config/server/version", "/a/config/server/version"):
            return "3.10.2"
        open_to_all = method == "GET" and parts.path.startswith("/changes/")
        if not parts.path.startswith("/a/") and not open_to_all:
            raise Refusal(404, "Not Found")
        with self.gerrit.lock:
            caller = NOBODY if open_to_all else self._caller()
            path = parts.path.removeprefix("/a")
            for wanted, pattern, verb in ROUTES:
                match = re.fullmatch(pattern, path)
                if match is not None and wanted == method:
                    words = [unquote(word) for word in match.groups()]
                    return verb(_Call(self.gerrit, caller, words, parse_qs(parts.query), raw))
        raise Refusal(404, "Not Found")


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


class _Call:
    """One request that is let in: the words of its path, its parameters and its body."""

    def __init__(
        self, gerrit: FakeGerrit, caller: FakeAccount, words: list[str], parameters: dict[str, list[str]], raw: bytes
    ) -> None:
        self.gerrit = gerrit
        self.caller = caller
        self.words = words
        self.parameters = parameters
        self.raw = raw

    @property
    def options(self) -> list[str]:
        return self.parameters.get("o", [])

    @property
    def change(self) -> FakeChange:
        number = self.words[0].rpartition("~")[2]
        if not number.isdigit() or int(number) not in self.gerrit.changes:
            raise Refusal(404, f"Not found: {self.words[0]}")
        return self.gerrit.changes[int(number)]

    @property
    def patch_set(self) -> int:
        change, word = self.change, self.words[1]
        for each in change.patch_sets:
            if word in (str(each.number), each.revision) or (word == "current" and each is change.current):
                return each.number
        raise Refusal(404, f"Not found: {word}")

    def body(self) -> dict[str, Any]:
        try:
            value = json.loads(self.raw or b"{}")
        except ValueError:
            raise Refusal(400, "Invalid application/json in request") from None
        if not isinstance(value, dict):
            raise Refusal(400, "Expected JSON object")
        return value


def _account(call: _Call) -> Any:
    account = call.caller if call.words[0] == "self" else call.gerrit.state.account(call.words[0])
    return {"registered_on": "2026-01-01 00:00:00.000000000", **account_info(account)}


def _query(call: _Call) -> Any:
    test, limit = matcher(call.parameters.get("q", [""])[0], call.caller, call.gerrit.now())
    limits = [limit or call.gerrit.query_limit, call.gerrit.query_limit, *map(int, call.parameters.get("n", []))]
    start = int(call.parameters.get("S", ["0"])[0])
    found = [change for change in call.gerrit.changes.values() if test(change)]
    found.sort(key=lambda change: (change.updated, change.number), reverse=True)
    page = [change_info(change, call.options) for change in found[start : start + min(limits)]]
    if page and len(found) > start + len(page):
        page[-1]["_more_changes"] = True
    return page


def _review(call: _Call) -> Any:
    body, gerrit = call.body(), call.gerrit
    labels = gerrit.state.review(gerrit.now(), call.change, call.patch_set, call.caller, body)
    return {**({"labels": labels} if "labels" in body else {}), "change_info": change_info(call.change, [])}


def _delete_vote(call: _Call) -> None:
    gerrit, name = call.gerrit, call.words[1]
    whose = call.caller if name == "self" else gerrit.state.account(name)
    gerrit.state.delete_vote(gerrit.now(), call.change, call.caller, whose, call.words[2])


ROUTES: list[tuple[str, str, Callable[[_Call], Any]]] = [
    ("GET", r"/accounts/([^/]+)(?:/detail)?", _account),
    ("GET", r"/changes/", _query),
    ("GET", r"/changes/([^/]+)", lambda call: change_info(call.change, call.options)),
    (
        "GET",
        r"/changes/([^/]+)/detail",
        lambda call: change_info(call.change, ["DETAILED_LABELS", "DETAILED_ACCOUNTS", "MESSAGES", *call.options]),
    ),
    ("GET", r"/changes/([^/]+)/comments", lambda call: comments_info(call.change)),
    ("GET", r"/changes/([^/]+)/revisions/([^/]+)/files/?", lambda call: files_info(call.change, call.patch_set)),
    ("POST", r"/changes/([^/]+)/revisions/([^/]+)/review", _review),
    ("POST", r"/changes/([^/]+)/reviewers/([^/]+)/votes/([^/]+)/delete", _delete_vote),
]
