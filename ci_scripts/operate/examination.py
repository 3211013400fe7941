"""What doctor looks at, one function per thing; each says what it found and how to mend it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.errors import CIError
from ci_scripts.gates.local.ports import free_ports, is_taken
from ci_scripts.python_environments import uv_program
from ci_scripts.run_command import Completed, MoreOptions, last_lines, run
from ci_scripts.settings import command_environment, secret_values

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings

ASK_SECONDS = 60.0
GIB = 1024**3
DISK_GIB = 4.0
MEMORY_GIB = 1.5
OLDEST_GIT = (2, 30)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``mend`` is empty where all is well."""

    what: str
    good: bool
    text: str
    mend: str = ""


@dataclass(frozen=True)
class _Patient:
    settings: Settings
    env: Mapping[str, str]
    environment: Mapping[str, str]

    def ask(self, argv: list[str], text: str = "") -> Completed:
        with tempfile.TemporaryDirectory() as folder:
            more: MoreOptions = {"grace": 2.0, "input_text": text}
            return run(argv, cwd=Path(folder), env=self.env, timeout=ASK_SECONDS, check=False, **more)


def examine(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, one after the other, as they are made."""
    patient = _Patient(settings, command_environment(environment), environment)
    yield Finding("configuration", True, str(settings.config_path))
    for look in _LOOKS:
        yield from look(patient)


def _python(patient: _Patient) -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    text = f"{sys.version.split()[0]} at {sys.executable}"
    yield Finding("python", good, text, "" if good else "install Python 3.11 or newer and make the environment anew")
    wanted = patient.settings.gate.python
    if wanted is not None:
        argv = [uv_program(), "python", "find", "--no-python-downloads", "--no-project", wanted]
        done = patient.ask(argv)
        good = done.exit_code == 0
        mend = "" if good else "install that Python, or change gate.python"
        yield Finding("gate.python", good, last_lines(done.output, 2), mend)


def _git(patient: _Patient) -> Iterator[Finding]:
    done = patient.ask(["git", "--version"])
    found = re.search(r"(\d+)\.(\d+)", done.output)
    good = done.exit_code == 0 and found is not None and (int(found[1]), int(found[2])) >= OLDEST_GIT
    yield Finding("git", good, last_lines(done.output, 1), "" if good else "install git 2.30 or newer")


def _disk(patient: _Patient) -> Iterator[Finding]:
    for what, folder in (("workspace", Path.cwd()), ("cache_dir", patient.settings.cache_dir)):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(existing).free / GIB
        writable = os.access(existing, os.W_OK)
        text = f"{free:.1f} GiB free at {existing}" + ("" if writable else ", not writable")
        mend = "" if free >= DISK_GIB and writable else f"make {DISK_GIB:g} GiB free there, or choose another folder"
        yield Finding(f"disk for {what}", not mend, text, mend)


def _memory(patient: _Patient) -> Iterator[Finding]:
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    free = int(found[1]) * 1024 / GIB if found else 0.0
    mend = "" if free >= MEMORY_GIB else f"a shard needs about {MEMORY_GIB:g} GiB: end other work or set gate.shards: 1"
    yield Finding("memory", not mend, f"{free:.1f} GiB available", mend)


def _ports(patient: _Patient) -> Iterator[Finding]:
    try:
        ports = free_ports(8)
    except OSError as error:
        yield Finding("ports", False, f"no free ports on 127.0.0.1: {error}", "see ss -ltn; is the loopback up?")
        return
    yield Finding("ports", True, f"{len(ports)} free ones on 127.0.0.1")
    for service in patient.settings.services:
        url = service.ready_url or service.url or ""
        parts = urllib.parse.urlsplit(url if "{" not in url else "")
        if parts.port and parts.hostname in ("127.0.0.1", "localhost"):
            taken = is_taken(parts.port)
            mend = f"see who has it (ss -ltnp sport = :{parts.port}), or use {{port}} in ci.yaml" if taken else ""
            text = f"port {parts.port} is {'taken' if taken else 'free'}"
            yield Finding(f"services.{service.name}", not taken, text, mend)


def _package_index(patient: _Patient) -> Iterator[Finding]:
    argv = [uv_program(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps"]
    argv += ["--refresh-package", "neutron", "--python", sys.executable, "-"]
    done = patient.ask(argv, "neutron\n")
    good = done.exit_code == 0 and done.stopped_because is None
    text = f"answers; newest for this Python: {last_lines(done.output, 1)}" if good else last_lines(done.output, 4)
    mend = "" if good else "see the network and the settings of uv (UV_*), then try: uv pip compile - <<< neutron"
    yield Finding("package index", good, text, mend)


def _git_servers(patient: _Patient) -> Iterator[Finding]:
    settings = patient.settings
    sources = {f"projects.{name}": (project.url, project.branch) for name, project in settings.projects.items()}
    if settings.driver.source:
        sources["driver.source"] = (settings.driver.source, settings.driver.ref)
    for what, (url, ref) in sources.items():
        if url is None:
            continue
        argv = ["git", "-c", "protocol.ext.allow=never", "ls-remote", "--exit-code", "--", url, ref]
        done = patient.ask(argv)
        good = done.exit_code == 0 and done.stopped_because is None
        said = done.stopped_because or last_lines(done.output, 3) or f"it has no {ref}"
        mend = "" if good else "see the address and ref in ci.yaml, and the network"
        yield Finding(what, good, f"{url} has {ref}" if good else f"{url}: {said}", mend)


def _driver_package(patient: _Patient) -> Iterator[Finding]:
    package = patient.settings.driver.package
    if package is None:
        return
    if Path(package).is_absolute():
        good = Path(package).exists()
        yield Finding("driver.package", good, package, "" if good else "there is no such path: see ci.yaml")
        return
    argv = [uv_program(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps", "-"]
    done = patient.ask(argv, f"{package}\n")
    good = done.exit_code == 0
    mend = "" if good else "see the name and the version in ci.yaml"
    yield Finding("driver.package", good, last_lines(done.output, 2), mend)


def _commands(patient: _Patient) -> Iterator[Finding]:
    settings = patient.settings
    known = {"python": sys.executable, "config_dir": str(settings.config_path.parent)}
    entries = [(f"services.{entry.name}", entry.command) for entry in settings.services]
    entries += [(f"checks.{entry.name}", entry.command) for entry in settings.checks]
    for what, command in entries:
        program = command[0]
        for name, value in known.items():
            program = program.replace(f"{{{name}}}", value)
        if "{" in program:
            continue
        found = shutil.which(program, path=patient.env.get("PATH"))
        mend = "" if found else "install it, or write its whole path into ci.yaml"
        yield Finding(what, bool(found), found or f"there is no program {program}", mend)


def _probes(patient: _Patient) -> Iterator[Finding]:
    """Probes of what is outside; those of our own services can only be asked while these run."""
    for probe in patient.settings.probes:
        where = probe.url or probe.tcp or ""
        found = re.fullmatch(r"(?:https?://)?([^/{}:]+)(?::(\d+))?(?:/.*)?", where)
        if not found:
            continue
        port = int(found[2] or (443 if where.startswith("https") else 80))
        try:
            socket.create_connection((found[1], port), timeout=probe.timeout_seconds).close()
        except OSError as error:
            mend = "start what it asks, or see the address in ci.yaml"
            yield Finding(f"probes.{probe.name}", False, f"{found[1]}:{port}: {error}", mend)
        else:
            yield Finding(f"probes.{probe.name}", True, f"{found[1]}:{port} accepts connections")


def _secrets(patient: _Patient) -> Iterator[Finding]:
    if not patient.settings.secrets:
        return
    try:
        names = secret_values(patient.settings, patient.environment)
    except CIError as error:
        yield Finding("secrets", False, error.what, error.next_step)
        return
    yield Finding("secrets", True, f"{', '.join(names)} can be read")


_LOOKS: tuple[Callable[[_Patient], Iterator[Finding]], ...] = (
    _python,
    _git,
    _disk,
    _memory,
    _ports,
    _package_index,
    _git_servers,
    _driver_package,
    _commands,
    _probes,
    _secrets,
)
