"""ci-stop-gate: everything that start-gate started, ended."""

from __future__ import annotations

from pathlib import Path

import click

from ci_scripts.stages.opening import open_stage, workspace_option


@click.command(epilog="Example: ci-stop-gate --workspace .ci-runs/latest")
@workspace_option
def command(workspace: Path | None) -> None:
    """Stop the gate's services; safe to run again, and when nothing runs.

    Exit code 3 when a process or a port is left.
    """
    with open_stage("stop-gate", workspace) as context:
        from ci_scripts.gates import gate_of

        with context.record.step("stop the gate"):
            gate_of(context.settings.gate.kind).stop(context)
