"""Named verbs of git: transfers, merges and patches by the git program, local objects by GitPython.

Every command runs without hooks, without questions, without garbage collection and with the protocols below only:
addresses and refs come from outside, and a checkout may hold anything.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ci_scripts.errors import InfrastructureError, NothingToTest
from ci_scripts.git_words import is_corrupt, is_transient, missing_ref, told_by_git
from ci_scripts.run_command import CommandFailed, CommandStopped, CommandTimedOut, Completed, last_lines, run

if TYPE_CHECKING:
    import git as gitpython

PROTOCOLS = "file:git:http:https:ssh"
IDENTITY = ("CI", "ci@localhost")
OPTIONS = (
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "safe.directory=*",
    "core.fsmonitor=false",
    "core.autocrlf=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
    "color.ui=false",
    "commit.gpgSign=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    # One pack for each fetch instead of loose files: what borrows from the cache reads it faster.
    "fetch.unpackLimit=1",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    # 0: one worker for each processor writes a checkout's files.
    "checkout.workers=0",
)
KEPT_GIT_VARIABLES = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_", "GIT_ASKPASS", "GIT_PROXY_")
KEPT_GIT_FILES = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM")


@dataclass(frozen=True)
class Patience:
    """How long is waited for what, in seconds; ``tries`` is the number of attempts of one transfer.

    ``ref_lag`` is for a ref that a trigger named and that is not there yet (replication), ``lock`` for the cache's
    lock, ``transfer`` for one fetch, ``local`` for a command that works on local files. Waits double.
    """

    tries: int = 3
    first_wait: float = 3.0
    ref_lag: float = 60.0
    lock: float = 900.0
    transfer: float = 900.0
    local: float = 300.0
    sleep: Callable[[float], None] = time.sleep


class MissingRef(InfrastructureError):
    """A server does not have a ref."""

    def __init__(self, what: str, ref: str, *, log: Path | None = None, next_step: str = "") -> None:
        super().__init__(what, log=log, next_step=next_step)
        self.ref = ref


class CorruptRepository(InfrastructureError):
    """Local objects or refs cannot be read."""


class MergeConflict(NothingToTest):
    """A change cannot be merged onto its branch by machine."""


class PatchFailed(InfrastructureError):
    """A patch does not apply."""


@dataclass(frozen=True)
class Git:
    """The git program with what all its commands share: environment, log, patience, and where progress is said.

    ``stopped`` is asked while a command runs; a text that it returns ends it, and everything that would come after.
    """

    environment: Mapping[str, str]
    log: Path
    patience: Patience
    say: Callable[[str], None]
    stopped: Callable[[], str | None] | None = None

    def raise_if_stopped(self) -> None:
        """Raises InfrastructureError; to be called where something is waited for."""
        why = self.stopped() if self.stopped is not None else None
        if why is not None:
            raise InfrastructureError(f"git was stopped: {why}.", log=self.log)

    def run(self, folder: Path, *arguments: str, check: bool = True, **more: Any) -> Completed:
        """Run one git command in ``folder``, which must be a repository's top itself.

        Raises CommandFailed or CommandTimedOut (unless ``check`` is false), CorruptRepository where git's words say so.
        """
        options = [word for option in OPTIONS for word in ("-c", option)]
        more.setdefault("timeout", self.patience.local)
        more.setdefault("watch", self.stopped)
        env = {
            **git_environment(self.environment),
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
            **more.pop("env", {}),
        }
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"$ git {' '.join(without_password(word) for word in arguments)}    [in {folder}]\n")
        try:
            return run(["git", *options, *arguments], cwd=folder, env=env, log=self.log, check=check, **more)
        except CommandFailed as error:
            said = last_lines(told_by_git(error.completed.output), 6)
            if not isinstance(error, CommandTimedOut) and is_corrupt(said):
                raise CorruptRepository(f"the git repository {folder} is damaged: {said}.", log=self.log) from error
            what = error.completed.stopped_because or f"ended with exit code {error.completed.exit_code}"
            error.what = f"'git {arguments[0]}' in {folder} {what}. {said}"
            raise

    def version(self) -> str:
        """As ``git --version`` says it. Raises InfrastructureError when there is no git."""
        try:
            return self.run(self.log.parent, "--version").output.strip().removeprefix("git version ")
        except CommandFailed as error:
            raise InfrastructureError(
                "the git program does not run.", log=self.log, next_step="install git 2.30 or newer."
            ) from error

    def init(self, folder: Path, *, bare: bool = False) -> None:
        """Make an empty repository, without the templates (and hooks) of the machine."""
        folder.mkdir(parents=True, exist_ok=True)
        self.run(folder, "init", "--quiet", "--template=", *(["--bare"] if bare else []), "--", ".")

    def fetch(self, folder: Path, url: str, refs: Mapping[str, str]) -> None:
        """Bring refs of a server (keys) into local refs (values), whatever those pointed to, with the tags on the way.

        Failures that pass by themselves are tried again. Raises MissingRef, CorruptRepository (of the local side), or
        InfrastructureError that names the server and the log.
        """
        specs = [f"+{remote}:{local}" for remote, local in refs.items()]
        wait = self.patience.first_wait
        for tries_left in reversed(range(self.patience.tries)):
            try:
                # The options before it keep a ref or address with a leading dash from being one.
                done = self.run(folder, "fetch", "--quiet", "--", url, *specs, timeout=self.patience.transfer)
                self._raise_if_damaged(folder, url, done)
                return
            except CommandStopped:
                raise
            except CommandFailed as error:
                said = told_by_git(error.completed.output)
                self._raise_if_missing(error, url)
                passing = isinstance(error, CommandTimedOut) or is_transient(said)
                if not passing or tries_left == 0:
                    raise self._fetch_failed(url, error, said, passing) from error
                self.say(f"git server {server_of(url)}: {last_lines(said, 1)}; trying again in {wait:g} s")
                self.patience.sleep(wait)
                wait *= 2

    def listed(self, url: str, refs: Sequence[str]) -> frozenset[str]:
        """Which of these refs (full names) a server has. Nothing where it does not say: for explanations only."""
        found: set[str] = set()
        arguments = ("ls-remote", "--quiet", "--refs", "--", url, *refs)
        with suppress(CommandFailed, CorruptRepository):
            here = self.log.parent
            self.run(here, *arguments, timeout=60.0, on_line=lambda line: found.add(line.partition("\t")[2]))
        return frozenset(found) & frozenset(refs)

    def _raise_if_damaged(self, folder: Path, url: str, done: Completed) -> None:
        # A fetch can succeed and have said that it passed over damaged packs, or over what it was to fetch.
        said = told_by_git(done.output)
        if "shallow roots are not allowed" in said:
            raise InfrastructureError(
                f"the git server {server_of(url)} has a part of the history only (its repository is shallow).",
                log=self.log,
                next_step=f"give {without_password(url)} its whole history there: git fetch --unshallow.",
            )
        if is_corrupt(said):
            raise CorruptRepository(f"the git repository {folder} is damaged: {last_lines(said, 3)}.", log=self.log)

    def _raise_if_missing(self, error: CommandFailed, url: str) -> None:
        ref = missing_ref(error.completed.output)
        if ref is None:
            return
        next_step = "check the name and the address."
        raise MissingRef(f"{without_password(url)} has no {ref}.", ref, log=self.log, next_step=next_step) from error

    def _fetch_failed(self, url: str, error: CommandFailed, said: str, passing: bool) -> InfrastructureError:
        if "No space left on device" in said:
            return InfrastructureError(
                f"the disk is full: {without_password(url)} could not be fetched.",
                log=self.log,
                next_step="free some space and run the stage again.",
            )
        because = error.completed.stopped_because or last_lines(said, 3) or f"exit code {error.completed.exit_code}"
        tries = f" after {self.patience.tries} tries" if passing else ""
        return InfrastructureError(
            f"the git server {server_of(url)} did not give {without_password(url)}{tries}: {because}.",
            log=self.log,
            next_step="see whether the address is right and the server answers: git ls-remote with that address.",
        )

    def merge(self, folder: Path, commit: str, what: str) -> None:
        """Merge ``commit`` into what is checked out; ``what`` names it for people.

        The same parents always give the same merge commit. Raises MergeConflict; the merge is undone then.
        """
        date = f"@{read_commit(folder, commit).committed_date} +0000"
        signed = {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", IDENTITY[0]), ("EMAIL", IDENTITY[1]), ("DATE", date))
        }
        arguments = ("merge", "--quiet", "--no-edit", "--no-stat", "-m", f"Merge {what}", commit)
        try:
            self.run(folder, *arguments, env=signed)
        except CommandFailed as error:
            said = error.completed.output
            conflicts = re.findall(r"^CONFLICT .*", said, re.M)
            if not conflicts and "unrelated histories" not in said:
                raise
            self.run(folder, "reset", "--quiet", "--hard")
            raise MergeConflict(
                f"{what} cannot be merged onto its branch: {'; '.join(conflicts[:5]) or 'they share no history'}.",
                log=self.log,
                next_step="nothing for the CI to do; the change needs a rebase.",
            ) from error

    def apply(self, folder: Path, patch: Path) -> None:
        """Apply a patch to files and index, three-way where the patch's own base is known. Raises PatchFailed."""
        try:
            self.run(folder, "apply", "--3way", "--whitespace=nowarn", "--", str(patch))
        except CommandFailed as error:
            raise PatchFailed(
                f"{patch.name} does not apply: {last_lines(error.completed.output, 3)}.", log=self.log
            ) from error

    def reset(self, folder: Path, commit: str) -> None:
        """Make branch, index and files those of ``commit``."""
        self.run(folder, "reset", "--quiet", "--hard", commit, "--")

    def set_refs(self, folder: Path, refs: Mapping[str, str]) -> None:
        """Point local refs to objects that the repository can see."""
        lines = "".join(f"update {name} {commit}\n" for name, commit in refs.items())
        self.run(folder, "update-ref", "--stdin", input_text=lines)

    def refs(self, folder: Path, prefix: str) -> dict[str, str]:
        """Local refs below ``prefix`` with their objects (a tag's own object, not what it points to)."""
        found: dict[str, str] = {}

        def keep(line: str) -> None:
            sha, _, name = line.partition(" ")
            found[name] = sha

        self.run(folder, "for-each-ref", "--format=%(objectname) %(refname)", "--", prefix, on_line=keep)
        return found

    def commits(self, folder: Path, names: Sequence[str]) -> dict[str, str]:
        """The commits that refs, tags or ids name, looked at in one go. Raises CorruptRepository."""
        found: list[str] = []
        try:
            self.run(folder, "rev-parse", *(f"{name}^{{commit}}" for name in names), "--", on_line=found.append)
        except CommandFailed as error:
            if error.completed.stopped_because:
                raise
            said = last_lines(told_by_git(error.completed.output), 3)
            raise CorruptRepository(f"the git repository {folder} cannot be read: {said}.", log=self.log) from error
        return dict(zip(names, found, strict=False))


def git_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What git may see of our environment: no repository of somebody else (GIT_DIR), no question, English words."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("GIT_") or name.startswith(KEPT_GIT_VARIABLES) or name in KEPT_GIT_FILES
    }
    kept.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=30")
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": PROTOCOLS, "LC_ALL": "C"}


def server_of(url: str) -> str:
    """The host (and port) of an address; the path of one on this machine."""
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] or parts.path


def without_password(url: str) -> str:
    """An address as it may be shown: what stands before the host's ``@`` is left out."""
    return re.sub(r"(?<=://)[^/@\s]*:[^/@\s]*@", "", url)


@contextmanager
def _opened(folder: Path) -> Iterator[gitpython.Repo]:
    """GitPython on one repository; what it cannot read is a CorruptRepository."""
    import git as gitpython
    from git.exc import ODBError

    try:
        with gitpython.Repo(folder) as repository:
            # GitPython's own children would take these from our environment.
            config = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
            repository.git.update_environment(GIT_DIR=str(repository.git_dir), **config)
            yield repository
    except (gitpython.GitError, ODBError, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        raise CorruptRepository(
            f"the git repository {folder} cannot be read: {type(error).__name__}: {said}."
        ) from error


def read_commit(folder: Path, name: str) -> gitpython.Commit:
    """The commit that a ref or id names. Raises CorruptRepository when it cannot be read."""
    with _opened(folder) as repository:
        commit = repository.commit(name)
        # Loaded here: GitPython would read it later, when the repository is closed.
        _ = commit.parents, commit.committed_date
        return commit


def is_ancestor(folder: Path, commit: str, descendant: str) -> bool:
    """Whether ``commit`` is ``descendant`` or in its history. Raises CorruptRepository."""
    with _opened(folder) as repository:
        return repository.is_ancestor(repository.commit(commit), repository.commit(descendant))


def changed_files(folder: Path, name: str) -> list[str]:
    """The files that a commit changes against its first parent, both names of a renamed one.

    Raises CorruptRepository when an object is missing.
    """
    with _opened(folder) as repository:
        commit = repository.commit(name)
        against: Sequence[str] = [commit.parents[0].hexsha] if commit.parents else ["--root", "--no-commit-id"]
        output = repository.git.diff_tree("-r", "-z", "--name-only", "--no-renames", *against, commit.hexsha)
        return [name for name in str(output).split("\0") if name]
