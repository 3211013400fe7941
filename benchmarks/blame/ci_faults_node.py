"""Faults of the node, of the site's own configuration, and of what comes back from the node."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
from collections.abc import Callable
from pathlib import Path

from benchmarks.blame.case import Case
from benchmarks.blame.case_run import CaseRun
from benchmarks.blame.selections import ALLOCATION, FEW, NETWORKS, NETWORKS_AND_PORTS, NOTHING
from benchmarks.blame.servers import closed_port
from ci_scripts.gates.local.ports import HOST


def _small_disk(name: str, size: str) -> Callable[[CaseRun], None]:
    """A folder of the workspace is a file system of this size, which fills up by itself."""

    def arrange(run: CaseRun) -> None:
        target = run.workspace / name
        target.mkdir(parents=True)
        # In a mount name space of the job's own: nothing can be left mounted, however it ends.
        namespace = ["unshare", "--mount"] + (["--user", "--map-root-user"] if os.geteuid() else [])
        mount = f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(target))}"
        run.prefix = [*namespace, "sh", "-c", f'{mount} && exec "$@"', "sh"]

    return arrange


def disk_full_for_databases(run: CaseRun) -> None:
    """The file system of the databases is filled when the tests have begun."""
    _small_disk("gate", "32m")(run)

    def fill() -> None:
        if not run.wait_for(run.tests_have_begun):
            return
        # The job's view of the files, which has the small file system.
        balloon = Path(f"/proc/{run.pid_of('neutron')}/root{run.workspace}/gate/balloon")
        with contextlib.suppress(OSError), open(balloon, "wb", buffering=0) as file:
            while file.write(b"\0" * 4096) == 4096:
                pass
        run.note("the disk of the databases is full")

    run.beside(fill)


def port_taken(run: CaseRun) -> None:
    holder = run.exits.enter_context(socket.socket())
    holder.bind((HOST, 0))
    holder.listen()
    port = str(holder.getsockname()[1])
    service = run.config["services"][0]
    service["command"] = [word.replace("{port}", port) for word in service["command"]]
    service["url"] = f"http://{HOST}:{port}"


def wrong_driver_loaded(run: CaseRun) -> None:
    run.config["driver"]["neutron_config"]["ml2_conf.ini"]["ml2"]["mechanism_drivers"] = "logger"


def stream_truncated(run: CaseRun) -> None:
    """The stages as Jenkins calls them; on the way to the trusted side the stream loses its end."""
    run.command("ci-prepare-gate", *run.change())
    run.command("ci-run-gate")
    size = run.stream.stat().st_size
    os.truncate(run.stream, size * 2 // 3)
    run.command("ci-summarize-results")


def nothing_selected(run: CaseRun) -> None:
    """Only the regex of the case is wrong."""


def everything_skipped(run: CaseRun) -> None:
    run.config["tempest"]["config"]["service_available"] = {"neutron": False}


def tempest_cannot_log_in(run: CaseRun) -> None:
    run.config["tempest"]["config"]["auth"] = {"admin_password": "not the password"}


def wrong_option_of_tempest(run: CaseRun) -> None:
    """Networks of four addresses are too small for one of the tests."""
    run.config["tempest"]["config"]["network"] = {"project_network_mask_bits": 30}


def check_is_wrong(run: CaseRun) -> None:
    """A vendor's check that says no to everything."""
    run.config["checks"].append({"name": "always-says-no", "command": ["sh", "-c", "echo it is wrong; exit 1"]})


def history_unreachable(run: CaseRun) -> None:
    url = f"postgresql+psycopg://ci@{HOST}:{closed_port()}/history"
    run.config["history"] = {"url": url, "timeout_seconds": 3}
    run.options = ["--record"]


_CI, _NOBODY, _NOT = ("ci",), ("nobody",), ("ci", "nobody", "unknown")
_LOGS, _RESULTS = _small_disk("logs", "400k"), _small_disk("report", "8k")
CASES = (
    Case("disk-full-database", "ci", "no room for the databases", disk_full_for_databases, _NOT, NETWORKS_AND_PORTS),
    Case("disk-full-logs", "ci", "no room for logs and the stream", _LOGS, _NOT, NETWORKS_AND_PORTS),
    Case("disk-full-results", "ci", "no room for the reports", _RESULTS, _NOT, FEW),
    Case("port-taken", "ci", "somebody has the controller's port", port_taken, _CI, FEW),
    Case("wrong-driver", "ci", "Neutron is told to load another driver", wrong_driver_loaded, _CI, FEW),
    Case("stream-truncated", "ci", "the stream loses its end", lambda run: None, _CI, NETWORKS, drive=stream_truncated),
    Case("zero-tests", "ci", "the regex selects nothing", nothing_selected, _CI, NOTHING),
    Case("all-skipped", "ci", "Tempest skips everything", everything_skipped, _CI, FEW),
    Case("wrong-password", "ci", "Tempest cannot log in", tempest_cannot_log_in, _CI, FEW),
    Case("always-fails", "ci", "a test fails on every change", wrong_option_of_tempest, _CI, ALLOCATION),
    Case("check-always-fails", "ci", "a check fails on every change", check_is_wrong, _CI, FEW),
    Case("history-unreachable", "ci", "nobody listens at the history", history_unreachable, _NOBODY, FEW),
)
