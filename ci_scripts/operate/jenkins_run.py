"""ci-operate jenkins run: have a change tested by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ci_scripts.operate.jenkins_site import SCHEMA, Site, opened, say, shown, with_site

if TYPE_CHECKING:
    from ci_scripts.jenkins.builds import Build
    from ci_scripts.jenkins.by_hand import Asked

# Beside the gate: waiting for a node, the trials, publishing.
RUN_TIMES = 2


@click.command(epilog="Example: ci-operate jenkins run --change 912345 --wait")
@click.option("--change", metavar="N[,P]", help="The change; its current patch set, or the one that is named.")
@click.option("--project", help="The change's project. With it Gerrit is not asked.")
@click.option("--branch", default="master", show_default=True, help="The change's branch, with --project.")
@click.option("--ref", help="What is fetched, with --project. Default: Gerrit's ref of --change.")
@click.option("--url", help="The change's page, with --project: git is asked beside it.")
@click.option("--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="One more parameter of the job.")
@click.option("--job", metavar="NAME", help="The job, its folders included. Default: jenkins.job of ci.yaml.")
@click.option("--wait", is_flag=True, help="Wait until the build has ended.")
@click.option(
    "--poll-seconds", type=click.FloatRange(min=0.05), default=10.0, show_default=True, help="How often to look."
)
@click.option("--most-minutes", type=click.IntRange(1), help="With --wait. Default: twice the gate's time.")
@with_site
def command(config: Path | None, as_json: bool, **given: Any) -> None:
    """Start the test job for a change, with the parameters that Gerrit Trigger would give it.

    They come from Gerrit, as ci.yaml names it, or from the options. A build that is waited for goes on if this
    command is interrupted.

    Exit code 0: it was asked for; with --wait: SUCCESS. With --wait also 1: FAILURE, and the build's verdict blames
    the change. 4: NOT_BUILT, nothing to test. 3: UNSTABLE, ABORTED, or FAILURE without such a verdict; or Jenkins or
    Gerrit could not be asked. 2: something wrong was given.
    """
    from ci_scripts.jenkins.by_hand import Waiting, ask, wait_for

    site = opened(config)
    job = given["job"] or site.section.job
    asked = ask(site.server, job, {**_change(site, given), **_more(given["parameters"])})
    _tell_asked(site, asked, as_json and not given["wait"])
    if not given["wait"]:
        return
    minutes = given["most_minutes"] or RUN_TIMES * site.settings.gate.timeout_minutes
    build = wait_for(site.server, asked, Waiting(given["poll_seconds"], 60.0 * minutes, say))
    if as_json:
        click.echo(
            json.dumps({"schema": SCHEMA, "url": site.section.url, "job": job, "build": build.as_record()}, indent=1)
        )
    _conclude(build, job, as_json)


def _change(site: Site, given: Mapping[str, Any]) -> dict[str, str]:
    """Gerrit Trigger's parameters of the change; none for a job that is about no change."""
    from ci_scripts.errors import ConfigurationError

    if not given["change"]:
        if given["job"] and not given["project"]:
            return {}
        raise ConfigurationError("no change is named.", next_step="name it with --change N or N,P.")
    found = re.fullmatch(r"([0-9]{1,10})(?:,([0-9]{1,6}))?", given["change"])
    if not found:
        raise ConfigurationError(f"--change {ascii(given['change'][:60])} is not like 912345 or 912345,3.")
    if given["project"]:
        return _by_options(found[1], found[2], given)
    for name in ("ref", "url"):
        if given[name]:
            raise ConfigurationError(f"--{name} needs --project.", next_step="give both, or neither.")
    return _by_gerrit(site, int(found[1]), int(found[2]) if found[2] else None)


def _by_gerrit(site: Site, number: int, patch_set: int | None) -> dict[str, str]:
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.gerrit import open_gerrit
    from ci_scripts.jenkins.job_runner import parameters_of

    if site.settings.gerrit is None:
        raise ConfigurationError(
            "ci.yaml has no 'gerrit' section to ask about the change.",
            next_step="add it, or give --project and --branch.",
        )
    change = open_gerrit(site.settings, site.environment).change(number)
    if patch_set not in (None, change.current.number):
        raise ConfigurationError(
            f"patch set {patch_set} of change {number} is not current: that is {change.current.number}.",
            next_step="leave the patch set out; an older one is tested with --project, --branch and --ref.",
        )
    if not change.is_open:
        say(f"change {number} is {change.status.lower()}; it is tested all the same")
    return parameters_of(change)


def _by_options(number: str, patch_set: str | None, given: Mapping[str, Any]) -> dict[str, str]:
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.jenkins.job_runner import NUMBER, PATCH_SET
    from ci_scripts.untrusted_words import branch_problem, project_problem, ref_of_change, ref_problem, web_url_problem

    if patch_set is None:
        raise ConfigurationError("--project needs the patch set, too.", next_step=f"write --change {number},1.")
    ref = given["ref"] or ref_of_change(number, patch_set)
    checks = (("project", given["project"], project_problem), ("branch", given["branch"], branch_problem))
    more = (("ref", ref, ref_problem), ("url", given["url"], web_url_problem))
    for name, value, problem in (*checks, *more):
        if value and (why := problem(value)):
            raise ConfigurationError(f"--{name} {ascii(value[:100])} {why}.")
    return {
        "GERRIT_EVENT_TYPE": "patchset-created",
        NUMBER: number,
        PATCH_SET: patch_set,
        "GERRIT_PROJECT": given["project"],
        "GERRIT_BRANCH": given["branch"],
        "GERRIT_REFSPEC": ref,
        **({"GERRIT_CHANGE_URL": given["url"]} if given["url"] else {}),
    }


def _more(parameters: tuple[str, ...]) -> dict[str, str]:
    from ci_scripts.errors import ConfigurationError

    found = {}
    for text in parameters:
        name, sign, value = text.partition("=")
        if not sign or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,100}", name) or "\0" in value:
            raise ConfigurationError(f"--parameter {ascii(name[:60])} is not like NAME=VALUE.")
        found[name] = value
    return found


def _tell_asked(site: Site, asked: Asked, as_json: bool) -> None:
    if as_json:
        about = {"job": asked.job, "queue_id": asked.queue_id, "parameters": dict(asked.parameters)}
        click.echo(json.dumps({"schema": SCHEMA, "url": site.section.url, **about}, indent=1))
        return
    place = f", item {asked.queue_id} of the queue" if asked.queue_id is not None else ""
    say(f"{asked.job} was asked for a build{place}; see it with 'ci-operate jenkins builds'")


def _conclude(build: Build, job: str, as_json: bool) -> None:
    """What the build ended as: printed, and raised unless it is SUCCESS."""
    from ci_scripts.errors import ChangeToBlame, InfrastructureError, NothingToTest
    from ci_scripts.views.clean_text import duration

    verdict = build.verdict
    said = f"{verdict.outcome}, blame: {verdict.blame}" if verdict.outcome else "no verdict"
    text = shown(f"build {build.number} of {job}: {build.result} in {duration(build.seconds)} ({said})")
    if not as_json:
        click.echo(text)
    if build.result == "SUCCESS":
        return
    where = f"see {shown(build.url)}console"
    if build.result == "FAILURE" and verdict.blame == "change":
        raise ChangeToBlame(f"{text}: the change is to blame.", next_step=where)
    if build.result == "NOT_BUILT":
        raise NothingToTest(f"{text}: there was nothing to test.", next_step=where)
    raise InfrastructureError(f"{text}: nobody has said that the change is to blame.", next_step=where)
