"""ci-operate: one file per verb, loaded when it is called."""

from __future__ import annotations

import importlib

import click

_VERBS = {
    "doctor": "Check the configuration and everything the job needs.",
    "explain": "Tell rule by rule why a finished run has its verdict.",
    "jenkins": "Check, update, pause, resume, list and run the jobs of Jenkins.",
    "missed": "Find patch sets and rechecks that have no answer of ours.",
    "retract-votes": "Take back votes that should never have been given.",
    "retrigger": "Have changes tested again.",
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        verb: click.Command = importlib.import_module(f"ci_scripts.operate.{cmd_name.replace('-', '_')}").command
        return verb


@click.group(cls=_Verbs, epilog="Example: ci-operate doctor --config examples/ci.yaml")
def command() -> None:
    """What an operator of the CI does beside the job itself."""
