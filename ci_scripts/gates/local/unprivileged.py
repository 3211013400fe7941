"""Root gives its rights up for the gate's services, where an ordinary user can reach what they need."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.local.layout import INSIDE
from ci_scripts.run_command import start

LOOK_SECONDS = 30.0
APPLICATION = INSIDE / "neutron_app.py"


def choose_user(
    name: str, python: Path, folders: Sequence[Path], env: Mapping[str, str]
) -> tuple[tuple[int, int] | None, str]:
    """The ids of user and group for the services, None to keep ours, and the reason to tell.

    Only root can change; it does where the user exists and can run ``python``, read our part of the applications and
    write to ``folders``, which are handed over to it.
    """
    if os.geteuid() != 0:
        return None, f"services run as {_our_name()}"
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None, f"services run as root: there is no user {name}"
    ids = (user.pw_uid, user.pw_gid)
    for folder in folders:
        _hand_over(folder, ids)
    # Tried the way the services are started: a home folder of root's may lie on the way to the interpreter.
    look = (
        "import os, sys, encodings.idna; "
        "sys.exit(not (os.access(sys.argv[1], os.R_OK) and all(os.access(f, os.W_OK) for f in sys.argv[2:])))"
    )
    log = folders[0] / "unprivileged.log"
    with contextlib.suppress(InfrastructureError):
        argv = [str(python), "-c", look, str(APPLICATION), *map(str, folders)]
        tried = start(argv, cwd=folders[0], env=env, log=log, user=ids)
        if tried.wait(LOOK_SECONDS) == 0:
            return ids, f"services run as {name}"
    for folder in folders:
        _hand_over(folder, (0, 0))
    return None, f"services run as root: {name} cannot reach {python}, {INSIDE} or the workspace"


def _our_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        # Containers run under numbers that no passwd entry knows.
        return f"user {os.geteuid()}"


def _hand_over(folder: Path, ids: tuple[int, int]) -> None:
    for parent, _, files in os.walk(folder):
        os.chown(parent, *ids, follow_symlinks=False)
        for file in files:
            os.chown(os.path.join(parent, file), *ids, follow_symlinks=False)
