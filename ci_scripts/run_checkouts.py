"""The checkouts of a run: is the change worth one; what does it need; everything fetched, merged and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ci_scripts.change import ChangeUnderTest
from ci_scripts.checkouts import Fetched, Wanted, check_out, fetch, files_of_change, mended, wanted_checkouts
from ci_scripts.depends_on import Dependencies, Stack
from ci_scripts.depends_on_lookup import look_up_dependencies, read_stack
from ci_scripts.errors import CIError, NothingToTest
from ci_scripts.git_cache import GitCache
from ci_scripts.irrelevant_files import only_irrelevant
from ci_scripts.side_by_side import side_by_side
from ci_scripts.zuul_refs import KINDS, write_zuul_refs

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings
    from ci_scripts.stage_log import StageRecord
    from ci_scripts.workspace import Workspace

SHOWN = 5


class IrrelevantFiles(NothingToTest):
    """The change touches only files that do not matter to the job."""


@dataclass(frozen=True)
class Site:
    """What all steps share: the configuration, the run's folder, the git cache, the stage's record."""

    settings: Settings
    workspace: Workspace
    cache: GitCache
    record: StageRecord


def check_out_all(site: Site, change: ChangeUnderTest, run: dict[str, Any]) -> ChangeUnderTest:
    """Fetch, decide whether to go on, look up what is needed, check out. The change with its revision and ``also``.

    Fills ``change``, ``also``, ``left_out``, ``checkouts`` and (for the kinds that read it) ``zuul`` of run.json.

    Raises NothingToTest for a change that is not worth a run or cannot be merged, InfrastructureError.
    """
    wanted = wanted_checkouts(site.settings, change)
    if change.is_control:
        return _check_out_tips(site, change, wanted, run)
    ready, stack = _fetch_all(site, change, wanted)
    asked, change = change, replace(change, revision=ready[change.project].revisions[-1])
    run["change"] = change.as_record()
    needs = _dependencies(site, change, stack, wanted)
    if needs.changes:
        change = replace(change, also=needs.changes)
        before, wanted = wanted, wanted_checkouts(site.settings, replace(asked, also=needs.changes))
        ready = {name: fetched for name, fetched in ready.items() if wanted[name] == before[name]}
    run["also"] = [item.as_record() for item in change.also]
    run["left_out"] = [*_left_out(site, change, wanted), *needs.unknown]
    sources = write_checkouts(site, wanted, ready, run)
    if site.settings.gate.kind in KINDS:
        with site.record.step("write the refs for devstack-gate"):
            run["zuul"] = write_zuul_refs(site.workspace, run["run_id"], change, sources, site.cache)
    return change


def _check_out_tips(
    site: Site, change: ChangeUnderTest, wanted: Mapping[str, Wanted], run: dict[str, Any]
) -> ChangeUnderTest:
    """For a control run: the branches as they are, and which commit that is of the project it is about."""
    sources = write_checkouts(site, wanted, {}, run)
    change = replace(change, url=wanted[change.project].url, revision=sources[change.project].tip)
    run.update(control=True, change=change.as_record(), also=[], left_out=[])
    if site.settings.gate.kind in KINDS:
        run["zuul"] = write_zuul_refs(site.workspace, run["run_id"], change, sources, site.cache)
    return change


def write_checkouts(
    site: Site, wanted: Mapping[str, Wanted], ready: Mapping[str, Fetched], run: dict[str, Any]
) -> dict[str, Fetched]:
    """Fetch what is not ``ready`` and write the source trees, side by side; fills run["checkouts"]."""

    def task(name: str) -> Callable[[GitCache], tuple[Fetched, dict[str, Any]]]:
        kept = [ready[name]] if name in ready else []

        def make(cache: GitCache) -> tuple[Fetched, dict[str, Any]]:
            # A second attempt follows damage: what was fetched before is gone with the cache.
            fetched = kept.pop() if kept else fetch(wanted[name], cache, site.record.say)
            return fetched, check_out(fetched, site.workspace.src / name, cache).as_record(site.workspace.root)

        def work(cache: GitCache) -> tuple[Fetched, dict[str, Any]]:
            with site.record.step(f"check out {name}"):
                return mended(cache, wanted[name].url, lambda: make(cache))

        return work

    made = side_by_side({name: task(name) for name in wanted}, site.cache)
    run["checkouts"].update({name: entry for name, (_, entry) in made.items()})
    return {name: fetched for name, (fetched, _) in made.items()}


def _fetch_all(site: Site, change: ChangeUnderTest, wanted: Mapping[str, Wanted]) -> tuple[dict[str, Fetched], Stack]:
    """The projects while the change is fetched and looked at: it is nearly always worth a run.

    What the change says comes first: that another project cannot be had is raised when it is known to be needed.
    """
    failures: dict[str, CIError] = {}
    stacks: list[Stack] = []

    def own(cache: GitCache) -> Fetched | None:
        fetched, stack = _fetch_change(site, change, wanted[change.project], cache)
        stacks.append(stack)
        return fetched

    def other(name: str) -> Callable[[GitCache], Fetched | None]:
        def work(cache: GitCache) -> Fetched | None:
            try:
                with site.record.step(f"fetch {name}"):
                    return mended(cache, wanted[name].url, lambda: fetch(wanted[name], cache, site.record.say))
            except CIError as error:
                failures[name] = error
                return None

        return work

    found = side_by_side({name: own if name == change.project else other(name) for name in wanted}, site.cache)
    for name in sorted(failures):
        failures[name].log = site.cache.git.log
        raise failures[name]
    return {name: fetched for name, fetched in found.items() if fetched is not None}, stacks[0]


def _fetch_change(site: Site, change: ChangeUnderTest, wanted: Wanted, cache: GitCache) -> tuple[Fetched, Stack]:
    """Raises IrrelevantFiles when the change is not worth a run."""

    def work() -> tuple[Fetched, list[str], Stack]:
        fetched = fetch(wanted, cache, site.record.say)
        return fetched, files_of_change(fetched, cache), read_stack(fetched, cache)

    with site.record.step(f"fetch change {change.name} of {change.project}"):
        fetched, files, stack = mended(cache, wanted.url, work)
    configured = site.settings.projects.get(change.project)
    if configured is not None and only_irrelevant(files, configured.irrelevant_files):
        shown = ", ".join(files[:SHOWN]) + (f" and {len(files) - SHOWN} more" if len(files) > SHOWN else "")
        raise IrrelevantFiles(f"change {change.name} of {change.project} touches irrelevant files only: {shown}.")
    return fetched, stack


def _dependencies(site: Site, change: ChangeUnderTest, stack: Stack, wanted: Mapping[str, Wanted]) -> Dependencies:
    needs = look_up_dependencies(site.settings, change, stack, wanted, site.cache)
    for item in needs.changes:
        site.record.say(f"change {change.name} needs {item.name} of {item.project} ({item.branch})")
    for text in needs.unknown:
        site.record.say(f"Depends-On: {text}: it is left out")
    return needs


def _left_out(site: Site, change: ChangeUnderTest, wanted: Mapping[str, Wanted]) -> list[str]:
    """The dependencies that are not tested with the change, said aloud: its failures may come from that."""
    tested = {item.name for checkout in wanted.values() for item in checkout.changes}
    names = [f"{item.name} of {item.project}" for item in change.also if item.name not in tested]
    for name in names:
        site.record.say(f"change {name} is not checked out here: it is left out")
    return names
