"""ci-operate jenkins resume: enable the jobs that pause has disabled."""

from __future__ import annotations

from pathlib import Path

import click

from ci_scripts.operate.jenkins_site import opened, say, with_jobs, with_site


@click.command(epilog="Example: ci-operate jenkins resume --config ci.yaml")
@with_jobs
@with_site
def command(config: Path | None, as_json: bool, jobs: tuple[str, ...]) -> None:
    """Enable all jobs that pause has disabled, or those of them that are named with --job.

    What was disabled before the pause stays disabled. What pause noted is in cache_dir, so resume belongs on the same
    machine.

    Exit code 0: the jobs are enabled. 2: ci.yaml is wrong, or nothing is paused. 3: Jenkins could not be asked, or a
    job could not be enabled.
    """
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.jenkins.pauses import read_pauses
    from ci_scripts.jenkins.pausing import resume
    from ci_scripts.journal import only_one
    from ci_scripts.operate.jenkins_pause import told

    site = opened(config)
    with only_one(site.notes, "change of these jobs"):
        pauses = read_pauses(site.notes)
        if not pauses:
            raise ConfigurationError(
                f"no job of {site.section.url} was paused from here ({site.notes}).",
                next_step="resume where pause was called, or enable the jobs on their pages.",
            )
        for reason in sorted({pause.reason for pause in pauses.values() if pause.reason}):
            say(f"paused because: {reason}")
        told(resume(site.server, jobs or None, site.notes), site, as_json)
