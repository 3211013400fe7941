"""The source trees of a run: the change merged onto its branch, what it depends on, the driver, other projects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ci_scripts.branches import ended, successors, where_it_went
from ci_scripts.errors import ConfigurationError, InfrastructureError, NothingToTest
from ci_scripts.git import CorruptRepository, MissingRef, PatchFailed, changed_files, is_ancestor
from ci_scripts.git_cache import GitCache
from ci_scripts.untrusted_words import revision_problem

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.settings_model import Settings

HEADS = "refs/heads/"
PINNED = "ci-pinned"
T = TypeVar("T")


@dataclass(frozen=True)
class Wanted:
    """One project of a run: ``refs`` are tried in order, ``changes`` merged onto the first that the server has.

    ``key`` is what names the branch in ci.yaml (or the option); empty where the change under test names it.
    """

    project: str
    url: str
    refs: tuple[str, ...]
    changes: tuple[ChangeUnderTest, ...] = ()
    patches: tuple[Path, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class Fetched:
    """What the cache holds of a project now; ``revisions`` belong to ``wanted.changes``, in that order."""

    wanted: Wanted
    ref: str
    tip: str
    revisions: tuple[str, ...]

    @property
    def branch(self) -> str:
        """The name for the checkout's branch; a tag and a commit have none."""
        return self.ref.removeprefix(HEADS) if self.ref.startswith(HEADS) else PINNED


@dataclass(frozen=True)
class Checkout:
    """A source tree under ``src/``. ``commit`` is what was checked out, before ``patches`` changed the files.

    ``tip`` is what the server's branch was at, ``merged`` the changes merged onto it, ``revision`` the last of them.
    """

    project: str
    path: Path
    url: str
    branch: str
    tip: str
    commit: str
    revision: str | None
    contains_revision: bool
    patches: tuple[str, ...]
    merged: tuple[str, ...] = ()

    def as_record(self, root: Path) -> dict[str, Any]:
        """The entry in run.json; its path is relative to the workspace ``root``."""
        return {
            "path": str(self.path.relative_to(root)),
            "url": self.url,
            "branch": self.branch,
            "tip": self.tip,
            "commit": self.commit,
            "revision": self.revision,
            "contains_revision": self.contains_revision,
            "patches": list(self.patches),
            "merged": list(self.merged),
        }


def is_merged_by_zuul(change: ChangeUnderTest) -> bool:
    """Zuul 2's refs are the change already merged onto its branch, with everything it depends on."""
    return change.ref.startswith("refs/zuul/")


def wanted_checkouts(settings: Settings, change: ChangeUnderTest) -> dict[str, Wanted]:
    """What this run checks out, the project under test first. Pure.

    Raises NothingToTest for a project that is not in the configuration, ConfigurationError for one without an address.
    """
    known = {*settings.projects, settings.driver.project}
    if change.project not in known:
        raise NothingToTest(
            f"{change.project} is not tested here; configured are {', '.join(sorted(known))}.",
            next_step=f"add it to projects: in {settings.config_path.name} if it should be.",
        )
    names = [change.project, *(name for name in settings.projects if name != change.project)]
    if settings.driver.source is not None and settings.driver.project not in names:
        names.append(settings.driver.project)
    return {name: _wanted(name, settings, change) for name in names}


def _wanted(project: str, settings: Settings, change: ChangeUnderTest) -> Wanted:
    configured = settings.projects.get(project)
    items = () if change.is_control else (*change.also, change)
    changes = tuple(item for item in items if item.project == project)
    patches = configured.patches if configured else ()
    wanted = Wanted(project, _url(project, settings, change, changes), (), changes, patches)
    if project == change.project:
        same_branch = tuple(item for item in changes if item.branch == change.branch)
        key = "--branch" if change.is_control else ""
        return replace(wanted, refs=(HEADS + change.branch,), changes=same_branch, key=key)
    if project == settings.driver.project and settings.driver.source is not None:
        override = settings.branches.get(change.branch)
        name = override.driver_ref if override is not None else None
        key = f"branches.{change.branch}.driver_ref" if name else "driver.ref"
        return replace(wanted, refs=_refs_by_name(name or settings.driver.ref), key=key)
    assert configured is not None
    branches = [change.branch, *(item.branch for item in changes), configured.branch, configured.default_branch]
    key = f"projects.{project}.{'default_branch' if configured.default_branch else 'branch'}"
    return replace(wanted, refs=tuple(dict.fromkeys(HEADS + branch for branch in branches if branch)), key=key)


def _refs_by_name(name: str) -> tuple[str, ...]:
    """A configured name may be a branch, a tag, or a commit's full name."""
    return (name,) if revision_problem(name) is None else (HEADS + name, f"refs/tags/{name}")


def _url(project: str, settings: Settings, change: ChangeUnderTest, changes: Sequence[ChangeUnderTest]) -> str:
    if project == change.project and change.url:
        return change.url
    if project == settings.driver.project and settings.driver.source is not None:
        return settings.driver.source
    configured = settings.projects.get(project)
    if configured is not None and configured.url is not None:
        return configured.url
    for item in changes:
        if item.url:
            return item.url
    if change.is_control and settings.gerrit is not None and settings.gerrit.url is not None:
        return f"{settings.gerrit.url.rstrip('/')}/{project}"
    if change.url and change.url.endswith("/" + change.project):
        return change.url.removesuffix(change.project) + project
    raise ConfigurationError(
        f"nothing says where {project} is fetched from.",
        next_step=f"give projects.{project}.url in {settings.config_path.name}, or --url for the change's project.",
    )


def fetch(wanted: Wanted, cache: GitCache, say: Callable[[str], None]) -> Fetched:
    """Bring one project's branch and changes into the cache.

    Raises MissingRef when no branch is there (BranchEnded or ConfigurationError where it is known what became of it),
    ConfigurationError when a person named a ref that is not there,
    InfrastructureError when the server fails or gives another commit than the trigger named.
    """
    as_they_are = [item for item in wanted.changes if is_merged_by_zuul(item)]
    if as_they_are:
        return _fetch_merged_by_zuul(wanted, as_they_are[-1], cache)
    for ref in wanted.refs:
        fitting = tuple(item for item in wanted.changes if HEADS + item.branch == ref)
        try:
            commits = _fetch_with_changes(wanted.url, ref, fitting, cache)
        except MissingRef as error:
            if error.ref != ref:
                raise
            continue
        if ref != wanted.refs[0]:
            say(f"{wanted.project} has no {_short(wanted.refs[0])}: {_short(ref)} is taken")
        for item in wanted.changes:
            if item not in fitting:
                say(f"{wanted.project} change {item.name} is for {item.branch}, not {_short(ref)}: it is left out")
        revisions = tuple(_checked_revision(item, commits[item.ref]) for item in fitting)
        return Fetched(replace(wanted, changes=fitting), ref, commits[ref], revisions)
    _raise_if_ended(wanted, cache)
    names = " or ".join(_short(ref) for ref in wanted.refs)
    raise MissingRef(
        f"{wanted.project} at {wanted.url} has no {names}.",
        wanted.refs[0],
        log=cache.git.log,
        next_step="check the branch and the address in ci.yaml or in what the trigger sends.",
    )


def _raise_if_ended(wanted: Wanted, cache: GitCache) -> None:
    """A branch that moved or ended is not missing by chance: nobody needs to look for a fault of the server."""
    # The last one is the one that nothing stands in for.
    branch = next((ref.removeprefix(HEADS) for ref in reversed(wanted.refs) if ref.startswith(HEADS)), "")
    asked = successors(branch)
    there = cache.git.listed(wanted.url, asked) if asked else frozenset()
    why = where_it_went(branch, there)
    if why is not None:
        raise ended(wanted.project, branch, why, wanted.key)


def _fetch_merged_by_zuul(wanted: Wanted, item: ChangeUnderTest, cache: GitCache) -> Fetched:
    url = item.url or wanted.url
    commit = cache.fetch(url, [item.ref], wait_for=_patient([item]), into=wanted.url)[item.ref]
    _checked_revision(item, commit)
    return Fetched(replace(wanted, changes=(item,)), HEADS + item.branch, commit, (commit,))


def _fetch_with_changes(url: str, ref: str, changes: Sequence[ChangeUnderTest], cache: GitCache) -> dict[str, str]:
    """One transfer for each server: nearly always one."""
    refs_of: dict[str, list[str]] = {url: [ref]}
    for item in changes:
        refs_of.setdefault(item.url or url, []).append(item.ref)
    commits: dict[str, str] = {}
    for server, refs in refs_of.items():
        try:
            commits |= cache.fetch(server, refs, wait_for=_patient(changes), into=url)
        except MissingRef as error:
            if any(item.ref == error.ref and item.given_by_hand for item in changes):
                raise ConfigurationError(error.what, log=error.log, next_step=error.next_step) from error
            raise
    return commits


def _patient(changes: Sequence[ChangeUnderTest]) -> list[str]:
    return [item.ref for item in changes if not item.given_by_hand]


def _checked_revision(change: ChangeUnderTest, commit: str) -> str:
    if change.revision is not None and change.revision != commit:
        raise InfrastructureError(
            f"{change.ref} of {change.project} is {commit}, but the trigger named {change.revision}.",
            next_step="see whether the trigger and the git server belong to the same Gerrit.",
        )
    return commit


def _short(ref: str) -> str:
    return f"branch {ref.removeprefix(HEADS)}" if ref.startswith(HEADS) else ref


def files_of_change(fetched: Fetched, cache: GitCache) -> list[str]:
    """The files that the change under test (the last one merged) changes. Raises CorruptRepository."""
    return changed_files(cache.repository(fetched.wanted.url), fetched.revisions[-1])


def mended(cache: GitCache, url: str, work: Callable[[], T]) -> T:
    """``work``, and when the cache turns out to be damaged, once more with a new one."""
    try:
        return work()
    except CorruptRepository as error:
        cache.renew(url, error)
        return work()


def check_out(fetched: Fetched, target: Path, cache: GitCache) -> Checkout:
    """Make the source tree of one project from the cache: the branch, its changes merged, its patches applied.

    Raises MergeConflict, CorruptRepository, or InfrastructureError for a patch that does not apply.
    """
    git, wanted = cache.git, fetched.wanted
    cache.check_out(wanted.url, fetched.branch, fetched.tip, target)
    for change, merged in zip(wanted.changes, fetched.revisions, strict=True):
        git.merge(target, merged, f"change {change.name} of {change.project}")
    # Without a merge it is what was asked for.
    commit = git.commits(target, ["HEAD"])["HEAD"] if fetched.revisions else fetched.tip
    revision = fetched.revisions[-1] if fetched.revisions else None
    contained = revision is not None and all(is_ancestor(target, one, commit) for one in fetched.revisions)
    checkout = Checkout(
        wanted.project,
        target,
        wanted.url,
        fetched.branch,
        fetched.tip,
        commit,
        revision,
        contained,
        tuple(patch.name for patch in wanted.patches),
        fetched.revisions,
    )
    _apply_patches(checkout, wanted, cache)
    return checkout


def fetched_before(record: Mapping[str, Any], wanted: Wanted, cache: GitCache, *, with_changes: bool) -> Fetched:
    """What an earlier checkout of the same run was made from, by its entry in run.json: the same commits once more.

    Without changes it is the branch as it was then. Nothing is transferred, but where Zuul merged the change: its
    branch has to be asked for. Raises InfrastructureError when the server does not answer.
    """
    ref = HEADS + record["branch"] if record["branch"] != PINNED else wanted.refs[0]
    if not cache.repository(wanted.url).exists():
        # Lost or damaged meanwhile. The branch may have moved on, but it holds the commits that it had.
        _fetch_with_changes(wanted.url, ref, wanted.changes if with_changes else (), cache)
    if with_changes:
        fitting = tuple(item for item in wanted.changes if HEADS + item.branch == ref or is_merged_by_zuul(item))
        changes = fitting[-len(record["merged"]) :] if record["merged"] else ()
        return Fetched(replace(wanted, changes=changes), ref, record["tip"], tuple(record["merged"]))
    bare = replace(wanted, changes=())
    if any(is_merged_by_zuul(item) for item in wanted.changes):
        return Fetched(bare, ref, cache.fetch(wanted.url, [ref])[ref], ())
    return Fetched(bare, ref, record["tip"], ())


def _apply_patches(checkout: Checkout, wanted: Wanted, cache: GitCache) -> None:
    git = cache.git
    for number, patch in enumerate(wanted.patches):
        try:
            git.apply(checkout.path, patch)
        except PatchFailed as error:
            alone = _applies_alone(checkout, wanted.patches[: number + 1], cache)
            names = ", ".join(change.name for change in wanted.changes)
            if alone and checkout.commit != checkout.tip:
                why = f"it applies to {checkout.branch} alone, but not with change {names}; the change is not to blame"
                next_step = "make the patch fit both, or drop it once the change is merged."
            else:
                why = f"nor does it apply to the tip of {checkout.branch} alone: the patch is out of date"
                next_step = "renew the patch, or remove it from patches: if the project has it by now."
            raise InfrastructureError(
                f"the CI's own patch {patch.name} does not apply to {checkout.project}: {why}. {error.what}",
                log=error.log,
                next_step=next_step,
            ) from error


def _applies_alone(checkout: Checkout, patches: Sequence[Path], cache: GitCache) -> bool:
    git = cache.git
    git.reset(checkout.path, checkout.tip)
    try:
        for patch in patches:
            git.apply(checkout.path, patch)
        return True
    except PatchFailed:
        return False
    finally:
        # What a person finds in the checkout is the change, not our experiment.
        git.reset(checkout.path, checkout.commit)


def project_addresses(settings: Settings) -> Mapping[str, str]:
    """Where ci.yaml says that a project is fetched from."""
    addresses = {name: project.url for name, project in settings.projects.items() if project.url is not None}
    if settings.driver.source is not None:
        addresses[settings.driver.project] = settings.driver.source
    return addresses
