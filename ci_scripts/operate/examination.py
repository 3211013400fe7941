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
from ci_scripts.git import git_environment, without_password
from ci_scripts.python_environments import uv_program
from ci_scripts.run_command import Completed, MoreOptions, last_lines, run
from ci_scripts.settings import command_environment, secret_values, transfer_environment
from ci_scripts.untrusted_words import revision_problem

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings

ASK_SECONDS = 60.0
WEB_SECONDS = 10.0
MYSQL_PORT = 3306
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
class Site:
    """What is examined: a configuration on this machine; ``env`` is what programs get of ``environment``."""

    settings: Settings
    env: Mapping[str, str]
    environment: Mapping[str, str]

    def ask(self, argv: list[str], text: str = "", env: Mapping[str, str] | None = None) -> Completed:
        """Run a program in an empty folder; it never raises for how that ends."""
        with tempfile.TemporaryDirectory() as folder:
            more: MoreOptions = {"grace": 2.0, "input_text": text}
            return run(argv, cwd=Path(folder), env=env or self.env, timeout=ASK_SECONDS, check=False, **more)


def examine(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, one after the other, as they are made."""
    site = Site(settings, command_environment(environment), environment)
    yield Finding("configuration", True, str(settings.config_path))
    for look in _LOOKS:
        yield from look(site)


def _python(site: Site) -> Iterator[Finding]:
    good = sys.version_info >= (3, 11)
    text = f"{sys.version.split()[0]} at {sys.executable}"
    yield Finding("python", good, text, "" if good else "install Python 3.11 or newer and make the environment anew")
    wanted = site.settings.gate.python
    if wanted is not None:
        argv = [uv_program(), "python", "find", "--no-python-downloads", "--no-project", wanted]
        done = site.ask(argv)
        good = done.exit_code == 0
        mend = "" if good else "install that Python, or change gate.python"
        yield Finding("gate.python", good, last_lines(done.output, 2), mend)


def _git(site: Site) -> Iterator[Finding]:
    done = site.ask(["git", "--version"])
    found = re.search(r"(\d+)\.(\d+)", done.output)
    good = done.exit_code == 0 and found is not None and (int(found[1]), int(found[2])) >= OLDEST_GIT
    yield Finding("git", good, last_lines(done.output, 1), "" if good else "install git 2.30 or newer")


def _disk(site: Site) -> Iterator[Finding]:
    workspace = Path.cwd() / site.environment.get("WORKSPACE", "")
    for what, folder in (("workspace", workspace), ("cache_dir", site.settings.cache_dir)):
        existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
        free = shutil.disk_usage(existing).free / GIB
        writable = existing.is_dir() and os.access(existing, os.W_OK)
        text = f"{free:.1f} GiB free at {existing}" + ("" if writable else ", not a folder that we can write to")
        mend = "" if free >= DISK_GIB and writable else f"make {DISK_GIB:g} GiB free there, or choose another folder"
        yield Finding(f"disk for {what}", not mend, text, mend)


def _memory(site: Site) -> Iterator[Finding]:
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    free = int(found[1]) * 1024 / GIB if found else 0.0
    mend = "" if free >= MEMORY_GIB else f"a shard needs about {MEMORY_GIB:g} GiB: end other work or set gate.shards: 1"
    yield Finding("memory", not mend, f"{free:.1f} GiB available", mend)


def _ports(site: Site) -> Iterator[Finding]:
    try:
        ports = free_ports(8)
    except OSError as error:
        yield Finding("ports", False, f"no free ports on 127.0.0.1: {error}", "see ss -ltn; is the loopback up?")
        return
    yield Finding("ports", True, f"{len(ports)} free ones on 127.0.0.1")
    for service in site.settings.services:
        url = service.ready_url or service.url or ""
        parts = urllib.parse.urlsplit(url if "{" not in url else "")
        if parts.port and parts.hostname in ("127.0.0.1", "localhost"):
            taken = is_taken(parts.port)
            mend = f"see who has it (ss -ltnp sport = :{parts.port}), or use {{port}} in ci.yaml" if taken else ""
            text = f"port {parts.port} is {'taken' if taken else 'free'}"
            yield Finding(f"services.{service.name}", not taken, text, mend)


def _package_index(site: Site) -> Iterator[Finding]:
    argv = [uv_program(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps"]
    argv += ["--refresh-package", "neutron", "--python", sys.executable, "-"]
    done = site.ask(argv, "neutron\n")
    good = done.exit_code == 0 and done.stopped_because is None
    text = f"answers; newest for this Python: {last_lines(done.output, 1)}" if good else last_lines(done.output, 4)
    mend = "" if good else "see the network and the settings of uv (UV_*), then try: uv pip compile - <<< neutron"
    yield Finding("package index", good, text, mend)


def _git_servers(site: Site) -> Iterator[Finding]:
    settings = site.settings
    sources = {f"projects.{name}": (project.url, project.branch) for name, project in settings.projects.items()}
    if settings.driver.source:
        sources["driver.source"] = (settings.driver.source, settings.driver.ref)
    for what, (url, ref) in sources.items():
        if url is None:
            continue
        is_commit = revision_problem(ref) is None
        wanted = ["--", url] if is_commit else ["--exit-code", "--", url, ref]
        env = git_environment(transfer_environment(site.environment))
        done = site.ask(["git", "-c", "protocol.ext.allow=never", "ls-remote", *wanted], env=env)
        good = done.exit_code == 0 and done.stopped_because is None
        said = done.stopped_because or last_lines(done.output, 3) or f"it has no {ref}"
        if good:
            said = f"answers; whether it has commit {ref} only a fetch can tell" if is_commit else f"has {ref}"
        mend = "" if good else "see the address and ref in ci.yaml, and the network"
        text = without_password(f"{url} {said}" if good else f"{url}: {said}")
        yield Finding(what, good, text, mend)


def _constraints(site: Site) -> Iterator[Finding]:
    """The URLs; that files are there is seen when ci.yaml is read."""
    import requests

    settings = site.settings
    entries = {f"branches.{name}.constraints": branch.constraints for name, branch in settings.branches.items()}
    for what, url in {"gate.constraints": settings.gate.constraints, **entries}.items():
        if url is None or "://" not in url:
            continue
        try:
            # Not HEAD: some servers of plain files refuse it.
            with requests.get(url, timeout=WEB_SECONDS, stream=True) as answer:
                good, said = answer.status_code < 400, f"answers {answer.status_code}"
        except requests.RequestException as error:
            good, said = False, f"does not answer: {error}"
        mend = "" if good else "see the address in ci.yaml, the network and the proxy (HTTPS_PROXY)"
        yield Finding(what, good, without_password(f"{url} {said}"), mend)


def _database(site: Site) -> Iterator[Finding]:
    if site.settings.gate.database == "sqlite":
        return
    try:
        parts = urllib.parse.urlsplit(site.settings.gate.database)
        host, port = parts.hostname or "", parts.port or MYSQL_PORT
    except ValueError as error:
        yield Finding("gate.database", False, f"its address makes no sense: {error}", "correct it in ci.yaml")
        return
    yield _connects("gate.database", host, port, WEB_SECONDS, "start the server, or see its address in ci.yaml")


def _driver_package(site: Site) -> Iterator[Finding]:
    package = site.settings.driver.package
    if package is None:
        return
    if Path(package).is_absolute():
        good = Path(package).exists()
        yield Finding("driver.package", good, package, "" if good else "there is no such path: see ci.yaml")
        return
    argv = [uv_program(), "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--no-deps", "-"]
    done = site.ask(argv, f"{package}\n")
    good = done.exit_code == 0
    mend = "" if good else "see the name and the version in ci.yaml"
    yield Finding("driver.package", good, last_lines(done.output, 2), mend)


def _commands(site: Site) -> Iterator[Finding]:
    settings = site.settings
    folder = settings.config_path.parent
    known = {"python": sys.executable, "config_dir": str(folder)}
    entries = [(f"services.{entry.name}", entry.command) for entry in settings.services]
    entries += [(f"checks.{entry.name}", entry.command) for entry in settings.checks]
    for what, command in entries:
        program = command[0]
        for name, value in known.items():
            program = program.replace(f"{{{name}}}", value)
        if "{" in program:
            continue
        # A path with a slash is one from the folder in which services and checks are started.
        found = shutil.which(str(folder / program) if "/" in program else program, path=site.env.get("PATH"))
        mend = "" if found else "install it, or write its whole path into ci.yaml"
        yield Finding(what, bool(found), found or f"there is no program {program}", mend)


def _probes(site: Site) -> Iterator[Finding]:
    """Probes of what is outside; those of our own services can only be asked while these run."""
    for probe in site.settings.probes:
        where = probe.url or probe.tcp or ""
        found = re.fullmatch(r"(?:https?://)?([^/{}:]+)(?::(\d+))?(?:/.*)?", where)
        if not found:
            continue
        port = int(found[2] or (443 if where.startswith("https") else 80))
        mend = "start what it asks, or see the address in ci.yaml"
        yield _connects(f"probes.{probe.name}", found[1], port, probe.timeout_seconds, mend)


def _connects(what: str, host: str, port: int, seconds: float, mend: str) -> Finding:
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, ValueError, OverflowError) as error:
        return Finding(what, False, f"{host}:{port}: {error}", mend)
    return Finding(what, True, f"{host}:{port} accepts connections")


def _secrets(site: Site) -> Iterator[Finding]:
    if not site.settings.secrets:
        return
    try:
        names = secret_values(site.settings, site.environment)
    except CIError as error:
        yield Finding("secrets", False, error.what, error.next_step)
        return
    yield Finding("secrets", True, f"{', '.join(names)} can be read")


_LOOKS: tuple[Callable[[Site], Iterator[Finding]], ...] = (
    _python,
    _git,
    _disk,
    _memory,
    _ports,
    _package_index,
    _git_servers,
    _constraints,
    _database,
    _driver_package,
    _commands,
    _probes,
    _secrets,
)
