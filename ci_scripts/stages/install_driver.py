"""ci-install-driver: the out-of-tree driver into the run's own environment."""

from __future__ import annotations

from pathlib import Path

import click

from ci_scripts.stages.opening import open_stage, workspace_option


@click.command(epilog="Example: ci-install-driver --workspace .ci-runs/latest")
@workspace_option
def command(workspace: Path | None) -> None:
    """Install the driver at its ref, record what was installed, render neutron_config.

    Writes logs/driver.json and logs/packages.txt. Exit code 3 when the driver cannot be installed.
    """
    with open_stage("install-driver", workspace) as context:
        from ci_scripts.gates import gate_of

        with context.record.step("install the driver"):
            installed = gate_of(context.settings.gate.kind).install_driver(context)
        context.record.say(f"driver: {installed}")
