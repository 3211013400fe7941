"""The devstack gate: OpenStack by stack.sh on a node that is used once; one shard, the driver as a plug-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ci_scripts import aborts
from ci_scripts.checkouts import HEADS, Wanted, check_out, fetch
from ci_scripts.errors import CIError, ConfigurationError, Interrupted, Terminated
from ci_scripts.gates import access
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import local_conf, stack, stacked, trees
from ci_scripts.gates.devstack.passwords import make_passwords, to_mask
from ci_scripts.gates.devstack.stack_user import StackUser
from ci_scripts.gates.local import supervision
from ci_scripts.gates.local.services import spec_file
from ci_scripts.git import Git, Patience
from ci_scripts.git_cache import GitCache
from ci_scripts.settings import MASK, read_environment, transfer_environment
from ci_scripts.untrusted_words import revision_problem
from ci_scripts.workspace import Workspace, read_json, write_text_atomically

SCRIPTS = ("stack.sh", "unstack.sh", "clean.sh", "stackrc")


def prepare(context: GateContext) -> Mapping[str, str]:
    """Clone DevStack at its branch, see that it can be run for this configuration, make Tempest's environment."""
    StackUser.of(context)
    with context.record.step("clone DevStack"):
        _clone(context)
    # What cannot work is said now, not in twenty minutes.
    local_conf.require_installable(context)
    return stacked.prepare_tempest(context)


def _clone(context: GateContext) -> None:
    wanted = context.settings.gate.devstack
    name = wanted.ref or context.branch
    refs = (name,) if revision_problem(name) is None else (HEADS + name, f"refs/tags/{name}")
    git = Git(transfer_environment(read_environment()), context.workspace.logs / "git.log", Patience(), _say(context))
    cache = GitCache(context.settings.cache_dir / "git", git)
    fetched = fetch(Wanted("openstack/devstack", wanted.source, refs), cache, _say(context))
    checkout = check_out(fetched, local_conf.devstack_checkout(context), cache)
    missing = [script for script in SCRIPTS if not (checkout.path / script).is_file()]
    if missing:
        raise ConfigurationError(
            f"{wanted.source} at {name} ({checkout.commit[:10]}) is no DevStack: it has no {', '.join(missing)}.",
            next_step="see gate.devstack in ci.yaml: source and ref.",
        )
    # It belongs to what is needed to do the run again; run.json is written when the gate is prepared.
    context.run["gate"]["devstack"] = {"source": wanted.source, "ref": name, "commit": checkout.commit}
    context.record.say(f"DevStack {name} at {checkout.commit}")


def _say(context: GateContext) -> Callable[[str], None]:
    return context.record.say


def require_stopped(workspace: Workspace) -> None:
    """Raises ConfigurationError where services of ours run, or DevStack is up or half up."""
    if supervision.is_running(workspace) or stack.state(workspace) in (stack.STACKING, stack.STACKED):
        raise ConfigurationError(f"a gate is running in {workspace.root}.", next_step="stop it first: ci-stop-gate.")


def start_services(context: GateContext, owner: int | None) -> None:
    """Start the supervisor and the vendor's services."""
    require_stopped(context.workspace)
    stacked.start_services(context, owner)


def install_driver(context: GateContext) -> str:
    """Place the trees in DEST and write local.conf with the plug-in line; stack.sh installs, start records.

    By hand it starts the services, whose addresses belong into local.conf; on failure nothing of ours is left then.
    """
    workspace = context.workspace
    if stack.state(workspace) in (stack.STACKING, stack.STACKED):
        raise ConfigurationError("stack.sh has run already.", next_step="undo it first: ci-stop-gate.")
    user = StackUser.of(context)
    workspace.driver_json.unlink(missing_ok=True)
    local_conf.require_plugin(context)
    by_hand = not supervision.is_running(workspace)
    try:
        if by_hand:
            with context.record.step("start the services"):
                start_services(context, None)
        _write_what_stack_reads(context, user)
    except BaseException:
        if by_hand:
            _stop_after_failure(context)
        raise
    driver = context.settings.driver.project
    return f"{driver} {context.run['checkouts'][driver]['commit']}, to be installed by DevStack"


def _write_what_stack_reads(context: GateContext, user: StackUser) -> None:
    make_passwords(context)
    text = local_conf.local_conf(context)
    shown = text
    for secret in to_mask(context):
        shown = shown.replace(secret, MASK)
    write_text_atomically(context.workspace.gate_logs / "local.conf", shown)
    stack.set_state(context.workspace, stack.PLACING)
    with context.record.step(f"place the trees in {context.settings.gate.devstack.base}"):
        trees.place_trees(context, user)
    trees.place_text(context, user, text, trees.devstack_folder(context) / "local.conf", mode="0640")
    stack.set_state(context.workspace, stack.PLACED)


def start(context: GateContext) -> None:
    """Run stack.sh and take its OpenStack over; ready means that a token was issued and used.

    Raises InfrastructureError with the first cause. By hand, a DevStack that failed stays as it is, to be looked at;
    where somebody stops us, unstack.sh is tried.
    """
    workspace = context.workspace
    now = stack.state(workspace)
    if now == stack.STACKED and (workspace.gate_dir / "access.json").exists():
        raise ConfigurationError("the gate is already running.", next_step="use it, or stop it with ci-stop-gate.")
    if now in (stack.STACKING, stack.STACKED):
        raise ConfigurationError("stack.sh has run already.", next_step="ci-stop-gate, ci-install-driver, then again.")
    if now != stack.PLACED:
        raise ConfigurationError("the driver is not installed yet.", next_step="run ci-install-driver first.")
    if not supervision.is_running(workspace):
        raise ConfigurationError("the services are gone.", next_step="ci-stop-gate, ci-install-driver, then again.")
    user, base = StackUser.of(context), context.settings.gate.devstack.base
    context.record.mask(list(to_mask(context)))
    try:
        with context.record.step("run stack.sh"):
            stack.run_stack(context, user, trees.devstack_folder(context))
        with context.record.step("take DevStack over"):
            stacked.take_over(context, base, trees.devstack_folder(context))
            trees.require_untouched(context)
    except (Interrupted, Terminated):
        if _by_hand(workspace):
            _stop_after_failure(context)
        raise


def _by_hand(workspace: Workspace) -> bool:
    """Whether nobody but ci-stop-gate will stop what runs: services that ci-run-gate started have an owner."""
    path = spec_file(workspace.gate_dir)
    return path.exists() and read_json(path).get("owner") is None


def _stop_after_failure(context: GateContext) -> None:
    # The first cause is kept when cleaning up fails as well.
    with aborts.deferred():
        try:
            stop(context)
        except CIError as error:
            context.record.say(f"while stopping the gate: {error}")


def placeholders(context: GateContext) -> list[dict[str, str]]:
    """One shard, on DevStack."""
    return stacked.placeholders(context)


def problem(context: GateContext) -> str | None:
    """The first service that died or hangs: the vendor's, and DevStack's once it was taken over."""
    return stacked.problem(context)


def stop(context: GateContext) -> None:
    """End our services, collect the logs, undo DevStack. Raises the first CIError, after everything was tried."""
    workspace, base = context.workspace, context.settings.gate.devstack.base
    context.record.mask(list(to_mask(context)))
    begun = stack.state(workspace) in (stack.STACKING, stack.STACKED)
    work: list[Callable[[], None]] = [
        lambda: supervision.stop_supervisor(workspace),
        lambda: access.remove_access(workspace),
        lambda: _undo(context),
    ]
    if begun:
        # Before the last: clean.sh deletes them.
        work.insert(2, lambda: stacked.collect_logs(context, base))
    first: CIError | None = None
    for step in work:
        try:
            step()
        except (CIError, OSError) as error:
            if first is not None:
                context.record.say(f"while stopping the gate: {error}")
            first = first or (
                error if isinstance(error, CIError) else CIError(f"the gate could not be ended: {error}.")
            )
    if first is not None:
        raise first


def _undo(context: GateContext) -> None:
    if stack.state(context.workspace) is None:
        return
    user = StackUser.of(context)
    stack.unstack(context, user, trees.devstack_folder(context))
    trees.release(context, user)
    stack.set_state(context.workspace, None)
