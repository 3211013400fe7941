"""The supervisor with real processes: it starts, notices death and hanging, ends all, and goes with its owner."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.local import supervision, supervisor
from ci_scripts.gates.local.services import RUNNING, Service, ServiceStatus, spec_file
from ci_scripts.gates.local.supervisor import answers, ended_how
from ci_scripts.process_tree import start_time
from ci_scripts.run_command import start
from ci_scripts.workspace import SCHEMA, Workspace
from tests.fakes.left_behind import is_open, kill_all, processes_about
from tests.fakes.waiting import wait_for

# As the supervisor runs it, but it looks after hanging services sooner.
IMPATIENT = """
import sys
from pathlib import Path
from ci_scripts.gates.local import supervisor
supervisor.HEALTH_SECONDS, supervisor.ANSWER_SECONDS = 0.05, 0.1
supervisor.Supervisor(Path(sys.argv[1]), Path(sys.argv[2])).run()
"""


class Gate:
    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace(folder)
        self.workspace.make_folders()
        self.env = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": os.pathsep.join(sys.path)}

    def start(self, owner: int | None = None) -> None:
        supervision.start_supervisor(self.workspace, self.env, owner=owner, hang_seconds=60)

    def service(self, name: str, *argv: str, **more: Any) -> Service:
        log = str(self.workspace.gate_logs / f"{name}.log")
        return Service(name, more.pop("shard", None), argv, str(self.workspace.gate_dir), self.env, log, **more)

    def add(self, *services: Service) -> None:
        supervision.add_services(self.workspace, services)

    def status(self, name: str) -> ServiceStatus:
        status = supervision.read_status(self.workspace)
        assert status is not None
        return next(service for service in status.services if service.name == name)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "run")
    yield made
    supervision.stop_supervisor(made.workspace)
    try:
        assert processes_about(tmp_path) == {}
    finally:
        kill_all(tmp_path)


def test_services_are_started_and_ended_last_first(gate: Gate) -> None:
    gate.start()
    gate.add(gate.service("first", "sleep", "600"))
    gate.add(gate.service("second", "sleep", "600", shard=1))
    assert supervision.is_running(gate.workspace)
    assert supervision.first_problem(gate.workspace) is None
    first = gate.status("first")
    assert (first.state, first.start_ticks) == ("running", start_time(first.pid or 0))
    supervision.stop_supervisor(gate.workspace)
    first, second = gate.status("first"), gate.status("second")
    assert (first.state, first.exit_status, second.state) == ("stopped", -signal.SIGTERM, "stopped")
    assert second.ended is not None and first.ended is not None
    assert second.ended <= first.ended
    assert not supervision.is_running(gate.workspace)


@pytest.mark.parametrize(
    ("script", "exit_status", "words"),
    [
        ("echo no licence; exit 3", 3, "exit code 3"),
        ("echo no licence; kill -9 $$", -9, "killed by SIGKILL"),
        ("echo no licence; exit 0", 0, "exit code 0"),
    ],
)
def test_a_service_that_ends_is_noticed_with_its_last_words(
    gate: Gate, script: str, exit_status: int, words: str
) -> None:
    gate.start()
    service = gate.service("controller", "sh", "-c", script, shard=1)
    gate.add(service)
    problem = wait_for(lambda: supervision.first_problem(gate.workspace), "problem", 5)
    assert problem.startswith(f"controller (shard 1) ended by itself, {words} at 20")
    assert problem.endswith(f"End of {service.log}: no licence")
    status = gate.status("controller")
    assert (status.state, status.exit_status, status.is_bad) == ("died", exit_status, True)
    since = datetime.now(UTC) - datetime.fromisoformat(status.ended or "")
    assert since.total_seconds() < 5
    assert supervision.status_of(gate.workspace, service) == status


def test_the_first_of_two_deaths_is_told(gate: Gate) -> None:
    gate.start()
    gate.add(gate.service("a", "sh", "-c", "until [ -e died ]; do sleep 0.05; done; exit 1"))
    gate.add(gate.service("b", "sh", "-c", "exit 2"))
    wait_for(lambda: gate.status("b").is_bad, "death of b")
    (gate.workspace.gate_dir / "died").touch()
    wait_for(lambda: gate.status("a").is_bad, "death of a")
    bad = supervision.first_bad(gate.workspace)
    assert bad is not None
    assert bad.name == "b"


def test_what_cannot_be_started_is_a_death(gate: Gate) -> None:
    gate.start()
    gate.add(gate.service("controller", "/no/such/program"))
    assert "'/no/such/program' could not be started" in (supervision.first_problem(gate.workspace) or "")


def test_children_that_left_the_group_are_ended_too(gate: Gate) -> None:
    gate.start()
    gate.add(gate.service("controller", "sh", "-c", "setsid sleep 600 & touch ready; wait"))
    wait_for((gate.workspace.gate_dir / "ready").exists, "child")
    supervision.stop_supervisor(gate.workspace)
    assert processes_about(gate.workspace.root) == {}


def test_it_goes_with_its_owner(gate: Gate) -> None:
    owner = subprocess.Popen(["sleep", "600"])
    gate.start(owner.pid)
    gate.add(gate.service("controller", "sleep", "600"))
    owner.kill()
    wait_for(lambda: not supervision.is_running(gate.workspace), "end of the supervisor", 10)
    owner.wait()
    assert gate.status("controller").state == "stopped"


def test_services_of_a_supervisor_that_was_killed_are_ended(gate: Gate) -> None:
    gate.start()
    gate.add(gate.service("controller", "sleep", "600"))
    status = supervision.read_status(gate.workspace)
    assert status is not None
    os.kill(status.supervisor_pid, signal.SIGKILL)
    wait_for(lambda: not supervision.is_running(gate.workspace), "end of the supervisor")
    assert supervision.first_problem(gate.workspace) == "the gate's supervisor is gone"
    with pytest.raises(InfrastructureError, match="supervisor is not running"):
        gate.add(gate.service("late", "sleep", "600"))
    supervision.stop_supervisor(gate.workspace)
    assert processes_about(gate.workspace.root) == {}


def test_a_process_that_has_the_number_of_an_old_one_is_left_alone(gate: Gate) -> None:
    gate.start()
    gate.add(gate.service("controller", "sh", "-c", "exit 1"))
    wait_for(lambda: gate.status("controller").is_bad, "death")
    supervision.stop_supervisor(gate.workspace)
    bystander = subprocess.Popen(["sleep", "600"])
    data = json.loads(gate.workspace.gate_status.read_text())
    data["services"][0]["pid"] = data["supervisor_pid"] = bystander.pid
    gate.workspace.gate_status.write_text(json.dumps(data))
    supervision.stop_supervisor(gate.workspace)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_nothing_was_ever_started(gate: Gate) -> None:
    assert supervision.first_problem(gate.workspace) == "the gate was never started"
    assert supervision.first_bad(gate.workspace) is None
    assert not supervision.is_running(gate.workspace)
    supervision.stop_supervisor(gate.workspace)


def test_the_file_with_the_services_is_for_its_owner_only(gate: Gate) -> None:
    gate.start()
    assert spec_file(gate.workspace.gate_dir).stat().st_mode & 0o777 == 0o600


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def run_impatient(gate: Gate, service: Service, hang_seconds: float) -> subprocess.Popen[bytes]:
    spec = {"schema": SCHEMA, "owner": None, "hang_seconds": hang_seconds, "services": [service.as_json()]}
    spec_file(gate.workspace.gate_dir).write_text(json.dumps(spec))
    gate.workspace.gate_logs.mkdir(parents=True)
    argv = [sys.executable, "-c", IMPATIENT, str(spec_file(gate.workspace.gate_dir)), str(gate.workspace.gate_status)]
    process = subprocess.Popen(argv, env=gate.env)
    wait_for(lambda: supervision.read_status(gate.workspace), "status of the supervisor")
    return process


def test_no_answer_and_no_work_is_hanging(gate: Gate, silent: str) -> None:
    process = run_impatient(gate, gate.service("neutron", "sleep", "600", health_url=silent), 0.3)
    problem = wait_for(lambda: supervision.first_problem(gate.workspace), "problem")
    assert "neutron hangs: no answer and no CPU progress for" in problem
    status = gate.status("neutron")
    assert (status.state, status.is_bad) == ("hung", True)
    process.terminate()
    assert process.wait(20) == 0
    # It was ended by us, and that it had hung is still known.
    status = gate.status("neutron")
    assert (status.state, status.exit_status) == ("hung", -signal.SIGTERM)


def test_work_without_an_answer_is_a_sign_of_life(gate: Gate, silent: str) -> None:
    service = gate.service("neutron", "sh", "-c", "while :; do :; done", health_url=silent)
    process = run_impatient(gate, service, 0.6)
    pid = wait_for(lambda: gate.status("neutron").pid, "process")
    # Several times as much work as the limit on silence.
    ticks = os.sysconf("SC_CLK_TCK")
    wait_for(lambda: int(Path(f"/proc/{pid}/stat").read_text().split()[13]) > 1.5 * ticks, "CPU time")
    assert supervision.first_problem(gate.workspace) is None
    process.terminate()
    process.wait(20)


def test_answers(silent: str) -> None:
    assert not is_open(1)
    assert not answers("http://127.0.0.1:1/")


class _Asked(BaseHTTPRequestHandler):
    paths: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_error(500)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_any_answer_to_path_and_query_is_one() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Asked)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        assert answers(f"http://127.0.0.1:{server.server_port}/a b?deep=\u00fc%20&x=1")
    finally:
        server.shutdown()
        server.server_close()
    assert _Asked.paths == ["/a%20b?deep=%C3%BC%20&x=1"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://[::1/", "http:///", ""])
def test_an_address_that_makes_no_sense_does_not_answer(url: str) -> None:
    assert answers(url) is False


def test_https_is_asked_with_tls_and_any_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, int | None, ssl.SSLContext]] = []

    def refuse(host: str, port: int | None, *, timeout: float, context: ssl.SSLContext) -> None:
        made.append((host, port, context))
        raise ConnectionRefusedError

    monkeypatch.setattr(http.client, "HTTPSConnection", refuse)
    assert not answers("https://controller.example.org:8443/ready")
    ((host, port, context),) = made
    assert (host, port, context.verify_mode) == ("controller.example.org", 8443, ssl.CERT_NONE)


def test_a_look_that_fails_does_not_end_the_watch(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def broken(url: str) -> bool:
        asked.append(url)
        raise ValueError("of a kind that nobody thought of")

    monkeypatch.setattr(supervisor, "HEALTH_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "answers", broken)
    watching = supervisor.Supervisor(spec_file(gate.workspace.gate_dir), gate.workspace.gate_status)
    service = gate.service("controller", "sleep", "600", health_url="http://127.0.0.1:1/")
    process = start(service.argv, cwd=gate.workspace.root, env=gate.env, log=gate.workspace.root / "log")
    status = ServiceStatus("controller", None, "log", state=RUNNING, pid=process.pid)
    watching.running.append((service, process, status))
    thread = threading.Thread(target=watching._watch_health, daemon=True)
    thread.start()
    try:
        wait_for(lambda: len(asked) >= 2, "second look")
    finally:
        watching.stop_asked.set()
        thread.join(5)
        process.stop(1.0)
    assert not thread.is_alive()


def test_a_damaged_status_is_named(gate: Gate) -> None:
    gate.workspace.gate_logs.mkdir(parents=True)
    gate.workspace.gate_status.write_text('{"schema": 1, "services": [{"colour": "red"}]}')
    with pytest.raises(InfrastructureError, match=r"gate-status.json is damaged"):
        supervision.read_status(gate.workspace)
    gate.workspace.gate_status.unlink()


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (22, "exit code 22"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_an_exit_status_in_words(code: int, words: str) -> None:
    assert ended_how(code) == words


def test_a_service_survives_its_file() -> None:
    service = Service("a", 1, ("x", "y"), "/", {"A": "1"}, "/log", "http://127.0.0.1:1/", (1, 2))
    assert Service.from_json(json.loads(json.dumps(service.as_json()))) == service
