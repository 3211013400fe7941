"""The supervisor as its users see it: start it, give it services, ask how they are, stop it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_scripts.errors import CIError, InfrastructureError
from ci_scripts.gates.local.services import GateStatus, Service, ServiceStatus, spec_file
from ci_scripts.process_tree import is_alive, start_time
from ci_scripts.run_command import last_lines, start
from ci_scripts.workspace import SCHEMA, Workspace, read_json, write_text_atomically

STOP_SECONDS = 45.0
TAIL_BYTES = 16 * 1024


def start_supervisor(workspace: Workspace, env: Mapping[str, str], *, owner: int | None, hang_seconds: float) -> None:
    """Start the supervisor in a session of its own, with no services yet; it goes when process ``owner`` goes.

    Raises InfrastructureError when it does not come up within 10 s.
    """
    workspace.gate_dir.mkdir(parents=True, exist_ok=True)
    workspace.gate_status.unlink(missing_ok=True)
    ticks = start_time(owner) if owner else None
    _write_spec(workspace, {"pid": owner, "ticks": ticks} if owner else None, hang_seconds, [])
    log = workspace.gate_logs / "supervisor.log"
    argv = [sys.executable, "-m", "ci_scripts.gates.local.supervisor"]
    argv += [str(spec_file(workspace.gate_dir)), str(workspace.gate_status)]
    supervisor = start(argv, cwd=workspace.gate_dir, env=env, log=log, session=True)
    deadline = time.monotonic() + 10.0
    while read_status(workspace) is None:
        if supervisor.exit_code() is not None or time.monotonic() > deadline:
            supervisor.stop()
            raise InfrastructureError("the gate's supervisor did not start.", log=log)
        time.sleep(0.02)


def add_services(workspace: Workspace, services: Sequence[Service]) -> None:
    """Have the supervisor start these as well. Raises InfrastructureError when it is not there."""
    status = read_status(workspace)
    if status is None or not _supervisor_lives(status):
        raise InfrastructureError("the gate's supervisor is not running.", next_step="run ci-start-gate.")
    spec = read_json(spec_file(workspace.gate_dir))
    known = [Service.from_json(entry) for entry in spec["services"]]
    _write_spec(workspace, spec["owner"], spec["hang_seconds"], [*known, *services])
    with contextlib.suppress(ProcessLookupError):
        os.kill(status.supervisor_pid, signal.SIGHUP)
    _wait_until_listed(workspace, len(known) + len(services))


def read_status(workspace: Workspace) -> GateStatus | None:
    """The supervisor's last word; None where there never was one. Raises InfrastructureError for a damaged file."""
    if not workspace.gate_status.exists():
        return None
    data = read_json(workspace.gate_status)
    try:
        return GateStatus.from_json(data)
    except (KeyError, TypeError) as error:
        raise InfrastructureError(
            f"{workspace.gate_status} is damaged: {error!r}.", next_step="look for the gate's processes with ps -ef."
        ) from error


def is_running(workspace: Workspace) -> bool:
    """Whether the gate's supervisor is alive."""
    status = read_status(workspace)
    return status is not None and _supervisor_lives(status)


def first_problem(workspace: Workspace) -> str | None:
    """Why the gate is not healthy: the service that died or hung first, or a supervisor that is gone."""
    status = read_status(workspace)
    if status is None:
        return "the gate was never started"
    bad = first_bad(workspace)
    if bad is not None:
        return describe(bad)
    if not _supervisor_lives(status):
        return "the gate's supervisor is gone"
    return None


def first_bad(workspace: Workspace) -> ServiceStatus | None:
    """The service that died or hung first, if any did."""
    status = read_status(workspace)
    bad = [service for service in status.services if service.is_bad] if status else []
    return min(bad, key=lambda service: service.ended or "", default=None)


def describe(service: ServiceStatus) -> str:
    """One paragraph: what happened to a service, when, and the end of its log."""
    tail = log_tail(Path(service.log))
    when = f" at {service.ended}" if service.ended else ""
    return f"{service.reason or service.state}{when}. End of {service.log}: {tail or '(empty)'}"


def log_tail(log: Path) -> str:
    """The last lines of a log, for an error."""
    with contextlib.suppress(OSError), open(log, "rb") as stream:
        stream.seek(max(0, log.stat().st_size - TAIL_BYTES))
        return last_lines(stream.read().decode(errors="replace"), 6)
    return ""


def stop_supervisor(workspace: Workspace) -> None:
    """End the supervisor and all it started; nothing happens where it is not running.

    Raises CIError when something of it survives even SIGKILL.
    """
    status = read_status(workspace)
    if status is None:
        return
    if _supervisor_lives(status):
        _end(status.supervisor_pid, status.supervisor_ticks, STOP_SECONDS)
    # Where the supervisor was killed itself, its services may be left.
    status = read_status(workspace) or status
    for service in status.services:
        if service.pid and service.start_ticks:
            _end(service.pid, service.start_ticks, 8.0)


def _end(pid: int, ticks: str | None, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    number = signal.SIGTERM
    while ticks is not None and is_alive(pid, ticks):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        number = signal.SIGCONT if number == signal.SIGTERM else number
        if time.monotonic() > deadline:
            number = signal.SIGKILL
        if time.monotonic() > deadline + 5:
            raise CIError(f"process {pid} of the gate could not be ended.", next_step=f"look at it: ps -fp {pid}")
        time.sleep(0.05)


def _supervisor_lives(status: GateStatus) -> bool:
    return status.supervisor_ticks is not None and is_alive(status.supervisor_pid, status.supervisor_ticks)


def _write_spec(workspace: Workspace, owner: object, hang_seconds: float, services: Sequence[Service]) -> None:
    import json

    spec = {
        "schema": SCHEMA,
        "owner": owner,
        "hang_seconds": hang_seconds,
        "services": [service.as_json() for service in services],
    }
    # Environments of services may hold lab credentials.
    write_text_atomically(spec_file(workspace.gate_dir), json.dumps(spec, indent=1), mode=0o600)


def _wait_until_listed(workspace: Workspace, count: int) -> None:
    deadline = time.monotonic() + 10.0
    while True:
        status = read_status(workspace)
        if status is not None and len(status.services) >= count:
            return
        if time.monotonic() > deadline:
            raise InfrastructureError(
                "the gate's supervisor does not react.", log=workspace.gate_logs / "supervisor.log"
            )
        time.sleep(0.02)


def status_of(workspace: Workspace, service: Service) -> ServiceStatus | None:
    """What is known of one service."""
    status = read_status(workspace)
    for entry in status.services if status else ():
        if (entry.name, entry.shard) == (service.name, service.shard):
            return entry
    return None
