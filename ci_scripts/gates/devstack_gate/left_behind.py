"""Ending what the wrapper left: hooks that its time-out killed leave processes in groups of their own."""

from __future__ import annotations

import shutil

from ci_scripts.errors import CIError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import supervision
from ci_scripts.process_tree import left_below_us, stop_orphans
from ci_scripts.run_command import run

GRACE_SECONDS = 8.0
SUDO_SECONDS = 20.0


def end_left_behind(context: GateContext) -> int:
    """End every process below us but the supervisor with the vendor's services; how many there were.

    What sudo started and we may not signal is ended by sudo. Raises CIError for what is left then.
    """
    status = supervision.read_status(context.workspace)
    spare = (status.supervisor_pid,) if status is not None else ()
    found = left_below_us(spare)
    if not found:
        return 0
    try:
        stop_orphans(GRACE_SECONDS, spare)
    except CIError:
        left = left_below_us(spare)
        if not left or shutil.which("sudo", path=context.env.get("PATH")) is None:
            raise
        argv = ["sudo", "-n", "kill", "-s", "KILL", "--", *map(str, left)]
        run(argv, cwd=context.workspace.root, env=context.env, timeout=SUDO_SECONDS, check=False)
        stop_orphans(1.0, spare)
    return len(found)
