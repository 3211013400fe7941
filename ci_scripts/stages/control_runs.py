"""After a run has failed: the trials that tell whose failure it is. Their record is stages/control-runs.json."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci_scripts.workspace import Workspace

STAGE = "control-runs"
NO_FLAGS: Mapping[str, object] = MappingProxyType({})


@contextlib.contextmanager
def control_runs_after(folder: Path | None, *, by_hand: bool = False) -> Iterator[None]:
    """Control runs when the block has ended, also when it failed, but not when somebody stopped it.

    The block's own error goes on. Raises ConfigurationError where there is no run, and when asked for by hand also
    InfrastructureError when a trial could not be made.
    """
    from ci_scripts.errors import InfrastructureError, NothingToTest
    from ci_scripts.settings import read_environment
    from ci_scripts.workspace import find_workspace

    failure: InfrastructureError | None = None
    try:
        yield
    except NothingToTest:
        raise
    except InfrastructureError as error:
        failure = error
    environment = read_environment()
    workspace = find_workspace(folder, environment)
    with workspace.lock(run_id=workspace.read_run()["run_id"], environment=environment):
        run_control_runs(workspace, environment, by_hand=by_hand)
    if failure is not None:
        raise failure


def run_control_runs(
    workspace: Workspace,
    environment: Mapping[str, str],
    flags: Mapping[str, object] = NO_FLAGS,
    *,
    by_hand: bool = False,
) -> None:
    """The trials of a run whose lock is held. A trial that fails is no error; nor is a run that needs none.

    Raises Interrupted or Terminated.
    """
    from ci_scripts.gates import has_trials
    from ci_scripts.gates.context import GateContext
    from ci_scripts.process_tree import become_subreaper
    from ci_scripts.stage_log import stage
    from ci_scripts.trials.run import run_trials

    if workspace.read_run().get("control") is True:
        # It is one itself.
        return
    become_subreaper()
    with stage(workspace, STAGE) as record:
        context = GateContext.of_run(workspace, record, environment, flags)
        count = run_trials(context, environment, flags, by_hand=by_hand)
        record.notes["trials"] = count
        if by_hand and not count and has_trials(context.settings.gate.kind):
            record.say("no control run is needed: the verdict rests on what is there")
