"""What DevStack installed: the driver as its Python sees it, and every package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack.stack_user import StackUser, as_user
from ci_scripts.gates.local.driver import InstalledDriver
from ci_scripts.git import CorruptRepository, read_commit
from ci_scripts.python_environments import distribution_of, installed_packages
from ci_scripts.run_command import run
from ci_scripts.workspace import SCHEMA, write_json_atomically, write_text_atomically

LOOK_SECONDS = 120.0
MOST_PACKAGES = 5000
# For DevStack's Python, which has nothing of ours. The last line is what we read: site hooks may print, too.
_LOOK = """
import importlib.metadata, json, platform, sys
found, packages = {}, set()
for entry in importlib.metadata.distributions():
    name = entry.metadata["Name"]
    if name:
        packages.add(f"{name}=={entry.version}")
try:
    driver = importlib.metadata.distribution(sys.argv[1])
    found = {"name": driver.metadata["Name"], "version": driver.version, "mechanism_drivers":
             sorted({e.name for e in driver.entry_points if e.group == "neutron.ml2.mechanism_drivers"})}
except importlib.metadata.PackageNotFoundError:
    pass
print()
print(json.dumps({"python": platform.python_version(), "driver": found, "packages": sorted(packages)}))
"""


def record_installed(context: GateContext, user: StackUser, base: Path) -> InstalledDriver:
    """Write logs/driver.json and logs/packages.txt from what DevStack's own Python says.

    Raises InfrastructureError where the driver is not installed there, or its tree cannot be read.
    """
    project = context.settings.driver.project
    tree = base / project.rpartition("/")[2]
    name = context.settings.driver.distribution or distribution_of(tree)
    said, where = _ask(context, user, base, name)
    driver = said["driver"]
    if not driver:
        raise InfrastructureError(
            f"DevStack's Python ({where}) has no distribution {name!r}: the driver's plug-in did not install it.",
            log=context.workspace.gate_logs / "stack.log",
            next_step="look for 'stack install' in the driver's devstack/plugin.sh; driver.distribution names it.",
        )
    installed = InstalledDriver(
        distribution=str(driver["name"]),
        version=str(driver["version"]),
        commit=commit_of(tree),
        source=str(tree),
        mechanism_drivers=[str(entry) for entry in driver["mechanism_drivers"]],
    )
    _write_packages(context, said)
    data = {"schema": SCHEMA, **vars(installed), "python": str(said["python"])}
    write_json_atomically(context.workspace.driver_json, data)
    return installed


def commit_of(tree: Path) -> str:
    """The commit that a tree of DevStack's is at, read without a git process of ours in it (safe.directory)."""
    try:
        return read_commit(tree, "HEAD").hexsha
    except CorruptRepository as error:
        raise InfrastructureError(f"{tree} is no git repository that can be read: {error.what}") from error


def _ask(context: GateContext, user: StackUser, base: Path, name: str) -> tuple[dict[str, Any], str]:
    """The answer of the first of DevStack's Pythons that has Neutron: its virtual environment, else the system's."""
    answers = []
    # DATA_DIR is below DEST, on devstack-gate beside it.
    venvs = (folder / "data" / "venv" / "bin" / "python" for folder in (base, base.parent))
    for python in (*venvs, Path("/usr/bin/python3")):
        if not python.exists():
            continue
        done = as_user(context, user, [str(python), "-c", _LOOK, name], timeout=LOOK_SECONDS, check=False)
        said = _answer(done.output)
        if done.exit_code == 0 and said is not None:
            answers.append((said, str(python)))
            if said["driver"]:
                return answers[-1]
    if not answers:
        raise InfrastructureError(
            "none of DevStack's Pythons could be asked for its packages.",
            log=context.workspace.gate_logs / "node-commands.log",
        )
    return answers[0]


def _answer(output: str) -> dict[str, Any] | None:
    lines = output.strip().splitlines()
    try:
        data = json.loads(lines[-1]) if lines else None
    except ValueError:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("driver"), dict):
        return None
    return data if isinstance(data.get("packages"), list) else None


def _write_packages(context: GateContext, said: Mapping[str, Any]) -> None:
    """As the local gate writes it: a heading with the Python of each environment, one package a line."""
    tempest = context.workspace.environments_dir / "tempest"
    version = run([str(tempest / "bin" / "python"), "-V"], cwd=tempest, env=context.env, timeout=60.0)
    packages = [str(line) for line in said["packages"][:MOST_PACKAGES]]
    lines = [f"# openstack: Python {said['python']}", *packages, ""]
    lines += [f"# tempest: {version.output.strip()}", installed_packages(tempest, context.env)]
    write_text_atomically(context.workspace.packages_txt, "\n".join(lines))
