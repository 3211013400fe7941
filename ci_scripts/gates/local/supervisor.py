"""The process that owns the gate's services: starts them, notices at once when one dies or hangs, ends them all.

    python -m ci_scripts.gates.local.supervisor SPEC_FILE STATUS_FILE

SIGHUP: the file with the services has more of them. SIGTERM: end all services, then go. It also
goes when its owner is gone (a run that was killed with -9 leaves nothing behind).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import ssl
import sys
import threading
import time
import traceback
import urllib.parse
from pathlib import Path
from types import FrameType
from typing import Any

from ci_scripts.errors import CIError
from ci_scripts.gates.local.services import DIED, HUNG, RUNNING, STOPPED, GateStatus, Service, ServiceStatus
from ci_scripts.process_tree import become_subreaper, cpu_seconds, is_alive, start_time, stop_orphans
from ci_scripts.run_command import Background, start
from ci_scripts.workspace import read_json, utc_text, write_json_atomically

LOOK_SECONDS = 0.2
HEALTH_SECONDS = 5.0
ANSWER_SECONDS = 5.0
GRACE_SECONDS = 8.0
KEPT_IN_URLS = "!#$%&'()*+,/:;=?@[]~"


class Supervisor:
    """Its state is the status file; everything else can be read from the processes."""

    def __init__(self, spec: Path, status_file: Path) -> None:
        self.spec = spec
        self.status_file = status_file
        self.running: list[tuple[Service, Background, ServiceStatus]] = []
        self.owner: dict[str, Any] | None = None
        self.hang_seconds = 60.0
        self.stop_asked = threading.Event()
        self.reload_asked = True
        self.writing = threading.Lock()
        self.status = GateStatus(os.getpid(), start_time(os.getpid()))

    def run(self) -> None:
        """Work until SIGTERM or until the owner is gone; returns when nothing of the gate runs any more."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)
        become_subreaper()
        health = threading.Thread(target=self._watch_health, daemon=True)
        try:
            while not self.stop_asked.is_set():
                if self.reload_asked:
                    self.reload_asked = False
                    self._start_missing()
                    if not health.is_alive():
                        health.start()
                self._note_deaths()
                if self.owner and not is_alive(self.owner["pid"], self.owner["ticks"]):
                    break
                self.stop_asked.wait(LOOK_SECONDS)
        finally:
            self.stop_asked.set()
            self._stop_all()

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self.stop_asked.set()

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.reload_asked = True

    def _start_missing(self) -> None:
        spec = read_json(self.spec)
        self.owner, self.hang_seconds = spec["owner"], float(spec["hang_seconds"])
        known = {(service.name, service.shard) for service, _, _ in self.running}
        for entry in spec["services"]:
            service = Service.from_json(entry)
            if (service.name, service.shard) in known:
                continue
            status = ServiceStatus(service.name, service.shard, service.log, started=utc_text())
            self.status.services.append(status)
            try:
                process = start(
                    service.argv, cwd=Path(service.cwd), env=service.env, log=Path(service.log), user=service.user
                )
            except Exception as error:
                status.state, status.reason, status.ended = DIED, str(error), utc_text()
                continue
            status.pid, status.start_ticks, status.state = process.pid, start_time(process.pid), RUNNING
            self.running.append((service, process, status))
        self._write()

    def _note_deaths(self) -> None:
        for service, process, status in self.running:
            code = process.exit_code()
            if code is None or status.state in (DIED, STOPPED):
                continue
            status.state, status.exit_status, status.ended = DIED, code, utc_text()
            status.reason = status.reason or f"{service.label} ended by itself, {ended_how(code)}"
            self._write()

    def _watch_health(self) -> None:
        """In a thread: a hanging service must not keep us from seeing another one die."""
        last_sign: dict[int, tuple[float, float]] = {}
        while not self.stop_asked.wait(HEALTH_SECONDS):
            for service, process, status in list(self.running):
                try:
                    self._look_at(service, process, status, last_sign)
                except Exception:
                    # One look that fails must not end the watch over all; this goes to supervisor.log.
                    traceback.print_exc()

    def _look_at(
        self,
        service: Service,
        process: Background,
        status: ServiceStatus,
        last_sign: dict[int, tuple[float, float]],
    ) -> None:
        if service.health_url is None or status.state != RUNNING:
            return
        now, used = time.monotonic(), cpu_seconds(process.pid)
        since, used_then = last_sign.get(process.pid, (now, -1.0))
        # A single-threaded API is silent during a long request: work counts as a sign of life.
        if used > used_then or answers(service.health_url):
            last_sign[process.pid] = (now, used)
        elif now - since >= self.hang_seconds:
            status.reason = f"{service.label} hangs: no answer and no CPU progress for {now - since:.0f} s"
            status.state, status.ended = HUNG, utc_text()
            self._write()

    def _stop_all(self) -> None:
        for _, process, _ in self.running:
            if process.exit_code() is None:
                process.ask_to_end()
        for _, process, status in reversed(self.running):
            try:
                code = process.stop(GRACE_SECONDS)
            except CIError as error:
                # The others are ended all the same.
                status.reason = " ".join(filter(None, (status.reason, str(error))))
                continue
            if status.state == RUNNING:
                status.state, status.exit_status, status.ended = STOPPED, code, utc_text()
            elif status.exit_status is None:
                status.exit_status = code
        with contextlib.suppress(Exception):
            stop_orphans()
        self._write()

    def _write(self) -> None:
        # A full disk must not end the one process that can clean up.
        with self.writing, contextlib.suppress(OSError):
            write_json_atomically(self.status_file, self.status.as_json())


def ended_how(code: int) -> str:
    """An exit status in words: 'exit code 3' or 'killed by SIGKILL'."""
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-code).name}"
    return f"killed by signal {-code}"


def answers(url: str) -> bool:
    """Whether anybody answers HTTP or HTTPS there within 5 s; neither the status nor the certificate matters.

    False as well for an address that makes no sense.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with contextlib.closing(_connection(parts)) as connection:
            # http.client refuses spaces and letters beyond ASCII, which requests lets pass in a ready_url.
            path = urllib.parse.quote(target, safe=KEPT_IN_URLS)
            connection.request("GET", path, headers={"Connection": "close"})
            connection.getresponse()
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True


def _connection(parts: urllib.parse.SplitResult) -> http.client.HTTPConnection:
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=ANSWER_SECONDS)
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, parts.port, timeout=ANSWER_SECONDS, context=unverified)


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1]), Path(sys.argv[2])).run()
