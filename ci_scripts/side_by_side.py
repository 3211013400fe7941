"""Work on several projects at once, each with its own git log; what is said and what fails stays in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ci_scripts.errors import CIError
from ci_scripts.git_cache import GitCache

# Most of the time is spent waiting for servers and for git; a processor more or less does not matter.
WORKERS = 16
T = TypeVar("T")


def side_by_side(tasks: Mapping[str, Callable[[GitCache], T]], cache: GitCache) -> dict[str, T]:
    """The result of each task by its project, in the order of the projects.

    A project whose name continues another's (a, a/b) is in the other's folder: it comes after it.
    The first failure ends the others, and is raised when they have ended; so is an abort. The git log has one project
    after the other.
    """
    failed = threading.Event()
    names = sorted(tasks)
    parts = {name: cache.git.log.with_name(f"git-{name.replace('/', '-')}.log") for name in names}

    def stopped() -> str | None:
        return "another project failed, or the run was aborted" if failed.is_set() else None

    def work(chain: list[str]) -> dict[str, T]:
        made = {}
        for name in chain:
            git = replace(cache.git, log=parts[name], stopped=stopped)
            git.raise_if_stopped()
            made[name] = tasks[name](replace(cache, git=git))
        return made

    with ThreadPoolExecutor(WORKERS, thread_name_prefix="project") as pool:
        futures: list[Future[dict[str, T]]] = []
        try:
            futures += [pool.submit(work, chain) for chain in _chains(names)]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            broken = next((error for one in futures if one in done and (error := one.exception())), None)
            if broken is not None:
                raise broken
        except BaseException as error:
            failed.set()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, CIError) and error.log in parts.values():
                error.log = cache.git.log
            raise
        finally:
            _join(parts, cache.git.log)
    made = {name: result for one in futures for name, result in one.result().items()}
    return {name: made[name] for name in names}


def _chains(names: list[str]) -> list[list[str]]:
    """Sorted names; those below the folder of another behind it."""
    chains: list[list[str]] = []
    for name in names:
        above = next((chain for chain in chains if name.startswith(f"{chain[0]}/")), None)
        if above is not None:
            above.append(name)
        else:
            chains.append([name])
    return chains


def _join(parts: Mapping[str, Path], log: Path) -> None:
    for part in parts.values():
        if part.exists():
            with open(log, "ab") as whole:
                whole.write(part.read_bytes())
            part.unlink()
