"""ci-start-gate: OpenStack up, the driver in it, Tempest configured."""

from __future__ import annotations

from pathlib import Path

import click

from ci_scripts.stages.opening import open_stage, workspace_option


@click.command(epilog="Example: ci-start-gate && ci-run-tempest --regex test_networks; ci-stop-gate")
@workspace_option
def command(workspace: Path | None) -> None:
    """Start the services, Keystone and Neutron, and wait until a token was issued and used.

    The gate stays up when this command ends; ci-stop-gate ends it. Exit code 3 when it does not come up.
    """
    with open_stage("start-gate", workspace) as context:
        from ci_scripts.gates import gate_of
        from ci_scripts.gates.access import read_access

        gate_of(context.settings.gate.kind).start(context)
        for shard in read_access(context.workspace):
            context.record.say(f"shard {shard.index}: Keystone {shard.keystone_url} Neutron {shard.neutron_url}")
