"""Commands as the user that runs DevStack, and as root: by our own rights, root's, or sudo's.

DevStack refuses to run as root, and its account may do everything through sudo (tools/create-stack-user.sh). The job
runs as that account itself, as root, or as a user of the node with ``sudo -n``; each way is one prefix of a command.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.passwords import to_mask
from ci_scripts.run_command import Completed, run

GUARD = Path(__file__).with_name("guard.py")
# As a login of the account has it: the job's own virtual environment must not be what DevStack finds first.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
PASSED_ON_PREFIXES = ("PIP_", "SSL_CERT_", "GIT_SSL_")
PASSED_ON_FILES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
SHORT_SECONDS = 60.0
COPY_SECONDS = 900.0
# Between SIGTERM and SIGKILL. run-gate gives a hook 20 s to end, and we are inside of one.
GUARD_GRACE_SECONDS = 8.0
STOP_SECONDS = 18.0
# Standard input that ends when this shell's group is ended: the guard, which sudo may keep out of our signals'
# reach, notices that.
_HELD = '"$@" < <(exec sleep infinity)'


@dataclass(frozen=True)
class StackUser:
    """The account and the way in which we get its rights."""

    name: str
    uid: int
    gid: int
    way: Literal["own", "root", "sudo"]
    env: Mapping[str, str]

    @classmethod
    def of(cls, context: GateContext) -> StackUser:
        """``gate.devstack.user``. Raises ConfigurationError where there is no such user on this machine."""
        name = context.settings.gate.devstack.user
        try:
            found = pwd.getpwnam(name)
        except KeyError as error:
            raise ConfigurationError(
                f"there is no user {name!r} on this machine (gate.devstack.user).",
                next_step="make it as root with DevStack's tools/create-stack-user.sh.",
            ) from error
        way: Literal["own", "root", "sudo"] = "sudo"
        if found.pw_uid == os.geteuid():
            way = "own"
        elif os.geteuid() == 0:
            way = "root"
        return cls(name, found.pw_uid, found.pw_gid, way, _environment(context, found))

    def argv(self, words: Sequence[str]) -> list[str]:
        """A command as this user, with a clean environment of its own."""
        clean = ["env", "-i", *(f"{name}={value}" for name, value in self.env.items()), *words]
        if self.way == "own":
            return clean
        if self.way == "root":
            return ["setpriv", "--reuid", str(self.uid), "--regid", str(self.gid), "--init-groups", "--", *clean]
        return ["sudo", "-n", "-H", "-u", self.name, "--", *clean]

    def root_argv(self, words: Sequence[str]) -> list[str]:
        """A command with root's rights; our own where we are the account itself and nothing else helps."""
        if os.geteuid() == 0:
            return list(words)
        return ["sudo", "-n", "--", *words]

    def placing_argv(self, words: Sequence[str]) -> list[str]:
        """A command that may write below the account's folders: itself where we are it, else root."""
        return list(words) if self.way == "own" else self.root_argv(words)


def _environment(context: GateContext, user: pwd.struct_passwd) -> dict[str, str]:
    passed = {
        name: value
        for name, value in context.env.items()
        if name in (*PASSED_ON, *PASSED_ON_FILES) or name.startswith(PASSED_ON_PREFIXES)
    }
    own = {"HOME": user.pw_dir, "USER": user.pw_name, "LOGNAME": user.pw_name, "PATH": SYSTEM_PATH}
    return {**passed, **own, "LANG": "C.UTF-8", "SHELL": "/bin/bash"}


def as_user(
    context: GateContext, user: StackUser, words: Sequence[str], *, timeout: float = SHORT_SECONDS, check: bool = True
) -> Completed:
    """A short command as the account. Raises CommandFailed unless ``check`` is false."""
    return _short(context, user.argv(words), timeout, check)


def as_root(
    context: GateContext, user: StackUser, words: Sequence[str], *, timeout: float = SHORT_SECONDS, check: bool = True
) -> Completed:
    """A short command with root's rights. Raises CommandFailed unless ``check`` is false."""
    return _short(context, user.root_argv(words), timeout, check)


def content_for(context: GateContext, argv: Sequence[str], timeout: float = SHORT_SECONDS) -> Completed:
    """What a command prints that shows a file: as it is, for us alone, so it goes to no log. Never raises."""
    return run(argv, cwd=Path("/"), env=context.env, timeout=timeout, check=False)


def placing(context: GateContext, user: StackUser, words: Sequence[str], timeout: float = COPY_SECONDS) -> Completed:
    """A command that writes below the account's folders. Raises InfrastructureError with what sudo wants."""
    try:
        return _short(context, user.placing_argv(words), timeout, True)
    except InfrastructureError as error:
        if user.way == "sudo" and not error.next_step:
            error.next_step = "the job's user needs 'sudo -n' for everything on this node: see docs/devstack.md."
        raise


def _short(context: GateContext, argv: Sequence[str], timeout: float, check: bool) -> Completed:
    log = context.workspace.gate_logs / "node-commands.log"
    return run(
        argv,
        cwd=Path("/"),
        env=context.env,
        timeout=timeout,
        log=log,
        check=check,
        secrets=to_mask(context),
    )


def guarded(user: StackUser, words: Sequence[str], folder: Path) -> list[str]:
    """A command as the account, in ``folder``, that ends with all below it when its standard input ends."""
    source = GUARD.read_text()
    return user.argv(["python3", "-I", "-c", source, str(GUARD_GRACE_SECONDS), str(folder), *words])


def run_guarded(
    context: GateContext,
    user: StackUser,
    words: Sequence[str],
    folder: Path,
    *,
    timeout: float,
    log: Path,
    on_line: Callable[[str], None] | None = None,
) -> Completed:
    """A long command as the account; the end of its output, masked, goes to ``log``.

    It runs in a session of its own below a guard (guard.py). When the time is up or we are aborted, the guard
    ends it and everything below it, in all three ways. What it left running by itself stays when it ended by itself.
    """
    return run(
        ["bash", "-c", _HELD, "as-stack-user", *guarded(user, words, folder)],
        cwd=Path("/"),
        env=context.env,
        timeout=timeout,
        log=log,
        check=False,
        on_line=on_line,
        secrets=to_mask(context),
        grace=STOP_SECONDS,
    )
