"""The logs of DevStack's services as plain files: from systemd's journal, else from the files of older releases."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.node_files import copy_masked
from ci_scripts.gates.devstack.passwords import to_mask
from ci_scripts.gates.devstack.stack_user import StackUser, as_root, guarded
from ci_scripts.run_command import run

MOST_OF_ONE = 256 * 1024 * 1024
MOST_OF_ALL = 1024 * 1024 * 1024
MOST_FILES = 300
LIST_SECONDS = 30.0
JOURNAL_SECONDS = 180.0
# Neutron's API server: as a WSGI application, and before that as neutron-server, under the old and the newer name.
NEUTRON_SERVERS = ("neutron-api", "q-svc", "neutron-server")
_UNIT = re.compile(r"devstack@([A-Za-z0-9_.-]+)\.service")
# stack.sh's own log is ours already (stack.log); what it writes below LOGDIR has the date in its name.
_WANTED = re.compile(
    r"(?!stack\.sh\.log\.[-\d]+$).*\.(?:log|txt|conf|ini)(?:\.\d{4}-\d{2}-\d{2}[-\d]*)?|.*\.summary.*|worlddump.*"
)


def shard_logs(context: GateContext) -> Path:
    """The one shard's folder below logs/gate."""
    return context.workspace.gate_logs / "shard0"


def collect_neutron_log(context: GateContext, user: StackUser, base: Path) -> Path:
    """Write shard0/neutron.log anew: everything that Neutron's API server has said so far. It may stay empty."""
    target = shard_logs(context) / "neutron.log"
    unit, file = _neutron_server(context, user, base)
    if unit is not None and _journal(context, user, unit, target):
        return target
    if file is not None:
        with contextlib.suppress(OSError):
            copy_masked(file, target, to_mask(context), MOST_OF_ONE)
            return target
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()
    return target


def follow_neutron_log(context: GateContext, user: StackUser, base: Path) -> list[str]:
    """A command that prints Neutron's log from the beginning and goes on as it grows, until it is ended.

    A vendor's check reads shard0/neutron.log while the gate is up.
    """
    unit, file = _neutron_server(context, user, base)
    if unit is not None:
        words = ["journalctl", "--follow", *_journal_words(context, unit)]
        # Through sudo it is root's, which our signals do not reach; the guard's user may use sudo to end it.
        followed = words if user.root_argv(words) == words else guarded(user, user.root_argv(words), Path("/"))
    else:
        followed = ["tail", "--lines=+1", "--follow=name", "--quiet", str(file or base / "logs" / "neutron-api.log")]
    # Where it ends by itself, nothing of the gate is lost.
    return ["bash", "-c", '"$@" < <(exec sleep infinity); exec sleep infinity', "follow", *followed]


def _neutron_server(context: GateContext, user: StackUser, base: Path) -> tuple[str | None, Path | None]:
    """The unit of Neutron's API server, or else the file of its log; DevStack's names for the files are links."""
    units = units_of(context, user)
    unit = next((name for name in NEUTRON_SERVERS if name in units), None)
    names = (f"{start}{name}.log" for name in NEUTRON_SERVERS for start in ("", "screen-"))
    found = ((base / "logs" / name).resolve() for name in names)
    return unit, next((path for path in found if path.is_file()), None)


def units_of(context: GateContext, user: StackUser) -> list[str]:
    """The names of DevStack's systemd units (``devstack@NAME``) on this node; none where there is no systemd."""
    words = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", "devstack@*"]
    done = as_root(context, user, words, timeout=LIST_SECONDS, check=False)
    return sorted(set(_UNIT.findall(done.output))) if done.exit_code == 0 else []


def _journal(context: GateContext, user: StackUser, name: str, target: Path) -> bool:
    """One unit's journal since the run began, with times in ISO 8601; whether there was anything."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    argv = user.root_argv(["journalctl", *_journal_words(context, name)])
    # Bounded by head, which closes the pipe; a log of hundreds of megabytes is worth no full disk.
    piped = ["bash", "-c", f'"$@" | head -c {MOST_OF_ONE}', "journal", *argv]
    env = {**context.env, "TZ": "UTC"}
    run(piped, cwd=Path("/"), env=env, timeout=JOURNAL_SECONDS, log=target, check=False, secrets=to_mask(context))
    return target.exists() and target.stat().st_size > 0


def _journal_words(context: GateContext, name: str) -> list[str]:
    words = ["--no-pager", "--quiet", "--output", "short-iso-precise", "--unit", f"devstack@{name}.service"]
    return [*words, "--since", _since(context)]


def _since(context: GateContext) -> str:
    """The start of the run as journalctl reads it: an earlier run's log on a kept node is not this one's."""
    created = str(context.run.get("created") or "")
    found = re.match(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})", created)
    return f"{found.group(1)} {found.group(2)} UTC" if found else "-1d"


def collect_all(context: GateContext, user: StackUser, base: Path) -> None:
    """Copy what a person wants to read afterwards into shard0/: journals, LOGDIR, worlddumps, Neutron's configuration.

    Nothing is raised: logs are evidence of a failure, not one themselves.
    """
    target = shard_logs(context)
    neutron = collect_neutron_log(context, user, base)
    left = MOST_OF_ALL - neutron.stat().st_size
    for name in units_of(context, user)[:MOST_FILES]:
        if left > 0 and name not in NEUTRON_SERVERS and _journal(context, user, name, target / f"{name}.log"):
            left -= (target / f"{name}.log").stat().st_size
    places = ((base / "logs", "devstack"), (Path("/etc/neutron"), "etc/neutron"), (base / "tempest/etc", "etc/tempest"))
    hidden = to_mask(context)
    for folder, name in places:
        for path in _files(folder)[:MOST_FILES]:
            if left <= 0:
                context.record.say(f"no more logs are collected: {MOST_OF_ALL} bytes are enough")
                return
            with contextlib.suppress(OSError):
                wanted = target / name / path.relative_to(folder)
                left -= copy_masked(path, wanted, hidden, min(left, MOST_OF_ONE))


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(folders)[:50] if len(Path(parent).relative_to(folder).parts) < 3 else []
        for name in sorted(names):
            path = Path(parent, name)
            if _WANTED.fullmatch(name) and not path.is_symlink():
                found.append(path)
    return found
