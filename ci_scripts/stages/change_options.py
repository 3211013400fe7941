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


def control_run_option(command: _Command) -> _Command:
    """Adds the option by which a run has no change."""
    return click.option(
        "--control-run",
        is_flag=True,
        help="No change: the tips of --branch (default: the project's), for the history.",
    )(command)


def find_control_run(settings: Settings, flags: Mapping[str, str | None]) -> ChangeUnderTest:
    """What a control run is about: --project, else the first of ci.yaml, else the driver's; its branch; its address.

    Raises ConfigurationError, also where a change is named as well.
    """
    from ci_scripts.change import branch_tip
    from ci_scripts.checkouts import project_addresses
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.untrusted_words import Word

    named = [f"--{name}" for name in ("change", "ref", "pipeline") if flags.get(name)]
    if named:
        raise ConfigurationError(
            f"{' and '.join(named)} cannot go with --control-run, which is a run without a change.",
            next_step="name at most --project, --branch and --url.",
        )
    known = (*settings.projects, settings.driver.project)
    project = flags.get("project") or known[0]
    if project not in known:
        raise ConfigurationError(
            f"{project!r} is not tested here; configured are {', '.join(sorted(set(known)))}.",
            next_step="name one of these with --project.",
        )
    configured = settings.projects.get(project)
    branch = flags.get("branch") or (configured.branch if configured else settings.driver.ref)
    url = _address(flags.get("url")) or project_addresses(settings).get(project)
    return branch_tip(Word("--project", project), Word("--branch", branch), Word("--url", url) if url else None)


def _address(url: str | None) -> str | None:
    """A person may name a repository here by a relative path; run.json is read from elsewhere."""
    return str(Path(url).resolve()) if url and "://" not in url and Path(url).is_dir() else url


def find_change(
    settings: Settings, environment: Mapping[str, str], flags: Mapping[str, str | None], zuul_file: Path | None
) -> ChangeUnderTest:
    """The change that this run is about, with the addresses and branches of ci.yaml. Raises ConfigurationError."""
    from ci_scripts.change import change_from
    from ci_scripts.checkouts import project_addresses

    return change_from(
        environment,
        flags={**flags, "url": _address(flags.get("url"))},
        zuul_file=zuul_file,
        project_urls=project_addresses(settings),
        project_branches={
            settings.driver.project: settings.driver.ref,
            **{name: project.branch for name, project in settings.projects.items()},
        },
    )
