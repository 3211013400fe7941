"""The driver of a run: installing it, what of it is recorded as proof, and the configuration it asks for."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local.ini import render_ini
from ci_scripts.placeholders import fill
from ci_scripts.python_environments import distribution_of, install_source, installed_packages
from ci_scripts.run_command import CommandFailed, run
from ci_scripts.workspace import SCHEMA, write_json_atomically, write_text_atomically

DESCRIBE_SECONDS = 60.0
# Runs in the environment of OpenStack, which has nothing of ours.
_DESCRIBE = """
import importlib.metadata, json, platform, sys
found = importlib.metadata.distribution(sys.argv[1])
print(json.dumps({
    "name": found.metadata["Name"], "version": found.version, "python": platform.python_version(),
    "mechanism_drivers": [e.name for e in found.entry_points if e.group == "neutron.ml2.mechanism_drivers"],
}))
"""


@dataclass(frozen=True)
class InstalledDriver:
    """What is proved of the driver: ``commit`` is a hash of its files when it came from a path, None from an index."""

    distribution: str
    version: str
    commit: str | None
    source: str
    mechanism_drivers: list[str]


def install(context: GateContext, environment: Path) -> InstalledDriver:
    """Install the driver with its requirements; no package of OpenStack changes for its sake.

    Raises InfrastructureError with the installer's last words.
    """
    driver, workspace = context.settings.driver, context.workspace
    checkout = context.run["checkouts"].get(driver.project)
    source = str(workspace.root / checkout["path"]) if checkout else driver.package
    if source is None:
        raise InfrastructureError(
            f"run.json has no checkout of the driver's project {driver.project}.",
            next_step="run ci-prepare-gate again.",
        )
    if checkout is None and Path(source).is_dir():
        # Built in a copy: an operator's own tree is not to be littered.
        copy = workspace.src / driver.project
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "build", "*.egg-info"))
        source = str(copy)
    log = workspace.logs / "install-driver.log"
    # What is there already is a constraint: a driver that wants another release must say so loudly.
    held = [workspace.environments_dir / f"{environment.name}{part}.txt" for part in ("", "-checkouts")]
    held += _packages_before(context, environment)
    extra = [word for path in held if path.exists() for word in ("--constraint", str(path))]
    for constraints in sorted(workspace.environments_dir.glob(f"{environment.name}-constraints-*.txt")):
        extra += ["--build-constraints", str(constraints)]
    install_source(environment, source, context.env, log, extra=extra)
    name = driver.distribution or _name_of(source)
    try:
        argv = [str(environment / "bin" / "python"), "-c", _DESCRIBE, name]
        described = json.loads(run(argv, cwd=workspace.root, env=context.env, timeout=DESCRIBE_SECONDS).output)
    except (CommandFailed, ValueError) as error:
        raise InfrastructureError(
            f"{source} was installed, but there is no distribution {name!r} now: {error}",
            log=log,
            next_step="name it in ci.yaml: driver.distribution.",
        ) from error
    commit = checkout["commit"] if checkout else _hash_of(Path(source))
    return InstalledDriver(described["name"], described["version"], commit, source, described["mechanism_drivers"])


def _packages_before(context: GateContext, environment: Path) -> list[Path]:
    """In a trial that has the same driver as the run: the run's packages as constraints, but for what the trial's own
    environment has in another release, because the change requires other things.
    """
    like, project = context.run.get("like"), context.run["change"]["project"]
    before = Path(like).parent / "logs" / "packages.txt" if like else None
    if before is None or project == context.settings.driver.project or not before.is_file():
        return []
    openstack = before.read_text(errors="replace").split("# tempest:")[0]
    pinned = context.workspace.environments_dir / "packages-before.txt"
    own = environment.with_name(f"{environment.name}.txt")
    known = {_name_in(line) for line in own.read_text().splitlines()} if own.is_file() else set()
    lines = [line for line in openstack.splitlines() if re.fullmatch(r"[A-Za-z0-9._-]+==\S+", line)]
    lines = [line for line in lines if _name_in(line) not in known]
    write_text_atomically(pinned, "\n".join(lines) + "\n")
    return [pinned]


def _name_in(line: str) -> str:
    return re.sub(r"[-_.]+", "-", line.partition("==")[0].strip()).lower()


def write_record(context: GateContext, installed: InstalledDriver) -> None:
    """logs/driver.json; its presence says that the driver is installed."""
    write_json_atomically(context.workspace.driver_json, {"schema": SCHEMA, **asdict(installed)})


def write_packages(context: GateContext) -> None:
    """logs/packages.txt: every package of both environments, one ``name==version`` a line under a heading.

    Raises InfrastructureError when a checkout under test is no longer what is installed.
    """
    lines = []
    for name in ("openstack", "tempest"):
        environment = context.workspace.environments_dir / name
        version = run([str(environment / "bin" / "python"), "-V"], cwd=environment, env=context.env, timeout=60)
        lines += [f"# {name}: {version.output.strip()}", installed_packages(environment, context.env)]
    for wheel in sorted((context.workspace.environments_dir / "wheels").glob("*/*.whl")):
        if wheel.as_uri() not in lines[1]:
            raise InfrastructureError(
                f"{wheel.name}, built from the checkout under test, was replaced by another release.",
                log=context.workspace.logs / "install-driver.log",
                next_step="see what the driver requires; the constraints must allow the checkout's version.",
            )
    write_text_atomically(context.workspace.packages_txt, "\n".join(lines))


def render_config(context: GateContext, folder: Path) -> None:
    """neutron_config as files for the gate; placeholders of a shard are filled when it starts.

    Raises ConfigurationError for an unknown placeholder now, not when the gate starts.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    known = dict.fromkeys(context.settings.placeholder_names(), "")
    for name, sections in context.settings.driver.neutron_config.items():
        text = render_ini(sections)
        fill(text, known)
        write_text_atomically(folder / Path(name).name, text)


def _hash_of(tree: Path) -> str | None:
    """A name for the content of a source tree or file, None for a requirement of an index."""
    if not tree.is_absolute():
        return None
    digest = hashlib.sha256()
    for path in sorted(tree.rglob("*")) if tree.is_dir() else [tree]:
        if path.is_file() and not path.is_symlink() and "build" not in path.parts and ".egg-info" not in str(path):
            digest.update(f"{path.relative_to(tree)}\0".encode(errors="surrogateescape"))
            digest.update(path.read_bytes())
    return f"sha256:{digest.hexdigest()}"


def _name_of(source: str) -> str:
    path = Path(source)
    if path.is_absolute() and path.is_dir():
        return distribution_of(path)
    if path.suffix == ".whl":
        # NAME-VERSION-TAGS.whl; a dash in the name is an underscore there (packaging.python.org, binary format).
        return path.name.partition("-")[0]
    return re.split(r"[=<>!~;@ \[]", path.name, maxsplit=1)[0]
