"""ci-operate jenkins check: what update would change on the server."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.operate.jenkins_site import SCHEMA, only_chosen, opened, shown, with_only, with_site

if TYPE_CHECKING:
    from ci_scripts.jenkins.comparison import Compared

LONGEST_LINE = 400
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command(epilog="Example: ci-operate jenkins check --config ci.yaml --only 'ci/test-*'")
@with_only
@with_site
def command(config: Path | None, as_json: bool, patterns: tuple[str, ...]) -> None:
    """Render the definitions with Jenkins Job Builder and compare each job with the server's. Nothing is changed.

    A unified diff is printed for each job that differs, from what the server has to what the definitions say. Both are
    normalised: versions of plug-ins, the order of fields, and fields with their default do not count.

    Exit code 0: all jobs are as the definitions say. 2: ci.yaml or a definition is wrong. 3: a job differs or is not
    there, or Jenkins could not be asked; the message says which.
    """
    site = opened(config)
    wanted = only_chosen(site.definitions(), patterns)

    from ci_scripts.errors import InfrastructureError
    from ci_scripts.jenkins.comparison import compare
    from ci_scripts.jenkins.pauses import read_pauses
    from ci_scripts.jenkins.sent_record import read_sent

    compared = compare(site.server, wanted, read_sent(site.notes), read_pauses(site.notes))
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "url": site.section.url, "jobs": _records(compared)}, indent=1))
    else:
        for entry in compared:
            _print(entry)
    different = [entry.name for entry in compared if entry.state != "same"]
    if different:
        raise InfrastructureError(
            f"{len(different)} of {len(compared)} jobs are not as the definitions say: "
            f"{', '.join(map(shown, different[:20]))}.",
            next_step="'ci-operate jenkins update' sends them.",
        )


def _records(compared: Sequence[Compared]) -> list[dict[str, object]]:
    return [
        {
            "name": entry.name,
            "state": entry.state,
            "why": entry.why,
            "by_hand": entry.by_hand,
            "disabled": entry.disabled,
            "diff": list(entry.diff),
        }
        for entry in compared
    ]


def _print(entry: Compared) -> None:
    state = " (disabled)" if entry.disabled else ""
    click.echo(shown(f"{entry.state.ljust(7)}  {entry.name}{state}{f'  ({entry.why})' if entry.why else ''}"))
    for line in entry.diff:
        cut = line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]} [...]"
        colour = COLOURS.get(line[:1]) if sys.stdout.isatty() and not line.startswith(("+++", "---")) else None
        click.echo(click.style(shown(cut), fg=colour))
