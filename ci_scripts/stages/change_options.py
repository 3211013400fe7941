"""The options by which a person says which change is meant, shared by the commands that begin a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.settings_model import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)
_PLACES = (
    click.option("--config", type=_FILE, help="The configuration. Default: $CI_CONFIG, else ci.yaml."),
    click.option("--workspace", type=_FILE, help="Default: $WORKSPACE, else .ci-runs/<run id>."),
)
_NAMES = (
    click.option("--change", metavar="N,P", help="Change and patch set."),
    click.option("--project", help="The change's project, as in ci.yaml."),
    click.option("--ref", help="What is fetched. Default: Gerrit's ref of --change."),
    click.option("--url", help="The git address it is fetched from."),
    click.option("--branch", help="The change's branch."),
    click.option("--pipeline", help="The pipeline's name for the report. Default: check."),
    click.option(
        "--zuul-file",
        "--zuul-variables",
        type=_FILE,
        help="Zuul's variables (version 3 and newer), such as zuul-info/inventory.yaml.",
    ),
)


def change_options(command: _Command) -> _Command:
    """Adds the options to a click command that begins a run: which change, its configuration and workspace."""
    return _with(command, (*_PLACES, *_NAMES))


def change_name_options(command: _Command) -> _Command:
    """Adds those that name the change alone."""
    return _with(command, _NAMES)


def _with(command: _Command, options: Sequence[Callable[[_Command], _Command]]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def find_change(
    settings: Settings, environment: Mapping[str, str], flags: Mapping[str, str | None], zuul_file: Path | None
) -> ChangeUnderTest:
    """The change that this run is about, with the addresses and branches of ci.yaml. Raises ConfigurationError."""
    from ci_scripts.change import change_from
    from ci_scripts.checkouts import project_addresses

    url = flags.get("url")
    if url and "://" not in url and Path(url).is_dir():
        # A person may name a repository here by a relative path; run.json is read from elsewhere.
        flags = {**flags, "url": str(Path(url).resolve())}
    return change_from(
        environment,
        flags=flags,
        zuul_file=zuul_file,
        project_urls=project_addresses(settings),
        project_branches={
            settings.driver.project: settings.driver.ref,
            **{name: project.branch for name, project in settings.projects.items()},
        },
    )
