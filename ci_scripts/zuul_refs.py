"""The merged refs that Zuul would serve, made by ourselves: what devstack-gate's wrapper fetches from ZUUL_URL.

Zuul 2 ("Launchers" in its documentation) keeps every project and branch of a build set, its changes merged, at
``refs/zuul/<branch>/Z<build set>`` of ``ZUUL_URL/<project>``; what has no such ref is taken from its own server.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ci_scripts.change import ChangeUnderTest
from ci_scripts.checkouts import HEADS, Fetched, check_out, fetch, is_merged_by_zuul
from ci_scripts.git_cache import GitCache
from ci_scripts.git_layout import borrow_objects
from ci_scripts.workspace import Workspace

FOLDER = "zuul-refs"
KINDS = ("devstack", "devstack-gate")


def zuul_url_of(workspace: Workspace) -> str:
    """The address below which the merged refs of a run are: ``ZUUL_URL``, a plain file URL."""
    return (workspace.root / FOLDER).as_uri()


def zuul_ref_of(branch: str, run_id: str) -> str:
    """The ref of a branch in each of these repositories: ``ZUUL_REF`` for the change's own branch."""
    return f"refs/zuul/{branch}/Z{run_id}"


def write_zuul_refs(
    workspace: Workspace, run_id: str, change: ChangeUnderTest, sources: Mapping[str, Fetched], cache: GitCache
) -> dict[str, str]:
    """Make the repositories below zuul-refs/ from the checkouts of the run; ``url`` and ``ref`` for run.json.

    ``sources`` are the projects that were checked out. A repository borrows the objects of the git cache, so it costs
    what was merged. Where Zuul made the refs, its own are named and nothing is written.

    Raises MergeConflict for a dependency on another branch of its project, MissingRef, or InfrastructureError.
    """
    if is_merged_by_zuul(change):
        return {"url": (change.url or "").removesuffix(f"/{change.project}"), "ref": change.ref}
    shutil.rmtree(workspace.root / FOLDER, ignore_errors=True)
    (workspace.root / FOLDER).mkdir()
    for (project, branch), changes in _by_branch((*change.also, change), sources).items():
        source, ref = sources[project], zuul_ref_of(branch, run_id)
        target = workspace.root / FOLDER / project
        if source.branch == branch:
            _keep(source, workspace.src / project, target, ref, cache)
            continue
        aside = workspace.root / FOLDER / f".{run_id}"
        try:
            wanted = replace(source.wanted, refs=(HEADS + branch,), changes=changes, patches=(), key="")
            other = fetch(wanted, cache, cache.git.say)
            check_out(other, aside, cache)
            _keep(other, aside, target, ref, cache)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return {"url": zuul_url_of(workspace), "ref": zuul_ref_of(change.branch, run_id)}


def _by_branch(
    items: Iterable[ChangeUnderTest], sources: Mapping[str, Fetched]
) -> dict[tuple[str, str], tuple[ChangeUnderTest, ...]]:
    """Project and branch with their changes, in the order in which they are merged."""
    groups: dict[tuple[str, str], tuple[ChangeUnderTest, ...]] = {}
    for item in items:
        if item.is_control:
            # No change: what is fetched is the tip that was checked out, also when the branch moves on meanwhile.
            groups[item.project, item.branch] = ()
        elif item.project in sources:
            key = (item.project, item.branch)
            groups[key] = (*groups.get(key, ()), item)
    return groups


def _keep(source: Fetched, checkout: Path, target: Path, ref: str, cache: GitCache) -> None:
    """Bring the merge in ``checkout`` into the repository at ``target``."""
    if not target.exists():
        cache.git.init(target, bare=True)
        borrow_objects(target, cache.repository(source.wanted.url))
    cache.git.fetch(target, str(checkout), {HEADS + source.branch: ref})
