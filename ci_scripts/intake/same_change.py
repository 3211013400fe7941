"""Whether a run is about the change that a person names for it."""

from __future__ import annotations

from typing import Any

from ci_scripts.change import ChangeUnderTest
from ci_scripts.errors import ConfigurationError
from ci_scripts.verdict.untrusted_file import read_object
from ci_scripts.workspace import Workspace


def refuse_another_change(workspace: Workspace, named: ChangeUnderTest) -> None:
    """Raises ConfigurationError where run.json says that another patch set was tested than the one that is named.

    The file may be a node's: it can spoil a report, not make one. One that is missing or unreadable says nothing.
    """
    tested = _tested(workspace)
    if tested and tested != (named.number, named.patchset, named.project):
        number, patch_set, project = tested
        raise ConfigurationError(
            f"{workspace.root} is about change {number},{patch_set} of {project}, not {named.name} of {named.project}.",
            next_step="name the change that it is about, or the other workspace.",
        )


def _tested(workspace: Workspace) -> tuple[str, str, str] | None:
    try:
        change: Any = read_object(workspace.run_json, inside=workspace.root).get("change")
    except (OSError, ValueError):
        return None
    words = [change.get(key) for key in ("number", "patchset", "project")] if isinstance(change, dict) else []
    number, patch_set, project = (*words, None, None, None)[:3]
    if not (isinstance(number, str) and isinstance(patch_set, str) and isinstance(project, str)):
        return None
    return ascii(number)[1:-1][:40], ascii(patch_set)[1:-1][:40], ascii(project)[1:-1][:200]
