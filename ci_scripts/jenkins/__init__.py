"""Named verbs of Jenkins' remote API, by python-jenkins; and its jobs, by Jenkins Job Builder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ci_scripts.errors import ConfigurationError

if TYPE_CHECKING:
    from ci_scripts.jenkins.job_runner import JobRunner
    from ci_scripts.jenkins.server import Server
    from ci_scripts.settings_model import Settings
    from ci_scripts.settings_trusted import Jenkins as Section


def jenkins_section(settings: Settings) -> Section:
    """The section of ci.yaml. Raises ConfigurationError."""
    if settings.jenkins is None:
        raise ConfigurationError(
            "there is no 'jenkins' section in ci.yaml.", next_step="add url, user, password_file and job."
        )
    return settings.jenkins


def open_server(
    settings: Settings,
    environment: Mapping[str, str],
    note: Callable[[str], None] = lambda text: None,
    *,
    patient: bool = True,
) -> Server:
    """The Jenkins of ci.yaml. Nothing is sent yet; ``note`` is told when it has to be waited for.

    Not ``patient``: one that is not up is not waited for. Raises ConfigurationError.
    """
    from ci_scripts.retriggers.runner import token_of

    section = jenkins_section(settings)
    try:
        from ci_scripts.jenkins.client import Client, Limits
        from ci_scripts.jenkins.server import Server
    except ImportError as error:
        raise ConfigurationError(
            f"asking Jenkins needs a package that is not installed: {error.name or error}.",
            next_step="install openstack-driver-ci[trusted] on the trusted side.",
        ) from error
    limits = Limits(section.timeout_seconds, section.restart_seconds if patient else 0)
    return Server(Client(section.url, section.user, token_of(settings, "jenkins", environment), limits, note))


def open_jenkins(settings: Settings, environment: Mapping[str, str]) -> JobRunner:
    """Who runs the test job, for retrigger. Nothing is sent yet. Raises ConfigurationError."""
    server = open_server(settings, environment, lambda text: print(text, file=sys.stderr, flush=True))
    from ci_scripts.jenkins.job_runner import JobRunner

    return JobRunner(server, jenkins_section(settings).job)
