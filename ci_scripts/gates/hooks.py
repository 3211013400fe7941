"""The job of a gate: services, probes, the three hooks, and everything stopped at the end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import CIError, ConfigurationError, InfrastructureError, TestsFailed
from ci_scripts.gates import gate_of, probes, wrapper_of
from ci_scripts.gates.context import GateContext
from ci_scripts.installed_files import installed_file
from ci_scripts.process_tree import become_subreaper, stop_orphans
from ci_scripts.run_command import run
from ci_scripts.settings import values_to_mask
from ci_scripts.workspace import RUN_ID_VARIABLE, read_json

# The hook, and the stage it calls.
HOOKS = (
    ("pre_test_hook", "install-driver"),
    ("gate_hook", "start-gate"),
    ("post_test_hook", "run-tempest"),
)
# A stage in a hook that notices a dead service itself says more than we can: it gets this long, in seconds.
NOTICED_INSIDE_SECONDS = 4.0


def run_hooks(context: GateContext, seconds: float) -> None:
    """Take a prepared workspace through its gate, within so many seconds.

    Raises CIError: the class and the reason of the stage that failed.
    """
    gate = gate_of(context.settings.gate.kind)
    deadline = time.monotonic() + seconds
    # Before anything is cleaned up at the end: a gate that was started by hand stays up.
    gate.require_stopped(context.workspace)
    become_subreaper()
    with _stopped_at_the_end(context):
        with context.record.step("start the services"):
            gate.start_services(context, owner=os.getpid())
        with context.record.step("ask the probes"):
            probes.require_green(context, gate.placeholders(context))
        _run_all(context, deadline)
        # What the tests depend on may have gone while they ran; their failures would say nothing about the change.
        with context.record.step("ask the probes again"):
            probes.require_green(context, gate.placeholders(context), phase="after")


def _run_all(context: GateContext, deadline: float) -> None:
    run_wrapper = wrapper_of(context.settings.gate.kind)
    if run_wrapper is not None:
        run_wrapper(context, deadline - time.monotonic(), _GateWatch(context))
        return
    # Until here nothing of the change has run: what failed before is not its doing.
    context.record.notes["with_change"] = True
    for hook, stage_name in HOOKS:
        with context.record.step(hook):
            _run_hook(context, hook, stage_name, deadline - time.monotonic())


@contextlib.contextmanager
def _stopped_at_the_end(context: GateContext) -> Iterator[None]:
    first_cause: BaseException | None = None
    try:
        yield
    except BaseException as error:
        first_cause = error
        raise
    finally:
        with aborts.deferred():
            try:
                with context.record.step("stop the gate"):
                    gate_of(context.settings.gate.kind).stop(context)
                    stop_orphans()
            except CIError as error:
                # The first cause is kept when cleaning up fails as well.
                if first_cause is None:
                    raise
                context.record.say(f"while stopping the gate: {error}")


def _run_hook(context: GateContext, hook: str, stage_name: str, seconds: float) -> None:
    workspace = context.workspace
    record = workspace.stages_dir / f"{stage_name}.json"
    record.unlink(missing_ok=True)
    beside_us = str(Path(sys.executable).parent)
    env = {
        **context.env,
        **context.stage_env,
        "PATH": f"{beside_us}:{context.env.get('PATH', os.defpath)}",
        "WORKSPACE": str(workspace.root),
        RUN_ID_VARIABLE: context.run["run_id"],
        **({"CI_WATCHED": "1"} if sys.stderr.isatty() else {}),
    }
    done = run(
        ["bash", str(installed_file(f"devstack-hooks/{hook}.sh"))],
        cwd=workspace.root,
        env=env,
        timeout=max(seconds, 1.0),
        log=workspace.logs / f"{hook}.log",
        check=False,
        watch=_GateWatch(context),
        on_line=_show,
        secrets=values_to_mask(context.settings, context.secret_values),
    )
    if done.exit_code == 0 and done.stopped_because is None:
        return
    failure = _failure(context, hook, record, done.exit_code, done.stopped_because)
    if failure is not None:
        raise failure


def _show(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _failure(
    context: GateContext, hook: str, record: Path, exit_code: int, stopped_because: str | None
) -> CIError | None:
    """The error that a hook's end stands for; None when its tests failed, which is no failure of the gate."""

    log = context.workspace.logs / f"{hook}.log"
    if stopped_because is not None:
        if stopped_because.startswith("its time was up"):
            context.record.outcome = "TIMED_OUT"
        return InfrastructureError(f"{hook} was stopped: {stopped_because}.", log=log)
    inner: dict[str, object] = {}
    with contextlib.suppress(InfrastructureError):
        inner = read_json(record)
    if exit_code == TestsFailed.exit_code and inner.get("exit_code") == TestsFailed.exit_code:
        return None
    if inner.get("exit_code") == exit_code and inner.get("reason"):
        kind = ConfigurationError if exit_code == ConfigurationError.exit_code else InfrastructureError
        return kind(f"{hook}: {inner['reason']}")
    return InfrastructureError(
        f"{hook} ended with exit code {exit_code}.", log=log, next_step="read the end of that log."
    )


class _GateWatch:
    """Asked while a hook runs: a reason to stop it, a little later than a stage inside would notice."""

    def __init__(self, context: GateContext) -> None:
        self.context = context
        self.gate = gate_of(context.settings.gate.kind)
        self.since: float | None = None

    def __call__(self) -> str | None:
        problem = self.gate.problem(self.context)
        if problem is None:
            self.since = None
            return None
        self.since = self.since or time.monotonic()
        return problem if time.monotonic() - self.since > NOTICED_INSIDE_SECONDS else None
