"""What the verbs of ci-operate jenkins have in common: their options, the server, and where notes about it are."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci_scripts.jenkins.definitions import Definitions
    from ci_scripts.jenkins.server import Server
    from ci_scripts.settings_model import Settings
    from ci_scripts.settings_trusted import Jenkins as Section

F = TypeVar("F", bound=Callable[..., Any])
SCHEMA = 1
_CONFIG = click.option("--config", type=click.Path(path_type=Path), help="ci.yaml. Default: $CI_CONFIG, else ci.yaml.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
_ONLY = click.option(
    "--only", "patterns", metavar="PATTERN", multiple=True, help="Only jobs with such a name, such as 'ci/test-*'."
)
_JOBS = click.option("--job", "jobs", metavar="NAME", multiple=True, help="This job, its folders included.")


@dataclass(frozen=True)
class Site:
    """A configuration and its Jenkins. ``notes`` is the folder of what we noted about that server."""

    settings: Settings
    environment: Mapping[str, str]
    section: Section
    server: Server
    notes: Path

    def definitions(self) -> Definitions:
        """All jobs of the definitions, rendered for this server; warnings are told. Raises ConfigurationError."""
        from ci_scripts.jenkins.definitions import render

        if not self.section.definitions:
            # Said before anybody is asked.
            render((), None)
        plugins = self.server.plugins()
        if plugins is None:
            say(f"{self.section.user} may not see which plug-ins are installed: the newest versions are assumed.")
        found = render(self.section.definitions, plugins)
        for warning in found.warnings:
            say(f"Jenkins Job Builder: {warning}")
        return found


def with_site(command: F) -> F:
    """Add --config and --json."""
    return _CONFIG(_JSON(command))


def with_only(command: F) -> F:
    """Add --only, as ``patterns``."""
    return _ONLY(command)


def with_jobs(command: F) -> F:
    """Add --job, as ``jobs``."""
    return _JOBS(command)


def opened(config: Path | None) -> Site:
    """The site of a configuration. Nothing is asked yet. Raises ConfigurationError."""
    from ci_scripts.jenkins import jenkins_section, open_server
    from ci_scripts.jenkins.sent_record import folder_of
    from ci_scripts.settings import load_settings, read_environment

    environment = read_environment()
    settings = load_settings(config, environment=environment)
    section = jenkins_section(settings)
    server = open_server(settings, environment, say)
    return Site(settings, environment, section, server, folder_of(settings.cache_dir, section.url))


def chosen_by(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a job's name fits one of the patterns; all do where there are none."""
    return lambda name: not patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def only_chosen(definitions: Definitions, patterns: Sequence[str]) -> Definitions:
    """Those whose names fit. Raises ConfigurationError where none does."""
    from dataclasses import replace

    from ci_scripts.errors import ConfigurationError

    chosen = chosen_by(patterns)
    jobs = {name: xml for name, xml in definitions.jobs.items() if chosen(name)}
    if not jobs:
        raise ConfigurationError(
            f"no job of the definitions is called like {ascii(' or '.join(patterns))}.",
            next_step=f"they are: {', '.join(sorted(definitions.jobs)[:20])}.",
        )
    return replace(definitions, jobs=jobs)


def say(text: str) -> None:
    """A line on standard error; whatever it holds, it cannot drive a terminal."""
    click.echo(shown(text), err=True)


def shown(text: str) -> str:
    """Text of a server in one line that cannot drive a terminal."""
    from ci_scripts.views.clean_text import for_terminal

    return for_terminal(text, one_line=True)
