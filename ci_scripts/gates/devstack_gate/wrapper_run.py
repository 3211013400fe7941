"""ci-run-gate on this kind: the wrapper runs instead of the hooks, and its ways to fail become those of stages."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import CIError, ConfigurationError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import guard
from ci_scripts.gates.devstack_gate import wrapper_logs
from ci_scripts.gates.devstack_gate.environment import path_without_ours, write_hook_environment
from ci_scripts.gates.devstack_gate.failures import failure_of
from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.gates.devstack_gate.left_behind import end_left_behind
from ci_scripts.gates.devstack_gate.phases import PRE, START, Phases
from ci_scripts.run_command import Completed, run
from ci_scripts.settings import values_to_mask
from ci_scripts.workspace import RUN_ID_VARIABLE

# Of the gate's time, for bringing the logs into the workspace when the wrapper had to be stopped.
COLLECT_SECONDS = 60.0
# Between SIGTERM and SIGKILL: a stage in a hook stops its own children first, and flushes what it collected. The guard
# ends all that is below it, in whatever group it is (timeout makes one), while what they say is still read.
GUARD_GRACE_SECONDS = 25.0
STOP_SECONDS = 32.0
GUARD = Path(guard.__file__)
# The guard's standard input ends when it is to end what it started.
_HELD = 'exec "$@" < <(exec sleep infinity)'
STAGES = ("install-driver", "start-gate", "run-tempest")
# BUILD_TIMEOUT: what is left of the gate's time, in whole minutes as the wrapper counts.
_RUN = """\
set -e
source "$1"
export BUILD_TIMEOUT="$2"
cd "$WORKSPACE"
exec "$3"
"""


def run_wrapper(context: GateContext, seconds: float, watch: Callable[[], str | None]) -> None:
    """Run the wrapper to its end, within so many seconds; failed tests are no failure of the gate.

    ``watch`` is asked twice a second for a reason to stop it. Raises CIError with what failed, and where its log is.
    """
    layout = WrapperLayout.of(context)
    if not layout.script.is_file():
        raise ConfigurationError(f"there is no {layout.script}.", next_step="run ci-prepare-gate again.")
    for name in STAGES:
        (context.workspace.stages_dir / f"{name}.json").unlink(missing_ok=True)
    # The hooks take the tests' time from environment.sh, and make it shorter where the wrapper's is.
    inner = {name: value for name, value in context.stage_env.items() if name != "CI_TEMPEST_TIMEOUT_MINUTES"}
    write_hook_environment(layout, {**inner, RUN_ID_VARIABLE: context.run["run_id"]})
    console = _Console(context)
    first: BaseException | None = None
    done: Completed | None = None
    try:
        with console.steps():
            done = _run(context, layout, console, seconds, watch)
            failure = failure_of(context, layout, console.phases, done)
            if failure is not None:
                raise failure
    except BaseException as error:
        first = error
        raise
    finally:
        with aborts.deferred():
            _clear_up(context, layout, first)


def _run(
    context: GateContext,
    layout: WrapperLayout,
    console: _Console,
    seconds: float,
    watch: Callable[[], str | None],
) -> Completed:
    minutes = max(int(seconds // 60), 0)
    argv = ["bash", "-c", _HELD, "guard", sys.executable, "-I", str(GUARD), str(GUARD_GRACE_SECONDS), str(layout.root)]
    argv += ["bash", "-c", _RUN, "devstack-gate", str(context.workspace.environment_sh)]
    argv += [str(60_000 * minutes), str(layout.script)]
    layout.console.unlink(missing_ok=True)
    try:
        done = run(
            argv,
            cwd=layout.root,
            env={**context.env, "PATH": path_without_ours(context.env.get("PATH", os.defpath))},
            timeout=max(seconds - COLLECT_SECONDS, 1.0),
            log=layout.console,
            check=False,
            watch=watch,
            on_line=console.read,
            secrets=values_to_mask(context.settings, context.secret_values),
            grace=STOP_SECONDS,
        )
    except BaseException:
        # The first cause is kept when cleaning up fails as well.
        with aborts.deferred(), contextlib.suppress(CIError):
            _end_what_is_left(context)
        raise
    with aborts.deferred():
        _end_what_is_left(context)
    return done


def _end_what_is_left(context: GateContext) -> None:
    count = end_left_behind(context)
    if count:
        context.record.say(f"the wrapper left {count} processes, which were ended")


def _clear_up(context: GateContext, layout: WrapperLayout, first: BaseException | None) -> None:
    layout.hook_environment.unlink(missing_ok=True)
    try:
        with context.record.step("collect the wrapper's logs"):
            count = wrapper_logs.collect(layout, values_to_mask(context.settings, context.secret_values))
            context.record.say(f"{count} files of the wrapper are in {layout.collected}")
    except (CIError, OSError) as error:
        # The first cause is kept when cleaning up fails as well.
        if first is None:
            raise
        context.record.say(f"while collecting the wrapper's logs: {error}")


class _Console:
    """What the wrapper says: shown, and taken apart into the steps of the stage."""

    def __init__(self, context: GateContext) -> None:
        self.context = context
        self.phases = Phases()
        self._step: contextlib.ExitStack | None = None

    @contextlib.contextmanager
    def steps(self) -> Iterator[None]:
        """Inside there is always a step; the one that is under way fails with the block."""
        self._begin(START)
        try:
            yield
        except BaseException:
            self._end(*sys.exc_info())
            raise
        self._end()

    def read(self, line: str) -> None:
        """One line of its standard output."""
        print(line, file=sys.stderr, flush=True)
        phase = self.phases.read(line)
        if phase is not None:
            self._end()
            if phase == PRE:
                # Until here nothing of the change has run: what failed before is not its doing.
                self.context.record.notes["with_change"] = True
            self._begin(phase)

    def _begin(self, phase: str) -> None:
        self._step = contextlib.ExitStack()
        self._step.enter_context(self.context.record.step(phase))

    def _end(self, *error: object) -> None:
        step, self._step = self._step, None
        if step is not None:
            with contextlib.suppress(CIError):
                step.__exit__(*(error or (None, None, None)))  # type: ignore[arg-type]
