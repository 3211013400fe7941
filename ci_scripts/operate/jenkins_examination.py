"""What doctor --trusted asks Jenkins: whether it answers, who we are there, the test job, and the plug-ins it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ci_scripts.errors import CIError
from ci_scripts.operate.examination import Finding, Site

if TYPE_CHECKING:
    from ci_scripts.jenkins.server import Server


def examine_jenkins(site: Site) -> Iterator[Finding]:
    """All findings about the jenkins section; none where there is no such section."""
    from ci_scripts.jenkins import open_server

    section = site.settings.jenkins
    if section is None:
        return
    try:
        # A Jenkins that is down is a finding, and not waited for.
        server = open_server(site.settings, site.environment, patient=False)
        server.is_there()
        yield Finding("jenkins", True, f"{section.url}: {_user(server, section.user)}")
    except CIError as error:
        yield Finding("jenkins", False, f"{section.url}: {error.what}", error.next_step or "see that it answers")
        return
    yield _job(server, section.job)
    if section.definitions:
        yield from _definitions(site, server)


def _user(server: Server, named: str) -> str:
    from ci_scripts.jenkins.errors import JenkinsFailed, NoRight, NotThere

    try:
        return f"we are {server.user_name() or named}"
    except NoRight:
        raise
    except (NotThere, JenkinsFailed) as error:
        # Hudson, and a Jenkins that lets everybody do everything, know no "me".
        if error.status not in (404, 500):
            raise
        return "it does not say who we are"


def _job(server: Server, name: str) -> Finding:
    from ci_scripts.jenkins.by_hand import NEEDED

    try:
        job = server.job(name)
    except CIError as error:
        return Finding("jenkins job", False, error.what, error.next_step)
    if lacking := [one for one in NEEDED if one not in job.parameters]:
        mend = "declare them as string parameters: Jenkins drops others"
        return Finding("jenkins job", False, f"{name} does not declare {', '.join(lacking)}", mend)
    if job.disabled:
        return Finding(
            "jenkins job", False, f"{name} is disabled", "enable it: ci-operate jenkins resume, or on its page"
        )
    return Finding("jenkins job", True, f"{name}, its next build is {job.next_number}")


def _definitions(site: Site, server: Server) -> Iterator[Finding]:
    from ci_scripts.jenkins.definitions import render

    assert site.settings.jenkins is not None
    try:
        plugins = server.plugins()
        jobs = render(site.settings.jenkins.definitions, plugins).jobs
    except CIError as error:
        yield Finding("jenkins definitions", False, error.what, error.next_step)
        return
    yield Finding(
        "jenkins definitions", True, f"{len(jobs)} jobs; ci-operate jenkins check compares them with Jenkins'"
    )
    yield _plugins(jobs.values(), plugins)


def _plugins(jobs: Any, plugins: list[Any] | None) -> Finding:
    from ci_scripts.jenkins.needed_plugins import needed_plugins

    needed = sorted({plugin for xml in jobs for plugin in needed_plugins(xml)})
    if plugins is None:
        text = f"needed: {', '.join(needed) or 'none'}; this user may not see which are installed"
        return Finding("jenkins plug-ins", True, text)
    there = {
        str(plugin["shortName"]) for plugin in plugins if plugin.get("active", True) and plugin.get("enabled", True)
    }
    missing = [plugin for plugin in needed if plugin not in there]
    if missing:
        mend = "install or enable them: without them Jenkins leaves out what the definitions say, and tells nobody"
        return Finding("jenkins plug-ins", False, f"missing: {', '.join(missing)}", mend)
    return Finding("jenkins plug-ins", True, ", ".join(needed) or "none needed")
