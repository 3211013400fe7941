"""devstack-gate itself: the pinned commit in the wrapper's workspace, and the copy of the wrapper that is run."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from ci_scripts.checkouts import PINNED
from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack_gate.layout import GATE_SCRIPT, WRAPPER, WrapperLayout
from ci_scripts.git import CorruptRepository, Git, MissingRef, Patience, read_commit
from ci_scripts.git_cache import GitCache
from ci_scripts.settings import read_environment, transfer_environment
from ci_scripts.untrusted_words import revision_problem
from ci_scripts.workspace import write_text_atomically

BRANCHES = ("refs/heads/master", "refs/heads/main")
SCRIPTS = (WRAPPER, GATE_SCRIPT, "functions.sh")
# The wrapper sets BASE to this whatever its environment says.
UPSTREAM_BASE = Path("/opt/stack")
_BASE_LINE = re.compile(r"^export BASE=\S*$", re.MULTILINE)


def clone(context: GateContext, layout: WrapperLayout) -> str:
    """Check devstack-gate out and copy the wrapper; the commit's id.

    Raises ConfigurationError where the commit has no wrapper, InfrastructureError where it cannot be fetched.
    """
    wanted = context.settings.gate.devstack_gate
    cache = git_cache(context)
    commit = fetch_commit(cache, wanted.source, wanted.ref)
    cache.check_out(wanted.source, PINNED, commit, layout.checkout)
    missing = [name for name in SCRIPTS if not (layout.checkout / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"devstack-gate at {wanted.ref} ({commit[:10]}) has no {', '.join(missing)}: it is retired "
            "upstream, and its newest commits hold nothing but a README.",
            next_step="pin its last good commit with gate.devstack_gate.ref, "
            "9cfd5cca0a3b1dbfe8f1fefd836942d20425f172 (the default), or a fork of your own that has the scripts.",
        )
    _copy_wrapper(layout)
    return commit


def git_cache(context: GateContext) -> GitCache:
    """The git cache with what a transfer may see of our environment."""
    environment = transfer_environment(read_environment())
    git = Git(environment, context.workspace.logs / "git.log", Patience(), context.record.say)
    return GitCache(context.settings.cache_dir / "git", git)


def fetch_commit(cache: GitCache, url: str, name: str) -> str:
    """The commit that a branch, a tag or an id names, in the cache now. Raises InfrastructureError."""
    if revision_problem(name) is not None:
        try:
            return cache.fetch(url, [f"refs/heads/{name}"])[f"refs/heads/{name}"]
        except MissingRef:
            return cache.fetch(url, [f"refs/tags/{name}"])[f"refs/tags/{name}"]
    try:
        return cache.fetch(url, [name])[name]
    except InfrastructureError as error:
        # A server may give only what its branches point at (uploadpack.allowAnySHA1InWant is off, or plain HTTP).
        return _from_a_branch(cache, url, name, error)


def _from_a_branch(cache: GitCache, url: str, commit: str, first: InfrastructureError) -> str:
    for branch in BRANCHES:
        with contextlib.suppress(MissingRef):
            cache.fetch(url, [branch])
            break
    else:
        raise first
    try:
        return read_commit(cache.repository(url), commit).hexsha
    except CorruptRepository as error:
        raise InfrastructureError(
            f"{url} has no commit {commit}, neither by its name nor in the history of {branch}.",
            log=first.log,
            next_step="see gate.devstack_gate in ci.yaml: source and ref.",
        ) from error


def _copy_wrapper(layout: WrapperLayout) -> None:
    """As jobs do it (cp), but for BASE where it is not the usual one.

    Raises ConfigurationError where the wrapper sets BASE in another way than the pinned one.
    """
    text = (layout.checkout / WRAPPER).read_text(encoding="utf-8")
    if layout.base != UPSTREAM_BASE:
        text, count = _BASE_LINE.subn(f"export BASE={layout.base}", text)
        if count != 1:
            raise ConfigurationError(
                f"gate.devstack.base is {layout.base}, but this devstack-gate has {count} lines 'export BASE=...' "
                "instead of one.",
                next_step=f"leave gate.devstack.base at {UPSTREAM_BASE}, or pin a devstack-gate with that line.",
            )
    write_text_atomically(layout.script, text, mode=0o755)
