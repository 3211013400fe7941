"""Why the wrapper ended with a code other than 0: which of its parts failed, why, and where the log is."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from ci_scripts.errors import CIError, ConfigurationError, InfrastructureError, TestsFailed
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack_gate import phases as names
from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.gates.devstack_gate.phases import HOOKS, KILLED, Phases
from ci_scripts.gates.devstack_gate.tails import tail_of
from ci_scripts.run_command import Completed, last_lines
from ci_scripts.workspace import read_json

STAGE_OF = {names.PRE: "install-driver", names.GATE: "start-gate", names.POST: "run-tempest"}
# The file in which a phase says more than on the console.
LOG_OF = {
    names.HOST: "devstack-gate-setup-host.txt",
    names.PROJECTS: "devstack-gate-setup-workspace-new.txt",
    names.CLEANING: "devstack-gate-cleanup-host.txt",
}
LINES = 8


def failure_of(context: GateContext, layout: WrapperLayout, phases: Phases, done: Completed) -> CIError | None:
    """The error that the wrapper's end stands for; None where it ended well, or with failed tests."""
    context.record.notes["wrapper"] = {"exit_code": done.exit_code, "ended_in": phases.now}
    if done.stopped_because is not None:
        return _stopped(context, layout, phases, done.stopped_because)
    if done.exit_code == 0:
        return _nothing_ran(context, layout)
    where = phases.ended_in()
    if phases.no_time is not None:
        context.record.outcome = "TIMED_OUT"
        return InfrastructureError(
            f"devstack-gate had no time left for {where} (it says 'Already timed out.').",
            log=layout.console,
            next_step="see which step took so long; gate.timeout_minutes is the time for all of it.",
        )
    if where not in HOOKS:
        return _setup_failed(layout, where, done)
    return _hook_failed(context, layout, phases, where, phases.codes.get(where, done.exit_code))


def _stopped(context: GateContext, layout: WrapperLayout, phases: Phases, because: str) -> CIError:
    if because.startswith("its time was up"):
        context.record.outcome = "TIMED_OUT"
        because = f"gate.timeout_minutes ({context.settings.gate.timeout_minutes}) is over"
    return InfrastructureError(f"devstack-gate was stopped in '{phases.now}': {because}.", log=layout.console)


def _nothing_ran(context: GateContext, layout: WrapperLayout) -> CIError | None:
    # It calls a hook only if it is defined, and says nothing where it is not.
    missing = [
        hook for hook, stage in STAGE_OF.items() if not (context.workspace.stages_dir / f"{stage}.json").exists()
    ]
    if not missing:
        return None
    return InfrastructureError(
        f"devstack-gate ended well without having called {', '.join(missing)}.",
        log=layout.console,
        next_step="see whether environment.sh defines the hooks for this bash (export -f).",
    )


def _setup_failed(layout: WrapperLayout, where: str, done: Completed) -> CIError:
    name = LOG_OF.get(where)
    log, said = layout.console, last_lines(done.output, LINES)
    for path in _places(layout, name) if name else ():
        tail = tail_of(path)
        if tail is not None:
            log, said = layout.collected / path.name, last_lines(tail, LINES)
            break
    doing = "start" if where == names.START else where
    return InfrastructureError(
        f"devstack-gate could not {doing} (exit code {done.exit_code}): {said}",
        log=log,
        next_step="nothing of the change has run: mend the node, git servers or mirrors, and run the job again.",
    )


def _places(layout: WrapperLayout, name: str) -> list[Path]:
    return [folder / f"{name}{end}" for folder in (layout.logs, layout.base_logs, layout.root) for end in ("", ".gz")]


def _hook_failed(context: GateContext, layout: WrapperLayout, phases: Phases, hook: str, code: int) -> CIError | None:
    inner = _record(context, hook)
    if hook == names.POST and code == TestsFailed.exit_code and inner.get("exit_code") == TestsFailed.exit_code:
        return None
    if code == KILLED:
        context.record.outcome = "TIMED_OUT"
        minutes = f" of {phases.limit} minutes" if phases.limit is not None else ""
        return InfrastructureError(
            f"{hook} was killed (SIGKILL) by the wrapper's time limit{minutes}.",
            log=layout.console,
            next_step="see what it did last; long before its time it was the out-of-memory killer: dmesg.",
        )
    if inner.get("exit_code") == code and inner.get("reason"):
        kind = ConfigurationError if code == ConfigurationError.exit_code else InfrastructureError
        return kind(f"{hook}: {inner['reason']}")
    return InfrastructureError(
        f"{hook} ended with exit code {code}.", log=layout.console, next_step="read the end of that log."
    )


def _record(context: GateContext, hook: str) -> dict[str, Any]:
    with contextlib.suppress(InfrastructureError):
        return read_json(context.workspace.stages_dir / f"{STAGE_OF[hook]}.json")
    return {}
