"""The gate of kind devstack-gate: its verbs run in the wrapper's hooks, on a node that is used once."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ci_scripts.errors import CIError, ConfigurationError, InfrastructureError
from ci_scripts.gates import access
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import local_conf, passwords, stacked
from ci_scripts.gates.devstack.first_cause import first_cause
from ci_scripts.gates.devstack.project_variables import Variables, short_name
from ci_scripts.gates.devstack_gate import clone, environment, under_test
from ci_scripts.gates.devstack_gate.layout import GATE_SCRIPT, WrapperLayout
from ci_scripts.gates.devstack_gate.repositories import project_variables
from ci_scripts.gates.devstack_gate.tails import tail_of
from ci_scripts.gates.local import supervision
from ci_scripts.run_command import Completed, last_lines, run
from ci_scripts.settings import read_environment
from ci_scripts.workspace import Workspace, write_text_atomically

# Before the wrapper's SIGKILL: a stage that ends by itself says why it did, and ends its children.
ENDS_BEFORE_SECONDS = 60.0
# What stack.sh says on its standard output (devstack-vm-gate.sh).
STACK_LOG = "devstack-early.txt"


def prepare(context: GateContext) -> Mapping[str, str]:
    """devstack-gate at its pinned commit, the copied wrapper, environment.sh, and Tempest's own environment."""
    layout = WrapperLayout.of(context)
    environment.require_usable(context, layout)
    with context.record.step("clone devstack-gate"):
        commit = clone.clone(context, layout)
        context.record.say(f"devstack-gate {commit}")
    wanted = context.settings.gate.devstack_gate
    # It belongs to what is needed to do the run again; run.json is written when the gate is prepared.
    context.run["gate"]["devstack_gate"] = {"source": wanted.source, "ref": wanted.ref, "commit": commit}
    with context.record.step("write what the wrapper reads"):
        git = clone.git_cache(context).git
        variables = {
            **wanted.environment,
            **environment.wrapper_variables(context, layout),
            **project_variables(context, layout, git, commit),
        }
        environment.append_to_environment_script(context, variables)
    return stacked.prepare_tempest(context)


def require_stopped(workspace: Workspace) -> None:
    """A gate that runs here already is somebody's: neither taken over nor stopped."""
    if supervision.is_running(workspace):
        raise ConfigurationError(f"a gate is running in {workspace.root}.", next_step="stop it first: ci-stop-gate.")


def start_services(context: GateContext, owner: int | None) -> None:
    """Start the supervisor and the vendor's services, beside the wrapper."""
    require_stopped(context.workspace)
    stacked.start_services(context, owner)


def install_driver(context: GateContext) -> str:
    """In pre_test_hook, with the projects set up and before stack.sh: the plug-in line and the options for Neutron.

    What was installed is recorded when DevStack has run. Raises InfrastructureError where the wrapper did not check the
    change out.
    """
    layout = WrapperLayout.of(context)
    _require_inside(context, layout)
    if not supervision.is_running(context.workspace):
        # By hand: ci-run-gate has started them before the wrapper.
        with context.record.step("start the services"):
            start_services(context, None)
    under_test.require_change(context, layout)
    under_test.apply_patches(context, layout)
    under_test.write_projects(context, layout)
    write_text_atomically(layout.localrc, _localrc(context, layout), mode=0o600)
    write_text_atomically(layout.post_config, local_conf.post_config(context), mode=0o600)
    driver = context.settings.driver
    record = context.run["checkouts"].get(driver.project)
    return f"{driver.project} {record['commit'] if record else driver.package}, to be installed by DevStack"


def _localrc(context: GateContext, layout: WrapperLayout) -> str:
    """The driver's part of localrc, and which projects under test are libraries, by the stackrc that will be used."""
    text = local_conf.localrc(context, layout.dest)
    try:
        libraries = Variables.of_stackrc((layout.devstack / "stackrc").read_text(errors="replace")).libraries
    except OSError as error:
        raise InfrastructureError(f"{layout.devstack}/stackrc cannot be read: {error.strerror}.") from error
    names = sorted({short_name(project) for project in context.run["checkouts"]} & set(libraries))
    return f"{text}LIBS_FROM_GIT={','.join(names)}\n" if names else text


def start(context: GateContext) -> None:
    """In gate_hook: devstack-vm-gate.sh, which runs stack.sh; then its OpenStack is taken over.

    Raises InfrastructureError with the end of what it said.
    """
    layout = WrapperLayout.of(context)
    _require_inside(context, layout)
    if not layout.localrc.is_file():
        raise ConfigurationError("local.conf is not written yet.", next_step="run ci-install-driver first.")
    try:
        with context.record.step(f"run {GATE_SCRIPT}, which runs stack.sh"):
            _require_stacked(context, layout, _run_gate_script(context, layout))
        with context.record.step("take DevStack over"):
            stacked.take_over(context, layout.dest, layout.devstack)
    except CIError:
        stacked.collect_logs(context, layout.dest)
        raise


def _require_inside(context: GateContext, layout: WrapperLayout) -> None:
    if not (layout.dest / "devstack-gate" / GATE_SCRIPT).is_file():
        raise ConfigurationError(
            f"the wrapper has not set up {layout.dest}: on this kind of gate the hooks run inside of it.",
            next_step=f"run ci-run-gate, or by hand: bash -c '. {context.workspace.environment_sh} && {layout.script}'",
        )


def _run_gate_script(context: GateContext, layout: WrapperLayout) -> Completed:
    # All that the wrapper exported (ANSIBLE, DSCONF, DEVSTACK_GATE_*): what ci-run-gate gave it had been sifted before.
    given = read_environment()
    own = {
        "WORKSPACE": str(layout.root),
        "BASE": str(layout.base),
        "PATH": environment.path_without_ours(given.get("PATH", os.defpath)),
        "DEVSTACK_LOCAL_CONFIG": layout.localrc.read_text(encoding="utf-8"),
        # New-style sections are merged late, by dsconf merge_lc; setlc_raw takes lines of localrc alone.
        "DEVSTACK_LOCALCONF": layout.post_config.read_text(encoding="utf-8"),
    }
    return run(
        [str(layout.dest / "devstack-gate" / GATE_SCRIPT)],
        cwd=layout.dest,
        env={**given, **own},
        timeout=_seconds_left(context, given),
        log=context.workspace.gate_logs / "devstack-vm-gate.log",
        check=False,
        secrets=passwords.to_mask(context),
    )


def _seconds_left(context: GateContext, given: Mapping[str, str]) -> float:
    """Until a little before the wrapper kills this hook; it tells its minutes in REMAINING_TIME (functions.sh)."""
    minutes = given.get("REMAINING_TIME", "")
    if not (minutes.isascii() and minutes.isdecimal()):
        return 60.0 * context.settings.gate.timeout_minutes
    return max(60.0 * int(minutes) - ENDS_BEFORE_SECONDS, 30.0)


def _require_stacked(context: GateContext, layout: WrapperLayout, done: Completed) -> None:
    log = context.workspace.gate_logs / "devstack-vm-gate.log"
    if done.stopped_because is not None:
        if done.stopped_because.startswith("its time was up"):
            context.record.outcome = "TIMED_OUT"
        raise InfrastructureError(f"{GATE_SCRIPT} was stopped: {done.stopped_because}.", log=log)
    if done.exit_code != 0:
        raise InfrastructureError(
            f"{GATE_SCRIPT} ended with exit code {done.exit_code}: {context.record.masked(_why(layout, done))}",
            log=log,
            next_step="DevStack's own log is devstack-early.txt in logs/gate/devstack-gate/.",
        )


def _why(layout: WrapperLayout, done: Completed) -> str:
    """The first cause in stack.sh's own words, else the end of what the script itself said."""
    for folder in (layout.logs, layout.base_logs):
        early = tail_of(folder / STACK_LOG)
        if early is not None and early.strip():
            return f"{first_cause(early)}."
    return last_lines(done.output, 4)


def placeholders(context: GateContext) -> list[dict[str, str]]:
    """One shard, on DevStack."""
    python = WrapperLayout.of(context).dest / "data" / "venv" / "bin" / "python"
    return [{**values, "openstack_python": str(python)} for values in stacked.placeholders(context)]


def problem(context: GateContext) -> str | None:
    """The first service that died or hangs: the vendor's, and DevStack's once it was taken over."""
    return stacked.problem(context)


def stop(context: GateContext) -> None:
    """End the vendor's services and the watch over DevStack, whose logs are collected before.

    DevStack itself stays up: the wrapper took the rights from its user that unstack.sh needs, and the node is not used
    again.
    """
    layout = WrapperLayout.of(context)
    try:
        if layout.devstack.is_dir():
            stacked.collect_logs(context, layout.dest)
    finally:
        supervision.stop_supervisor(context.workspace)
        access.remove_access(context.workspace)
