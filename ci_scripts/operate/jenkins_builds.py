"""ci-operate jenkins builds: the last builds of a job, with our verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.operate.jenkins_site import SCHEMA, opened, shown, with_site

if TYPE_CHECKING:
    from ci_scripts.jenkins.builds import Build

COLUMNS = ("build", "change", "result", "verdict", "blame", "started", "took", "note")


@click.command(epilog="Example: ci-operate jenkins builds --most 50 --json")
@click.option("--job", metavar="NAME", help="The job, its folders included. Default: jenkins.job of ci.yaml.")
@click.option("--most", type=click.IntRange(1, 100), default=20, show_default=True, help="So many builds.")
@with_site
def command(config: Path | None, as_json: bool, job: str | None, most: int) -> None:
    """List what waits for the test job, what runs, and the last builds: change, result, our verdict, how long it took.

    The verdict is what the node said, from the build's description or its archived verdict.json; what is reported is
    decided anew on the trusted side.

    Exit code 0: told, whatever the builds' results are. 2: ci.yaml is wrong. 3: Jenkins could not be asked, or there is
    no such job.
    """
    from ci_scripts.jenkins.builds import builds_of
    from ci_scripts.operate.watching import show_table

    site = opened(config)
    name = job or site.section.job
    builds = builds_of(site.server, name, most)
    if as_json:
        records = [build.as_record() for build in builds]
        click.echo(json.dumps({"schema": SCHEMA, "url": site.section.url, "job": name, "builds": records}, indent=1))
    elif builds:
        show_table(COLUMNS, [_row(build) for build in builds])
    else:
        click.echo(shown(f"{name} has no builds."))


def _row(build: Build) -> tuple[str, ...]:
    from ci_scripts.views.clean_text import duration

    change = f"{build.change},{build.patch_set}" if build.change else ""
    return (
        str(build.number or ""),
        change,
        build.result or build.state,
        build.verdict.outcome,
        build.verdict.blame,
        f"{build.started:%Y-%m-%d %H:%M}Z" if build.started else "",
        duration(build.seconds),
        build.why or build.project,
    )
