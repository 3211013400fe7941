"""ci-run-gate: services, probes and the three hooks; then the control runs that the verdict needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.stages.opening import open_stage, workspace_option

if TYPE_CHECKING:
    from ci_scripts.gates.context import GateContext


@click.command(epilog="Example: ci-run-gate --workspace .ci-runs/latest")
@workspace_option
@click.option(
    "--control",
    is_flag=True,
    help="Only the control runs of a run that has ended: those its verdict still needs, else one of all its tests.",
)
def command(workspace: Path | None, control: bool) -> None:
    """Run the job of a prepared workspace: services, probes, pre_test_hook, gate_hook, post_test_hook.

    What fails is tried on fresh gates without the change and with it, in trials/, as verdict.control_run says.

    The hooks are those of this package, never of the change. Exit code 0: the hooks ran to the end, failed tests
    included; ci-summarize-results says what they mean. Everything is stopped at the end and on every signal.
    """
    from ci_scripts.stages.control_runs import control_runs_after

    if control:
        with control_runs_after(workspace, by_hand=True):
            pass
        return
    with control_runs_after(workspace), open_stage("run-gate", workspace) as context:
        run_gate(context)


def run_gate(context: GateContext) -> None:
    """Raises CIError: the class and the reason of the stage that failed."""
    from ci_scripts.gates.hooks import run_hooks

    run_hooks(context, 60.0 * context.settings.gate.timeout_minutes)
