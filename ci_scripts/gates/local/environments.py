"""Which Python environments the local gate needs, and from what."""

from __future__ import annotations

import sys
from pathlib import Path

import requests

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.python_environments import (
    Checkout,
    Places,
    Requirements,
    distribution_of,
    pinned_version,
    prepare_environment,
    uv_program,
)
from ci_scripts.run_command import run
from ci_scripts.workspace import write_text_atomically

# pyuwsgi is uWSGI as a wheel: a new machine has no compiler. PyMySQL is what mysql+pymysql:// needs.
OPENSTACK_PACKAGES = ("keystone", "neutron", "pyuwsgi", "PyMySQL")
DOWNLOAD_SECONDS = 60.0


def prepare_environments(context: GateContext) -> tuple[dict[str, Path], bool]:
    """OpenStack and Tempest; and whether released packages alone made OpenStack's.

    Raises InfrastructureError naming the log.
    """
    settings = context.settings
    under_test = {
        name: path for name, path in context.checkouts.items() if name != settings.driver.project and path.is_dir()
    }
    branch = settings.branches.get(context.branch)
    constraints = constraints_files(context, (branch and branch.constraints) or settings.gate.constraints)
    python = interpreter(context)
    checkouts = [
        Checkout(path, settings.projects[name].version or pinned_version(constraints, distribution_of(path)))
        for name, path in under_test.items()
    ]
    names = {checkout.name.lower() for checkout in checkouts}
    openstack = Requirements(
        name="openstack",
        packages=[p for p in (*OPENSTACK_PACKAGES, *settings.gate.packages) if p.lower() not in names],
        checkouts=checkouts,
        constraints=constraints,
        python=python,
    )
    made = {}
    for wanted in (openstack, _tempest(context, constraints, python)):
        made[wanted.name] = prepare_one(context, wanted)
    return made, not under_test


def prepare_tempest(context: GateContext) -> Path:
    """Tempest's environment alone, where OpenStack is installed by somebody else.

    Raises InfrastructureError naming the log.
    """
    branch = context.settings.branches.get(context.branch)
    constraints = constraints_files(context, (branch and branch.constraints) or context.settings.gate.constraints)
    return prepare_one(context, _tempest(context, constraints, interpreter(context)))


def _tempest(context: GateContext, constraints: list[Path], python: str) -> Requirements:
    branch = context.settings.branches.get(context.branch)
    packages = list(context.settings.tempest.packages)
    if branch and branch.tempest:
        packages = [f"tempest=={branch.tempest}" if p == "tempest" else p for p in packages]
    return Requirements("tempest", packages, [], constraints, python)


def prepare_one(context: GateContext, wanted: Requirements) -> Path:
    """One environment of the run, resolved anew. Raises InfrastructureError naming the log."""
    workspace, like = context.workspace, context.run.get("like")
    cache = context.settings.cache_dir
    places = Places(workspace.environments_dir, cache, workspace.logs, Path(like) if like else None)
    with context.record.step(f"prepare the environment {wanted.name}"):
        return prepare_environment(wanted, places, context.env)


def interpreter(context: GateContext) -> str:
    """The branch's ``python``, else ``gate.python``, as a path; ours where neither is set.

    uv finds a version number among the installed ones, downloads none. Raises InfrastructureError where there is none.
    """
    branch = context.settings.branches.get(context.branch)
    key = f"branches.{context.branch}.python" if branch and branch.python else "gate.python"
    wanted = (branch and branch.python) or context.settings.gate.python
    if wanted is None:
        return sys.executable
    if "/" in wanted:
        return wanted
    argv = [uv_program(), "python", "find", "--no-python-downloads", "--no-project", wanted]
    found = run(argv, cwd=context.workspace.root, env=context.env, timeout=60, check=False)
    if found.exit_code != 0:
        raise InfrastructureError(
            f"there is no Python {wanted} on this machine ({key}): {found.output.strip()}",
            next_step=f"install it, or leave {key} out.",
        )
    return found.output.strip()


def constraints_files(context: GateContext, wanted: str | None) -> list[Path]:
    """``wanted`` as files, fetched where it is an address. Raises InfrastructureError."""
    if wanted is None:
        return []
    if "://" not in wanted:
        return [Path(wanted)]
    try:
        answer = requests.get(wanted, timeout=DOWNLOAD_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise InfrastructureError(
            f"the constraints {wanted} could not be fetched: {error}.", next_step="see gate.constraints in ci.yaml."
        ) from error
    path = context.workspace.environments_dir / "constraints.txt"
    write_text_atomically(path, answer.text)
    return [path]
