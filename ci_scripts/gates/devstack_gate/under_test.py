"""What the wrapper checked out below DEST: is the change in it, and the CI's own patches onto it.

setup_project in functions.sh falls back to the tip of a branch, without a word, when a ref cannot be fetched: the tests
would run without the change and pass.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack_gate.clone import git_cache
from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.git import CorruptRepository, PatchFailed, is_ancestor, read_commit
from ci_scripts.workspace import write_text_atomically


def require_change(context: GateContext, layout: WrapperLayout) -> None:
    """Raises InfrastructureError for a project that is not there or lacks what prepare-gate merged into it."""
    for project, record in sorted(context.run["checkouts"].items()):
        tree = tree_of(layout, project)
        if not (tree / ".git").exists():
            raise InfrastructureError(
                f"the wrapper did not set up {project}: there is no {tree}.",
                log=layout.console,
                next_step="see devstack-gate-setup-workspace-new.txt in the wrapper's logs.",
            )
        for commit in _merged(record):
            if not _contains(tree, commit):
                raise InfrastructureError(
                    f"the wrapper checked {project} out at {_head(tree)[:10]}, which lacks {commit[:10]} of the change "
                    "under test: it could not fetch the merged ref and fell back to the branch.",
                    log=layout.console,
                    next_step="see git's words in devstack-gate-setup-workspace-new.txt, and ZUUL_URL and ZUUL_REF in "
                    "environment.sh. With a folder ~/src the wrapper takes that instead (Zuul 3's layout).",
                )


def apply_patches(context: GateContext, layout: WrapperLayout) -> None:
    """Apply ``patches:`` of ci.yaml to the wrapper's checkouts, as prepare-gate did to its own.

    What has been applied before (the hook was run again by hand) is left. Raises InfrastructureError.
    """
    git = git_cache(context).git
    for project in sorted(context.run["checkouts"]):
        configured = context.settings.projects.get(project)
        tree = tree_of(layout, project)
        for patch in configured.patches if configured else ():
            reverse = ("apply", "--reverse", "--check", "--", str(patch))
            if git.run(tree, *reverse, check=False).exit_code == 0:
                continue
            try:
                git.apply(tree, patch)
            except PatchFailed as error:
                raise InfrastructureError(
                    f"the CI's own patch {patch.name} does not apply to {project} as the wrapper checked it out: "
                    f"{error.what}",
                    log=error.log,
                    next_step="renew the patch, or remove it from patches: in ci.yaml.",
                ) from error


def write_projects(context: GateContext, layout: WrapperLayout) -> None:
    """logs/devstack-gate-projects.txt: every project that the wrapper set up, with its commit, one a line."""
    folders = sorted(layout.dest.iterdir()) if layout.dest.is_dir() else []
    lines = [f"{folder.name} {_head(folder)}\n" for folder in folders if (folder / ".git").is_dir()]
    write_text_atomically(context.workspace.logs / "devstack-gate-projects.txt", "".join(lines))


def tree_of(layout: WrapperLayout, project: str) -> Path:
    """Where the wrapper puts a project."""
    return layout.dest / project.rpartition("/")[2]


def _merged(record: dict[str, Any]) -> list[str]:
    return [*record.get("merged", ()), *([record["revision"]] if record.get("revision") else [])]


def _contains(tree: Path, commit: str) -> bool:
    try:
        return is_ancestor(tree, commit, "HEAD")
    except CorruptRepository:
        # Git says the same of a commit that the repository has never seen.
        return False


def _head(tree: Path) -> str:
    try:
        return read_commit(tree, "HEAD").hexsha
    except CorruptRepository:
        return "unknown"
