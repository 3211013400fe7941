"""The run's trees in DevStack's DEST: its own, the driver's, and those of the projects under test.

DevStack's git_clone leaves a tree alone that is there (RECLONE=False). So what stack.sh installs is exactly what
prepare-gate checked out, local patches included. The checkouts belong to the job's user and borrow objects from its git
cache; DEST belongs to DevStack's. Each tree is therefore copied, made independent of the cache as the job's user, and
placed as DevStack's: readable to all, writable to their owner alone.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.installed import commit_of
from ci_scripts.gates.devstack.local_conf import devstack_checkout
from ci_scripts.gates.devstack.project_variables import short_name
from ci_scripts.gates.devstack.stack_user import COPY_SECONDS, StackUser, placing
from ci_scripts.git import Git, Patience
from ci_scripts.run_command import run
from ci_scripts.workspace import write_text_atomically

OWNER_FILE = ".ci-workspace"


def devstack_folder(context: GateContext) -> Path:
    """DevStack's own tree in DEST: $DEST/devstack."""
    return context.settings.gate.devstack.base / "devstack"


def place_trees(context: GateContext, user: StackUser) -> None:
    """Put DevStack and every checkout of the run into DEST, in place of what an earlier run left there.

    Raises InfrastructureError where that cannot be done, ConfigurationError for two projects of the same short name.
    """
    base = context.settings.gate.devstack.base
    _make_base(context, user, base)
    _require_ours(context, base)
    trees = {"devstack": devstack_checkout(context)}
    for project, path in sorted(context.checkouts.items()):
        name = short_name(project)
        if name in trees:
            raise ConfigurationError(
                f"{project} and another tree would both lie in {base / name}.",
                next_step="DevStack knows a project by the last part of its name only; test one of them.",
            )
        trees[name] = path
    for name, path in trees.items():
        _place(context, user, _independent_copy(context, path, name), base / name)
    place_text(context, user, f"{context.workspace.root}\n", base / OWNER_FILE, mode="0644")


def place_text(context: GateContext, user: StackUser, text: str, target: Path, mode: str) -> None:
    """Write a file below DEST that belongs to DevStack's user."""
    staged = context.workspace.gate_dir / "staged"
    write_text_atomically(staged, text, mode=0o600)
    try:
        owner = [] if user.way == "own" else ["-o", str(user.uid), "-g", str(user.gid)]
        placing(context, user, ["install", "-m", mode, *owner, "-T", "--", str(staged), str(target)])
    finally:
        staged.unlink(missing_ok=True)


def require_untouched(context: GateContext) -> None:
    """Raises InfrastructureError where a tree is not at the commit any more that prepare-gate checked out."""
    base = context.settings.gate.devstack.base
    for project, record in sorted(context.run["checkouts"].items()):
        commit = commit_of(base / short_name(project))
        if commit != record["commit"]:
            raise InfrastructureError(
                f"DevStack installed {project} at {commit}, but {record['commit']} was checked out for the test.",
                log=context.workspace.gate_logs / "stack.log",
                next_step="look for what changed the tree: RECLONE, or a plug-in that fetches.",
            )


def release(context: GateContext, user: StackUser) -> None:
    """Nobody's DevStack is up any more in DEST."""
    placing(context, user, ["rm", "-f", "--", str(context.settings.gate.devstack.base / OWNER_FILE)])


def _make_base(context: GateContext, user: StackUser, base: Path) -> None:
    if base.is_dir():
        return
    placing(context, user, ["mkdir", "-p", "-m", "0755", "--", str(base)])
    if user.way != "own":
        placing(context, user, ["chown", f"{user.uid}:{user.gid}", "--", str(base)])


def _require_ours(context: GateContext, base: Path) -> None:
    """Raises InfrastructureError where another run's DevStack is up on this node."""
    try:
        owner = (base / OWNER_FILE).read_text(errors="replace").strip()[:1000]
    except OSError:
        return
    if owner != str(context.workspace.root) and (Path(owner) / "gate").is_dir():
        raise InfrastructureError(
            f"the DevStack in {base} belongs to another run, in {owner}.",
            next_step=f"stop it (ci-stop-gate --workspace {owner}), or take a new node: one is for one run.",
        )


def _independent_copy(context: GateContext, source: Path, name: str) -> Path:
    """A copy of a checkout that has all its objects itself: DevStack's user cannot read the job's git cache."""
    copy = context.workspace.gate_dir / "trees" / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(parents=True, exist_ok=True)
    words = ["cp", "-R", "-P", "--preserve=mode,timestamps,links", "--", str(source), str(copy)]
    run(words, cwd=copy.parent, env=context.env, timeout=COPY_SECONDS, log=context.workspace.logs / "git.log")
    alternates = copy / ".git" / "objects" / "info" / "alternates"
    if alternates.exists():
        git = Git(context.env, context.workspace.logs / "git.log", Patience(), context.record.say)
        git.run(copy, "repack", "-a", "-d", "--quiet", timeout=git.patience.transfer)
        # Written anew by git itself: others read the file that prepare-gate writes (pbr, GitPython) less leniently.
        git.run(copy, "pack-refs", "--all")
        alternates.unlink()
    return copy


def _place(context: GateContext, user: StackUser, copy: Path, target: Path) -> None:
    placing(context, user, ["rm", "-rf", "--", str(target)])
    placing(context, user, ["cp", "-R", "-P", "--preserve=mode,timestamps,links", "--", str(copy), str(target)])
    # A job with a umask of 077 makes files that DevStack's services could not read; nobody but the owner may write.
    placing(context, user, ["chmod", "-R", "u+rwX,go+rX,go-w", "--", str(target)])
    if user.way != "own":
        placing(context, user, ["chown", "-R", "-h", f"{user.uid}:{user.gid}", "--", str(target)])
    shutil.rmtree(copy, ignore_errors=True)
