"""ci-operate jenkins pause: disable the jobs for a while."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ci_scripts.operate.jenkins_site import SCHEMA, Site, opened, say, shown, with_jobs, with_site

if TYPE_CHECKING:
    from ci_scripts.jenkins.updating import Step

LONGEST_REASON = 500


@click.command(epilog="Example: ci-operate jenkins pause --reason 'the lab moves' --job ci/test-neutron")
@with_jobs
@click.option("--reason", default="", help="Why, for whoever looks at it later.")
@with_site
def command(config: Path | None, as_json: bool, jobs: tuple[str, ...], reason: str) -> None:
    """Disable the jobs of the definitions and the test job, or those named with --job.

    Running builds go on; Jenkins drops what waits in its queue for these jobs, and no event of Gerrit starts them. Jobs
    that are disabled already are noted as such, and resume leaves them disabled. After resume, 'ci-operate missed
    --queue' has tested what came meanwhile.

    Exit code 0: the jobs are disabled. 2: ci.yaml or a definition is wrong. 3: Jenkins could not be asked, or a job
    could not be disabled.
    """
    site = opened(config)
    names = jobs or _all_jobs(site)

    from ci_scripts.jenkins.pausing import pause
    from ci_scripts.journal import only_one

    with only_one(site.notes, "change of these jobs"):
        told(pause(site.server, names, reason[:LONGEST_REASON], site.notes), site, as_json)


def told(steps: Iterable[Step], site: Site, as_json: bool) -> None:
    """Print each step when it is done. Raises InfrastructureError where one failed."""
    from ci_scripts.errors import InfrastructureError

    done = []
    for step in steps:
        done.append(step)
        if not as_json:
            click.echo(shown(f"{step.what.ljust(7)}  {step.job}{f'  ({step.why})' if step.why else ''}"))
    if as_json:
        entries = [{"name": step.job, "what": step.what, "why": step.why} for step in done]
        click.echo(json.dumps({"schema": SCHEMA, "url": site.section.url, "jobs": entries}, indent=1))
    failed = [step for step in done if step.what == "failed"]
    if failed:
        raise InfrastructureError(
            f"{len(failed)} of {len(done)} jobs failed: {', '.join(shown(step.job) for step in failed[:20])}. "
            f"The first: {shown(failed[0].why)}",
            next_step="see these jobs; the others are done.",
        )


def _all_jobs(site: Site) -> list[str]:
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.jenkins.job_xml import is_folder

    if not site.section.definitions:
        return [site.section.job]
    try:
        found = site.definitions().jobs
    except ConfigurationError as error:
        say("to pause jobs without the definitions, name them with --job")
        raise error
    return sorted({site.section.job, *(name for name, xml in found.items() if not is_folder(xml))})
