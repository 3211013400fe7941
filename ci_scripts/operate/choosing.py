"""The options by which verbs choose verdicts of ours, and reading from Gerrit what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ci_scripts.gerrit import Account, Gerrit
    from ci_scripts.settings_model import Settings
    from ci_scripts.withdrawal.plan import Entry
    from ci_scripts.withdrawal.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])
# Verdicts that one command can be about; more is a mistake in what was chosen.
MOST = 20_000
LARGEST_LIST = 1024 * 1024
Given = Mapping[str, Any]

_OPTIONS = (
    click.option("--since", metavar="TIME", help="Verdicts from then on: 2026-01-31T12:00Z, or '2 hours ago'."),
    click.option("--until", metavar="TIME", help="Verdicts until then."),
    click.option("--outcome", "outcomes", metavar="WORD", multiple=True, help="With this outcome, such as FAILURE."),
    click.option("--signature", metavar="ID", default="", help="With this signature (docs/signatures.md)."),
    click.option("--change", "changes", metavar="CHANGE", multiple=True, help="This one: 123, 123,4 or its address."),
    click.option(
        "--list", "listed", metavar="FILE", type=click.Path(path_type=Path), help="Changes from a file, one a line."
    ),
    click.option("--project", "projects", metavar="NAME", multiple=True, help="Only changes of this project."),
)


def with_selection(command: F) -> F:
    """Add the options that choose; they come as since, until, outcomes, signature, changes, listed and projects."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def request_of(given: Given) -> dict[str, Any]:
    """What was asked for, in the operator's words: by this an interrupted call is known again."""
    listed = given["listed"]
    return {
        "since": given["since"],
        "until": given["until"],
        "outcomes": sorted(word.upper() for word in given["outcomes"]),
        "signature": given["signature"],
        "changes": sorted(given["changes"]),
        "list": _text_of(listed) if listed is not None else None,
        "projects": sorted(given["projects"]),
    }


def selection_of(request: Mapping[str, Any]) -> Selection:
    """The selection that a request stands for now. Raises ConfigurationError."""
    from ci_scripts.moments import moment
    from ci_scripts.withdrawal.selection import Selection, change_named, changes_listed

    now = datetime.now(UTC)
    changes = [change_named(text, "--change") for text in request["changes"]]
    if request["list"] is not None:
        changes += changes_listed(request["list"], "--list")
    selection = Selection(
        since=moment(request["since"], now, "--since") if request["since"] else None,
        until=moment(request["until"], now, "--until") if request["until"] else None,
        outcomes=tuple(request["outcomes"]),
        signature=request["signature"],
        changes=tuple(dict.fromkeys(changes)),
        projects=tuple(request["projects"]),
    )
    selection.require_something()
    return selection


def read_entries(gerrit: Gerrit, own: Account, settings: Settings, selection: Selection) -> list[Entry]:
    """The changes on which the selection means something, by number. Raises GerritFailed, ConfigurationError."""
    from ci_scripts.withdrawal.plan import entry_for
    from ci_scripts.withdrawal.selection import BySelection
    from ci_scripts.withdrawal.signature import signature_finder

    label = settings.gerrit.label if settings.gerrit else "Verified"
    chosen = BySelection(selection, signature_finder(settings, selection.signature))
    found = {change.number: change for query in selection.queries() for change in gerrit.changes(query, most=MOST)}
    entries = [entry_for(change, own, label, chosen) for _, change in sorted(found.items())]
    return [entry for entry in entries if entry is not None]


def missing_of(selection: Selection, entries: list[Entry]) -> list[int]:
    """Changes that were named and on which there is nothing of ours that is meant."""
    there = {entry.change.number for entry in entries}
    return sorted({number for number, _ in selection.changes} - there)


def _text_of(path: Path) -> str:
    from ci_scripts.errors import ConfigurationError

    try:
        with path.open("rb") as file:
            return file.read(LARGEST_LIST).decode("utf-8", "replace")
    except OSError as error:
        raise ConfigurationError(
            f"--list {path} cannot be read: {error.strerror}.", next_step="name a file with one change a line."
        ) from error
