"""Faults of what a run is made from: the package index, releases of others, git, and the caches."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path
from typing import cast

from benchmarks.blame.broken_releases import make_broken_release, unpinned_constraints
from benchmarks.blame.case import DRIVER, Case
from benchmarks.blame.case_run import CaseRun, earlier_run
from benchmarks.blame.example_site import Edit
from benchmarks.blame.selections import FEW, NETWORKS
from benchmarks.blame.servers import closed_port, failing_index, fetch_from, git_server
from ci_scripts.gates.local.ports import HOST
from ci_scripts.git import Git
from ci_scripts.git_cache import GitCache

HELD_SECONDS = 8.0
GIT_BACK_SECONDS = 5.0


def index_unreachable(run: CaseRun) -> None:
    run.environment["UV_DEFAULT_INDEX"] = f"http://{HOST}:{closed_port()}/simple"


def index_fails(run: CaseRun) -> None:
    run.environment["UV_DEFAULT_INDEX"] = failing_index(run)


def index_has_no_address(run: CaseRun) -> None:
    # RFC 2606: a name below .invalid never resolves.
    run.environment["UV_DEFAULT_INDEX"] = "http://index.invalid/simple"


def release_breaks_import(run: CaseRun) -> None:
    _broken_release(run, "routes", (Edit("routes/__init__.py", "from routes.mapper import Mapper\n", ""),))


def release_breaks_behaviour(run: CaseRun) -> None:
    old = "if '/' not in data or (net.version == 4 and str(net) != data):"
    new = "if '/' not in data or net.version == 6 or str(net) != data:"
    _broken_release(run, "neutron_lib", (Edit("neutron_lib/api/validators/__init__.py", old, new),))


def _broken_release(run: CaseRun, distribution: str, edits: tuple[Edit, ...]) -> None:
    wheels = run.folder / "releases"
    make_broken_release(_spelt(distribution), edits, wheels)
    run.environment["UV_FIND_LINKS"] = str(wheels)
    run.config["gate"]["constraints"] = str(unpinned_constraints(distribution, run.folder / "constraints.txt"))
    # An environment with a broken package does not belong into anybody's cache.
    run.environment["CI_CACHE_DIR"] = str(run.site.folder / "cache-of-broken-releases")


def _spelt(distribution: str) -> str:
    # Folder names of installed packages keep the spelling of the project.
    return {"routes": "Routes"}.get(distribution, distribution)


def git_server_down(run: CaseRun) -> None:
    fetch_from(run, closed_port())


def git_server_down_and_back(run: CaseRun) -> None:
    port = closed_port()
    fetch_from(run, port)

    def come_back() -> None:
        run.over.wait(GIT_BACK_SECONDS)
        git_server(run, port)
        run.note(f"git answers {GIT_BACK_SECONDS:g} s after the start")

    run.beside(come_back)


def git_cache_corrupted(run: CaseRun) -> None:
    repository = _own_git_cache(run)
    for pack in repository.glob("objects/pack/*.pack"):
        size = pack.stat().st_size
        pack.chmod(0o644)
        with open(pack, "r+b") as file:
            file.seek(size // 4)
            file.write(b"\0" * (size // 2))


def git_cache_locked_by_the_dead(run: CaseRun) -> None:
    repository = _own_git_cache(run)
    # The branch has moved on since, so that its lock is needed.
    git = ["git", f"--git-dir={repository}"]
    subprocess.run([*git, "update-ref", "refs/heads/master", "refs/heads/master~1"], check=True, timeout=60)
    for name in ("packed-refs.lock", "shallow.lock", "refs/heads/master.lock"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).touch()


def git_cache_in_use(run: CaseRun) -> None:
    lock = _own_git_cache(run).with_suffix(".lock")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT)
    run.exits.callback(os.close, handle)
    fcntl.flock(handle, fcntl.LOCK_EX)

    def let_go() -> None:
        run.over.wait(HELD_SECONDS)
        fcntl.flock(handle, fcntl.LOCK_UN)
        run.note(f"the lock was held for {HELD_SECONDS:g} s")

    run.beside(let_go)


def _own_git_cache(run: CaseRun) -> Path:
    """A cache folder of the case's own, with the repository of the driver in it as an earlier run has left it."""
    cache = _own_cache(run)
    for name in ("environments", "databases"):
        (cache / name).symlink_to((run.site.cache / name).resolve())
    url = str(run.site.repository(DRIVER))
    repository = GitCache(cache / "git", cast(Git, None)).repository(url)
    subprocess.run(["git", "clone", "--quiet", "--mirror", "--no-local", url, str(repository)], check=True, timeout=60)
    return repository


def _own_cache(run: CaseRun) -> Path:
    cache = run.folder / "cache"
    cache.mkdir()
    run.environment["CI_CACHE_DIR"] = str(cache)
    return cache


def environment_half_installed(run: CaseRun) -> None:
    """The cached environment of OpenStack says that it is complete and lacks half a package."""
    cache = _own_cache(run)
    (cache / "databases").symlink_to((run.site.cache / "databases").resolve())
    earlier_run(run)
    packages = list(cache.glob("environments/*/lib/python3*/site-packages/pecan"))
    if not packages:
        raise RuntimeError("the earlier run left no cached environment with pecan")
    for file in sorted(packages[0].glob("*.py"))[::2]:
        file.unlink()


def environment_loses_a_package(run: CaseRun) -> None:
    """Once, in the run's own copy, between ci-prepare-gate and the start of Neutron."""

    def lose() -> None:
        if run.wait_for(lambda: (run.workspace / "stages" / "run-gate.json").exists()):
            for package in run.workspace.glob("environments/openstack/lib/python3*/site-packages/pecan"):
                shutil.rmtree(package)
                run.note("pecan is gone")

    run.beside(lose)


_NOT = ("ci", "nobody", "unknown")
CASES = (
    Case("index-unreachable", "ci", "nobody listens at the package index", index_unreachable, ("ci",), FEW),
    Case("index-503", "ci", "the package index answers 503", index_fails, ("ci",), FEW),
    Case("index-no-address", "ci", "the package index's name does not resolve", index_has_no_address, ("ci",), FEW),
    Case("release-import", "ci", "a new release of routes cannot be used", release_breaks_import, ("ci",), FEW),
    Case("release-ipv6", "ci", "a new neutron-lib refuses IPv6", release_breaks_behaviour, ("ci",), NETWORKS),
    Case("git-down", "ci", "the git server is down", git_server_down, ("ci",), FEW),
    Case("git-down-and-back", "ci", "the git server is back after 5 s", git_server_down_and_back, ("nobody",), FEW),
    Case("git-cache-corrupted", "ci", "packs of the git cache are overwritten", git_cache_corrupted, ("nobody",), FEW),
    Case("git-stale-lock", "ci", "a dead git left locks", git_cache_locked_by_the_dead, ("ci", "nobody"), FEW),
    Case("git-cache-in-use", "ci", "another run holds the git cache for 8 s", git_cache_in_use, ("nobody",), FEW),
    Case("environment-half", "ci", "a cached environment is half there", environment_half_installed, ("ci",), FEW),
    Case("environment-loses", "ci", "a package vanishes once before the start", environment_loses_a_package, _NOT, FEW),
)
