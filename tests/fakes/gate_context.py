"""The context of a gate with a small ci.yaml, in a workspace of its own, and what stands for the systems beside it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ci_scripts.gates.context import GateContext
from ci_scripts.settings import load_settings, secret_values
from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver: {project: example/networking-example, package: networking-example}
secrets: [{name: lab, environment: LAB_PASSWORD}]
"""
PASSWORD = "hunter 2/x"
Reply = tuple[int, dict[str, str], object]


def context_of(folder: Path, more: str) -> GateContext:
    """``more`` is the rest of ci.yaml; {secret.lab} is PASSWORD."""
    (folder / "ci.yaml").write_text(CONFIG + more)
    workspace = Workspace(folder / "run")
    workspace.make_folders()
    environment = {"HOME": str(folder), "LAB_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    settings = load_settings(folder / "ci.yaml", environment=environment)
    env = {"PATH": environment["PATH"]}
    secrets = secret_values(settings, environment)
    return GateContext(settings, workspace, {}, env, {}, secrets, StageRecord(workspace, "run-gate"))


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The objects of a file with one a line."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@contextlib.contextmanager
def http_server(answer: Callable[[str, str, bytes], Reply]) -> Iterator[str]:
    """A server on a free port, its URL; ``answer`` gets method, path with query, and body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, content = answer(self.command, self.path, body)
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that goes away is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
