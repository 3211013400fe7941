"""ci-operate jenkins: one file per verb, loaded when it is called."""

from __future__ import annotations

import importlib

import click

_VERBS = {
    "builds": "The last builds of the test job, with their verdicts.",
    "check": "What the definitions would change on the server.",
    "pause": "Disable the jobs for a while.",
    "resume": "Enable what pause has disabled.",
    "run": "Have a change tested by hand.",
    "update": "Make the jobs on the server what the definitions say.",
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = importlib.import_module(f"ci_scripts.operate.jenkins_{cmd_name}").command
        return verb


@click.group(cls=_Verbs, epilog="Example: ci-operate jenkins check --config ci.yaml")
def command() -> None:
    """Check, update, pause, resume, list and run the jobs of Jenkins.

    The jenkins section of ci.yaml names the server, the user, the test job and the files of Jenkins Job Builder.
    """
