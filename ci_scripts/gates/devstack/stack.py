"""stack.sh, unstack.sh and clean.sh as DevStack's user, and what is known of where they got to."""

from __future__ import annotations

import contextlib
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import CIError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.first_cause import first_cause, summary_of
from ci_scripts.gates.devstack.node_files import read_small
from ci_scripts.gates.devstack.stack_user import StackUser, as_user, run_guarded
from ci_scripts.run_command import Completed, last_lines
from ci_scripts.workspace import SCHEMA, Workspace, read_json, write_json_atomically

# Where DevStack is: its trees are being placed, they are there with local.conf, stack.sh has begun, stack.sh is done.
PLACING, PLACED, STACKING, STACKED = "placing", "placed", "stacking", "stacked"
TRACE_BYTES = 2 * 1024 * 1024
DUMP_SECONDS = 120.0
# An abort under way cannot wait for as long as a node that ends in good order.
ABORT_SECONDS = 120.0


def state(workspace: Workspace) -> str | None:
    """PLACING, PLACED, STACKING or STACKED; None where there is no DevStack of this run."""
    path = _state_file(workspace)
    return str(read_json(path).get("state")) if path.exists() else None


def set_state(workspace: Workspace, word: str | None) -> None:
    """Note where DevStack is; None: it is gone."""
    if word is None:
        _state_file(workspace).unlink(missing_ok=True)
    else:
        write_json_atomically(_state_file(workspace), {"schema": SCHEMA, "state": word})


def _state_file(workspace: Workspace) -> Path:
    return workspace.gate_dir / "devstack.json"


def run_stack(context: GateContext, user: StackUser, devstack: Path) -> None:
    """Run stack.sh to its end; its log is logs/gate/stack.log, and what it tells its user is told to ours.

    Raises InfrastructureError with the first cause.
    """
    log = context.workspace.gate_logs / "stack.log"
    log.unlink(missing_ok=True)
    seconds = 60.0 * context.settings.gate.devstack.stack_timeout_minutes

    def tell(line: str) -> None:
        if text := summary_of(line):
            context.record.say(f"    DevStack: {text}")

    set_state(context.workspace, STACKING)
    logs = devstack.parent / "logs"
    # On a node that is used again an earlier stack.sh has left its own.
    as_user(context, user, ["bash", "-c", 'rm -f -- "$1"/error.log "$1"/worlddump-*', "forget", str(logs)])
    done = run_guarded(context, user, ["./stack.sh"], devstack, timeout=seconds, log=log, on_line=tell)
    if done.exit_code == 0 and done.stopped_because is None:
        set_state(context.workspace, STACKED)
        return
    _dump_the_world(context, user, devstack, logs)
    raise _failure(context, user, done, log, logs)


def _failure(context: GateContext, user: StackUser, done: Completed, log: Path, logs: Path) -> InfrastructureError:
    error_log = ""
    if (logs / "error.log").exists():
        with contextlib.suppress(InfrastructureError):
            error_log = read_small(context, user, logs / "error.log")
    trace = _end_of(log)
    next_step = "read the end of that log; DevStack's dump of the node is logs/gate/shard0/devstack/worlddump-*.txt."
    if done.stopped_because is not None:
        context.record.outcome = "TIMED_OUT"
        phase = first_cause(trace).phase
        where = f", after '{phase}'" if phase else ""
        what = f"stack.sh was stopped{where}: {done.stopped_because}"
        return InfrastructureError(f"{what} (gate.devstack.stack_timeout_minutes).", log=log, next_step=next_step)
    cause = first_cause(trace, error_log)
    what = f"stack.sh ended with exit code {done.exit_code}: {cause}"
    if done.exit_code > 128 and not error_log:
        what = f"stack.sh was killed by signal {done.exit_code - 128}. Last: {cause}"
    return InfrastructureError(context.record.masked(f"{what}."), log=log, next_step=next_step)


def _end_of(log: Path) -> str:
    with contextlib.suppress(OSError), open(log, "rb") as stream:
        stream.seek(max(0, log.stat().st_size - TRACE_BYTES))
        return stream.read(TRACE_BYTES).decode(errors="replace")
    return ""


def _dump_the_world(context: GateContext, user: StackUser, devstack: Path, logs: Path) -> None:
    """worlddump.py, where stack.sh was ended so that its own trap could not call it."""
    if not (devstack / "tools" / "worlddump.py").exists() or list(logs.glob("worlddump-*")):
        return
    with contextlib.suppress(CIError), context.record.step("dump the state of the node"):
        words = ["bash", "-c", 'cd "$1" && mkdir -p "$2" && python3 tools/worlddump.py -d "$2"', "dump"]
        as_user(context, user, [*words, str(devstack), str(logs)], timeout=DUMP_SECONDS, check=False)


def unstack(context: GateContext, user: StackUser, devstack: Path) -> None:
    """unstack.sh, then clean.sh, where stack.sh has begun. While we are aborted there is time for unstack.sh only.

    Raises InfrastructureError naming the first that fails, after both were tried; they can be run again then.
    """
    if state(context.workspace) not in (STACKING, STACKED):
        return
    first: InfrastructureError | None = None
    limit = 60.0 * context.settings.gate.devstack.unstack_timeout_minutes
    names = ("unstack.sh",) if aborts.under_way() else ("unstack.sh", "clean.sh")
    for name in names:
        log = context.workspace.gate_logs / f"{name.removesuffix('.sh')}.log"
        log.unlink(missing_ok=True)
        seconds = min(limit, ABORT_SECONDS) if aborts.under_way() else limit
        try:
            with context.record.step(name):
                done = run_guarded(context, user, [f"./{name}"], devstack, timeout=seconds, log=log)
                _require_done(name, done, log)
        except InfrastructureError as error:
            first = first or error
    if first is not None:
        raise first


def _require_done(name: str, done: Completed, log: Path) -> None:
    why = done.stopped_because or (f"ended with exit code {done.exit_code}" if done.exit_code else None)
    if why is not None:
        raise InfrastructureError(
            f"{name} {'was stopped: ' if done.stopped_because else ''}{why}. {last_lines(done.output, 4)}",
            log=log,
            next_step="run ci-stop-gate again, or throw the node away: it is used once.",
        )
