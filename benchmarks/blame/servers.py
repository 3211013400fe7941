"""What a case puts in place of the world: a controller with a fault, an index that fails, a git server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.blame.case import DRIVER
from benchmarks.blame.case_run import CaseRun
from ci_scripts.gates.local.ports import HOST, free_ports, is_taken

LAB_CONTROLLER = Path(__file__).with_name("lab_controller.py")
READY_SECONDS = 20.0


def closed_port() -> int:
    """A port on which nobody listens."""
    return free_ports(1)[0]


def controller_with(run: CaseRun, fault: str) -> None:
    """The gate's own controller, one for each shard, has a fault (see lab_controller.py)."""
    lab = run.folder / "lab"
    words = ["{python}", str(LAB_CONTROLLER), "--port", "{port}", "--shard", "{shard}", "--lab", str(lab)]
    run.config["services"][0]["command"] = [*words, "--fault", fault]
    run.beside(lambda: _note_when_it_happened(run))


def outside_controller(run: CaseRun, fault: str | None) -> None:
    """The controller is none of the gate's: it runs elsewhere, for all gates, or (None) not at all."""
    port = closed_port()
    url = f"http://{HOST}:{port}"
    run.config["services"] = []
    run.config["probes"] = [{"name": "controller", "url": f"{url}/health", "timeout_seconds": 3}]
    # It still holds what earlier gates had, so nothing can be compared with it.
    run.config["checks"], run.config["inventories"] = [], []
    run.config["inventories"] = []
    run.config["driver"]["neutron_config"]["ml2_conf.ini"]["ml2_example"]["url"] = url
    if fault is None:
        return
    argv = [sys.executable, str(LAB_CONTROLLER), "--port", str(port), "--lab", str(run.folder / "lab")]
    start_beside(run, [*argv, "--fault", fault], port)
    run.beside(lambda: _note_when_it_happened(run))


def start_beside(run: CaseRun, argv: list[str], port: int | None = None) -> None:
    """A process that lives as long as the case; waits until it listens on ``port``."""
    with open(run.folder / "beside.log", "ab") as log:
        process = subprocess.Popen(argv, cwd=run.folder, stdout=log, stderr=log, start_new_session=True)
    run.exits.callback(process.wait)
    # A session of its own: git daemon is a process below git.
    run.exits.callback(os.killpg, process.pid, signal.SIGKILL)
    deadline = time.monotonic() + READY_SECONDS
    while port is not None and not is_taken(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{argv[:3]} does not listen, see {run.folder / 'beside.log'}")
        time.sleep(0.05)


def git_server(run: CaseRun, port: int) -> None:
    """git daemon with the site's repositories."""
    folder = str(run.site.repositories)
    argv = ["git", "daemon", f"--listen={HOST}", f"--port={port}", "--reuseaddr", "--export-all"]
    start_beside(run, [*argv, f"--base-path={folder}", folder], port)


def fetch_from(run: CaseRun, port: int) -> None:
    """Change and driver come from the git server at ``port``."""
    run.url = f"git://{HOST}:{port}/networking-example.git"
    run.config["driver"]["source"] = run.url
    run.config["projects"][DRIVER]["url"] = run.url


def failing_index(run: CaseRun) -> str:
    """A package index that answers 503 to everything; its address."""
    server = ThreadingHTTPServer((HOST, 0), _Unavailable)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    run.exits.callback(server.server_close)
    run.exits.callback(server.shutdown)
    return f"http://{HOST}:{server.server_port}/simple"


class _Unavailable(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


def _note_when_it_happened(run: CaseRun) -> None:
    happened = run.folder / "lab" / "happened"
    if run.wait_for(happened.exists) or happened.exists():
        run.note("the controller misbehaved")
