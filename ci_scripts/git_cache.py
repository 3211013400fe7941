"""The git cache: one bare repository for each project of each server, fetched into under a lock.

A checkout has its own refs, index, configuration and files, and reads the cache's objects through
``objects/info/alternates``: nothing is transferred or copied, so it costs what writing its files costs, however long
the history is. Git never writes through alternates, so a run's git cannot change the cache (hard links could be
written to, a copy would grow with the history). Nothing that a checkout may borrow is taken away: no garbage
collection, no pruning, and repacking keeps unreachable objects.

What this does not do: a run under the same user can still write to the cache's folder (single-use nodes, or another
user, are for that), and when the cache is deleted, the git history of earlier runs' checkouts is gone while their
files stay (``git repack -a -d`` in the checkout makes it independent before).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, urlsplit

from ci_scripts.errors import InfrastructureError
from ci_scripts.git import CorruptRepository, Git, MissingRef, read_commit, server_of
from ci_scripts.git_layout import lay_out_repository
from ci_scripts.run_command import CommandFailed

LONGEST_NAME = 120
PACKS = 20
LAG_WAITS = (1.0, 2.0, 4.0)
LOCK_POLL = 0.2


@dataclass(frozen=True)
class GitCache:
    """The repositories below ``folder``."""

    folder: Path
    git: Git

    def repository(self, url: str) -> Path:
        """Where the objects of this address are. The scheme and the user do not count: they name the same project."""
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        name = quote((host + parts.path).removesuffix("/").removesuffix(".git"), safe="")
        if len(name) > LONGEST_NAME:
            name = f"{hashlib.sha256(name.encode()).hexdigest()[:16]}-{name[-LONGEST_NAME:]}"
        return self.folder / f"{name}.git"

    def fetch(
        self, url: str, refs: Sequence[str], *, wait_for: Collection[str] = (), into: str | None = None
    ) -> dict[str, str]:
        """Bring refs (full names or commit ids) of ``url`` into the cache; the commits they point at.

        Those in ``wait_for`` may be missing for Patience.ref_lag seconds: a trigger can be faster than replication.
        ``into`` is the address whose repository takes them, where one project comes from two servers.
        A damaged cache is moved aside and made anew, once. Raises MissingRef or InfrastructureError.
        """
        waited, waits = 0.0, list(LAG_WAITS)
        while True:
            try:
                return self._fetch_mended(self.repository(into or url), url, refs)
            except MissingRef as error:
                wait = waits.pop(0) if len(waits) > 1 else waits[0]
                if error.ref not in wait_for or waited + wait > self.git.patience.ref_lag:
                    if waited:
                        error.what = f"{error.what.rstrip('.')}, also not after {waited:g} s."
                    raise
                self.git.say(f"{error.ref} is not at {server_of(url)} yet (replication?); asking again in {wait:g} s")
                self.git.patience.sleep(wait)
                waited += wait

    def _fetch_mended(self, repository: Path, url: str, refs: Sequence[str]) -> dict[str, str]:
        with self._locked(repository):
            try:
                return self._fetch_locked(repository, url, refs)
            except CorruptRepository as error:
                self._move_aside(repository, error)
            try:
                return self._fetch_locked(repository, url, refs)
            except CorruptRepository as error:
                raise InfrastructureError(
                    f"what the git server {server_of(url)} gives for {url} cannot be read, also in a new cache: "
                    f"{error.what}",
                    log=self.git.log,
                    next_step="see whether the disk is sound and whether the server's repository is (git fsck).",
                ) from error

    def renew(self, url: str, damage: CorruptRepository) -> None:
        """Move a damaged repository aside; the next fetch makes it anew."""
        repository = self.repository(url)
        with self._locked(repository):
            self._move_aside(repository, damage)

    def check_out(self, url: str, branch: str, commit: str, target: Path) -> None:
        """Make ``target`` a repository with ``branch`` at a commit that the cache holds; nothing is transferred.

        Its ``origin`` is the server; the tags come along, because versions are computed from them (pbr). What was
        in ``target`` before is deleted. Raises CorruptRepository, or InfrastructureError for a full disk and the like.
        """
        repository = self.repository(url)
        if target.is_symlink():
            target.unlink()
        if target.exists():
            shutil.rmtree(target)
        refs = self.git.refs(repository, "refs/tags")
        own = {f"refs/heads/{branch}": commit, f"refs/remotes/origin/{branch}": commit}
        lay_out_repository(target, branch, {**refs, **own}, url, repository)
        self.git.reset(target, commit)

    def _fetch_locked(self, repository: Path, url: str, refs: Sequence[str]) -> dict[str, str]:
        if not repository.exists():
            self.git.init(repository, bare=True)
        if (repository / "shallow").exists():
            # Filled from a clone with --depth, say: without the common history every merge would be a conflict.
            raise CorruptRepository(f"the git cache {repository} holds a part of the history only (it is shallow).")
        self._remove_leftovers(repository)
        missing = [ref for ref in refs if not _is_here(repository, ref)]
        if missing:
            local = {ref: ref if ref.startswith("refs/") else f"refs/commits/{ref}" for ref in missing}
            self.git.fetch(repository, url, local)
        # Read while the lock is held: another run may move the cache's branch as soon as it is free.
        commits = self.git.commits(repository, refs)
        self._tidy(repository)
        return commits

    def _tidy(self, repository: Path) -> None:
        """Join packs when there are many. Geometric: the work grows with what came in, not with the history."""
        if len(list((repository / "objects" / "pack").glob("*.pack"))) > PACKS:
            with suppress(CommandFailed):
                self.git.run(repository, "repack", "-d", "--geometric=2", "--quiet", timeout=self.git.patience.transfer)

    def _remove_leftovers(self, repository: Path) -> None:
        """Locks and half packs of a git that was killed; only those older than any transfer can be."""
        oldest = time.time() - self.git.patience.transfer
        packs = repository / "objects" / "pack"
        for leftover in (*repository.glob("*.lock"), *repository.glob("refs/**/*.lock"), *packs.glob("tmp_*")):
            with suppress(OSError):
                if leftover.stat().st_mtime < oldest:
                    leftover.unlink()

    def _move_aside(self, repository: Path, damage: CorruptRepository) -> None:
        aside = repository.with_suffix(f".corrupt-{time.time_ns()}")
        for older in repository.parent.glob(f"{repository.stem}.corrupt-*"):
            shutil.rmtree(older, ignore_errors=True)
        with suppress(FileNotFoundError):
            repository.rename(aside)
        self.git.say(f"WARNING: {damage.what} It is moved to {aside.name} and fetched anew, which takes longer.")

    @contextmanager
    def _locked(self, repository: Path) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = repository.with_suffix(".lock")
        waited = 0.0
        with open(path, "a+", encoding="utf-8") as handle:
            while not _try_lock(handle):
                self.git.raise_if_stopped()
                if waited == 0.0:
                    self.git.say(f"the git cache {repository.name} is in use by {_holder(handle)}; waiting")
                if waited >= self.git.patience.lock:
                    raise InfrastructureError(
                        f"the git cache {repository} has been in use by {_holder(handle)} for {waited:g} s.",
                        next_step=f"see what that process does and end it; the lock {path} goes with it.",
                    )
                self.git.patience.sleep(LOCK_POLL)
                waited += LOCK_POLL
            handle.truncate(0)
            handle.write(f"process {os.getpid()} since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}")
            handle.flush()
            yield


def _try_lock(handle: TextIO) -> bool:
    # flock(2) ends with the process that holds it, however that ended: no stale lock.
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(handle: TextIO) -> str:
    handle.seek(0)
    return handle.read(200).strip() or "another process"


def _is_here(repository: Path, ref: str) -> bool:
    """A commit id that is in the cache needs no server; a ref may have moved there."""
    if ref.startswith("refs/"):
        return False
    try:
        read_commit(repository, ref)
    except CorruptRepository:
        return False
    return True
