"""The one place where a command exits: every exception becomes its exit code here.

click would turn several things into 1 and drop a callback's return value, so its own ``main`` is not used.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import traceback
from pathlib import Path

import click

from ci_scripts import aborts
from ci_scripts.errors import CIError, ConfigurationError, InfrastructureError, InternalError, as_ci_error


def call(module: str, name: str, arguments: list[str] | None = None) -> int:
    """Run the click command ``module.command`` and return its exit code; never raises an exception of ours."""
    aborts.install()
    try:
        command: click.Command = importlib.import_module(module).command
        result = _invoked(command, name, sys.argv[1:] if arguments is None else arguments)
        code = result if isinstance(result, int) else 0
        abort = aborts.under_way()
        if abort is None:
            return code
        # Somebody between us and the work (a library with "except Exception") may have swallowed it.
        return _told(name, abort) if code == 0 else abort.exit_code
    except click.ClickException as error:
        error.show()
        return ConfigurationError.exit_code
    except click.Abort:
        return _told(name, aborts.under_way() or InternalError("aborted"))
    except BrokenPipeError:
        # Whoever read us went away (| head), and nothing can be said any more. Not 0: the work may be half done.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return InfrastructureError.exit_code
    except Exception as error:
        return _told(name, aborts.under_way() or _with_traceback(as_ci_error(error)))


def _invoked(command: click.Command, name: str, arguments: list[str]) -> object:
    # Not Command.main: it turns a closed pipe into exit code 1, which would blame the change.
    try:
        with command.make_context(name, list(arguments)) as context:
            return command.invoke(context)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code


def _with_traceback(error: CIError) -> CIError:
    if isinstance(error, InternalError):
        error.log, error.next_step = _write_traceback(), "report it with that log."
    return error


def _write_traceback() -> Path | None:
    # Only now: a fast --help loads no module of the domain.
    from ci_scripts.stage_log import current_workspace

    workspace = current_workspace()
    folder = workspace.logs if workspace else Path(tempfile.gettempdir())
    log = folder / f"internal-error-{os.getpid()}.log"
    with contextlib.suppress(OSError):
        log.write_text(traceback.format_exc())
        return log
    return None


def _told(name: str, error: CIError) -> int:
    print(f"{name}: {error}", file=sys.stderr, flush=True)
    return error.exit_code


def _stage(stage_name: str) -> None:
    sys.exit(call(f"ci_scripts.stages.{stage_name.replace('-', '_')}", f"ci-{stage_name}"))


def prepare_gate() -> None:
    _stage("prepare-gate")


def run_gate() -> None:
    _stage("run-gate")


def start_gate() -> None:
    _stage("start-gate")


def stop_gate() -> None:
    _stage("stop-gate")


def install_driver() -> None:
    _stage("install-driver")


def run_tempest() -> None:
    _stage("run-tempest")


def run_unit_tests() -> None:
    _stage("run-unit-tests")


def summarize_results() -> None:
    _stage("summarize-results")


def publish_logs() -> None:
    _stage("publish-logs")


def report_to_gerrit() -> None:
    _stage("report-to-gerrit")


def run_job() -> None:
    _stage("run-job")


def operate() -> None:
    sys.exit(call("ci_scripts.operate", "ci-operate"))
