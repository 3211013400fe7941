"""The wrapper's part of environment.sh: all the variables that it reads, and the hooks as exported functions.

A bash that sources the file can run the wrapper by hand. Every name is one that devstack-vm-gate-wrap.sh,
devstack-vm-gate.sh or functions.sh of the pinned devstack-gate reads.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from ci_scripts.errors import ConfigurationError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import local_conf
from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.installed_files import installed_file
from ci_scripts.workspace import write_text_atomically

# remaining_time in functions.sh takes so many minutes off what is left before it gives a hook the rest.
KEPT_BY_THE_WRAPPER = 5
# So many minutes before the wrapper kills post_test_hook the tests are ended by ourselves: devstack-hooks.
TEMPEST_ENDS_BEFORE = 5
LEAST_FOR_TESTS = 1
# functions.sh writes $WORKSPACE without quotes.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./+@%:=-]*")

FUNCTIONS = """\
# Exported functions: the wrapper calls them in a bash of its own. They work in the run's workspace, not in its.
function pre_test_hook { WORKSPACE="$CI_WORKSPACE" PATH="$CI_COMMANDS:$PATH" bash "$CI_HOOKS/pre_test_hook.sh"; }
function gate_hook { WORKSPACE="$CI_WORKSPACE" PATH="$CI_COMMANDS:$PATH" bash "$CI_HOOKS/gate_hook.sh"; }
function post_test_hook { WORKSPACE="$CI_WORKSPACE" PATH="$CI_COMMANDS:$PATH" bash "$CI_HOOKS/post_test_hook.sh"; }
export -f pre_test_hook gate_hook post_test_hook
# setup_workspace gives the folders to $USER, which a service's environment may lack.
export USER="${USER:-$(id -un)}"
# The wrapper finds a hook by the words 'is a function', which bash translates.
unset LANGUAGE
export LC_ALL=C.UTF-8
"""


def require_usable(context: GateContext, layout: WrapperLayout) -> None:
    """Raises ConfigurationError for a workspace or times that the wrapper cannot work with."""
    for folder in (layout.root, layout.base):
        if not _PLAIN_PATH.fullmatch(str(folder)):
            raise ConfigurationError(
                f"devstack-gate cannot work in {folder}: its scripts do not quote it, and it has a special sign.",
                next_step="use a folder of letters, digits, dashes and dots, with --workspace or gate.devstack.base.",
            )
    gate = context.settings.gate
    needed = minutes_without_tests(gate.devstack_gate.timeout_buffer_minutes) + LEAST_FOR_TESTS
    if gate.timeout_minutes < needed:
        raise ConfigurationError(
            f"gate.timeout_minutes is {gate.timeout_minutes}, which leaves nothing for the tests: devstack-gate keeps "
            f"gate.devstack_gate.timeout_buffer_minutes ({gate.devstack_gate.timeout_buffer_minutes}) and "
            f"{KEPT_BY_THE_WRAPPER} minutes, and the tests end {TEMPEST_ENDS_BEFORE} minutes earlier.",
            next_step=f"set gate.timeout_minutes to {needed} at least; DevStack alone takes 20 to 40.",
        )


def minutes_without_tests(buffer_minutes: int) -> int:
    """What of BUILD_TIMEOUT no test ever gets."""
    return buffer_minutes + KEPT_BY_THE_WRAPPER + TEMPEST_ENDS_BEFORE


def path_without_ours(path: str) -> str:
    """PATH without the virtual environment that we run in: DevStack must not find our Python before the node's."""
    ours = str(Path(sys.executable).parent)
    if sys.prefix == sys.base_prefix:
        return path
    return os.pathsep.join(part for part in path.split(os.pathsep) if part != ours)


def wrapper_variables(context: GateContext, layout: WrapperLayout) -> dict[str, str]:
    """What the wrapper reads, but for the projects' variables.

    DEVSTACK_LOCAL_CONFIG is as far as it is known now: ci-install-driver adds what has the services' addresses.
    """
    gate, zuul = context.settings.gate, context.run.get("zuul") or {}
    return {
        "WORKSPACE": str(layout.root),
        "BASE": str(layout.base),
        # The merged refs of this run, or Zuul's own; empty where there is no change.
        "ZUUL_URL": str(zuul.get("url") or ""),
        "ZUUL_REF": str(zuul.get("ref") or ""),
        "ZUUL_BRANCH": context.branch,
        "BUILD_TIMEOUT": str(60_000 * gate.timeout_minutes),
        "DEVSTACK_GATE_TIMEOUT_BUFFER": str(gate.devstack_gate.timeout_buffer_minutes),
        "DEVSTACK_GATE_NEUTRON": "1",
        # Tempest is configured by DevStack and run by our post_test_hook.
        "DEVSTACK_GATE_TEMPEST": "1",
        "DEVSTACK_GATE_TEMPEST_NOTESTS": "1",
        "DEVSTACK_GATE_TEMPEST_REGEX": context.settings.tempest.regex,
        "DEVSTACK_LOCAL_CONFIG": local_conf.localrc(context, layout.dest),
        "CI_HOOKS": str(installed_file("devstack-hooks/gate_hook.sh").parent),
        "CI_COMMANDS": str(Path(sys.executable).parent),
        "CI_HOOK_ENVIRONMENT": str(layout.hook_environment),
        "CI_TEMPEST_TIMEOUT_MINUTES": str(context.settings.tempest_timeout_seconds // 60),
    }


def append_to_environment_script(context: GateContext, variables: Mapping[str, str]) -> None:
    """Add the wrapper's part to environment.sh, which prepare-gate has begun."""
    script = context.workspace.environment_sh
    lines = [
        "",
        '# devstack-gate: with bash, source this and run "$WORKSPACE/safe-devstack-vm-gate-wrap.sh". WORKSPACE is the',
        "# wrapper's own; the run's is CI_WORKSPACE, which our commands are given with --workspace.",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        FUNCTIONS,
    ]
    write_text_atomically(script, script.read_text(encoding="utf-8") + "\n".join(lines))


def write_hook_environment(layout: WrapperLayout, variables: Mapping[str, str]) -> None:
    """What the stages in the hooks need and the wrapper must not have: it writes its environment to a file for all."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_text_atomically(layout.hook_environment, "".join(lines), mode=0o600)
