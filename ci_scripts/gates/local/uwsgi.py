"""The command line with which OpenStack's APIs run, as DevStack runs them: uWSGI, one process."""

from __future__ import annotations

from pathlib import Path

from ci_scripts.gates.local.layout import INSIDE
from ci_scripts.gates.local.ports import HOST


def api_argv(environment: Path, application: str, port: int) -> tuple[str, ...]:
    """uWSGI serving ``inside/<application>.py`` on a port of the loopback interface.

    The header is DevStack's too: uWSGI's own HTTP socket closes the connection after each answer without saying so,
    and a client that keeps it would see a reset.
    """
    return (
        str(environment / "bin" / "pyuwsgi"),
        "--http-socket",
        f"{HOST}:{port}",
        "--wsgi-file",
        str(INSIDE / f"{application}.py"),
        "--pythonpath",
        str(INSIDE),
        "--callable",
        "application",
        "--need-app",
        "--die-on-term",
        "--single-interpreter",
        "--enable-threads",
        "--buffer-size",
        "65535",
        "--add-header",
        "Connection: close",
        "--disable-logging",
    )
