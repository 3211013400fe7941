"""What the wrapper clones and how it is told so: PROJECTS, OVERRIDE_<PROJECT>_GIT_BASE and _PROJECT_BRANCH.

The wrapper fetches ``<git base>/<project>``. A server whose addresses do not end in the project's name, and a commit
that no branch is named for, are served from small repositories of the run, which borrow the objects of its checkouts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ci_scripts.checkouts import HEADS, PINNED
from ci_scripts.errors import ConfigurationError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.git import Git
from ci_scripts.git_layout import borrow_objects

DEFAULT_GIT_BASE = "https://opendev.org"
DEVSTACK_GATE = "openstack/devstack-gate"
# What the wrapper cannot do without.
NEEDED = (DEVSTACK_GATE, "openstack/devstack")


def variable_part(project: str) -> str:
    """The <PROJECT> of OVERRIDE_<PROJECT>_GIT_BASE: as setup_project in devstack-gate's functions.sh makes it.

    It takes the last part of the name in capitals, dashes become underscores, and of other characters (digits, dots)
    the first one alone is dropped. Raises ConfigurationError where a shell could not read the variable then.
    """
    word = project.rpartition("/")[2].upper().replace("-", "_")
    word = re.sub(r"[^A-Z_]", "", word, count=1)
    if not re.fullmatch(r"[A-Z0-9_]+", word):
        raise ConfigurationError(
            f"devstack-gate cannot be told where {project} is: OVERRIDE_{word}_GIT_BASE is no name of a variable.",
            next_step="use gate.kind devstack for it, or serve it under a name of letters, digits and dashes.",
        )
    return word


def require_distinct(projects: Iterable[str]) -> None:
    """Raises ConfigurationError for two projects that the wrapper would put into one folder or tell by one variable."""
    seen: dict[str, str] = {}
    for project in projects:
        for key in (project.rpartition("/")[2], f"OVERRIDE_{variable_part(project)}"):
            other = seen.setdefault(key, project)
            if other != project:
                raise ConfigurationError(
                    f"devstack-gate cannot tell {other} from {project}: it knows both as {key}.",
                    next_step="leave one of them out of projects: in ci.yaml, or use gate.kind devstack.",
                )


def project_variables(context: GateContext, layout: WrapperLayout, git: Git, pinned: str) -> dict[str, str]:
    """PROJECTS and the OVERRIDE_* variables for everything that the run checked out; ``pinned`` is devstack-gate's id.

    Repositories are made where they are needed. Raises ConfigurationError.
    """
    checkouts: dict[str, dict[str, Any]] = dict(context.run["checkouts"])
    require_distinct([*checkouts, *NEEDED])
    found = {"PROJECTS": " ".join(sorted(checkouts))}
    chosen = context.settings.gate.devstack_gate.projects
    if chosen is not None:
        found["DEVSTACK_GATE_PROJECTS_OVERRIDE"] = " ".join(sorted({*checkouts, *chosen, *NEEDED}))
    found |= _serve_devstack_gate(layout, git, pinned)
    for project, checkout in sorted(checkouts.items()):
        part, branch, base = variable_part(project), checkout["branch"], None
        if branch != PINNED and checkout["url"].endswith(f"/{project}"):
            base = checkout["url"].removesuffix(f"/{project}")
        if base is None:
            _serve(context.workspace.root / checkout["path"], checkout, layout.repositories / project, git)
            base = layout.repositories.as_uri()
        if base != DEFAULT_GIT_BASE:
            found[f"OVERRIDE_{part}_GIT_BASE"] = base
        if branch != context.branch:
            found[f"OVERRIDE_{part}_PROJECT_BRANCH"] = branch
    return found


def _serve_devstack_gate(layout: WrapperLayout, git: Git, tip: str) -> dict[str, str]:
    """The wrapper clones devstack-gate once more, into DEST, and of a branch: there must be the pinned commit, too."""
    _serve(layout.checkout, {"branch": PINNED, "tip": tip}, layout.repositories / DEVSTACK_GATE, git)
    part = variable_part(DEVSTACK_GATE)
    return {
        f"OVERRIDE_{part}_GIT_BASE": layout.repositories.as_uri(),
        f"OVERRIDE_{part}_PROJECT_BRANCH": PINNED,
    }


def _serve(checkout: Path, record: dict[str, Any], target: Path, git: Git) -> None:
    """A bare repository with the branch as it was fetched, and the tags, from which versions are computed."""
    branch = HEADS + record["branch"]
    git.init(target, bare=True)
    borrow_objects(target, checkout / ".git")
    git.set_refs(target, {**git.refs(checkout, "refs/tags"), branch: record["tip"]})
    git.run(target, "symbolic-ref", "HEAD", branch)
