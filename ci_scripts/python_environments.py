"""The Python environments of a run: resolved anew each time, copied from a cache that is keyed by the result.

OpenStack with the checkouts under test goes into one environment, Tempest into another: a driver's package that
declares a Tempest plug-in which it does not ship would break all test discovery otherwise.
"""

from __future__ import annotations

import configparser
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path

from ci_scripts.errors import InfrastructureError
from ci_scripts.run_command import CommandFailed, run
from ci_scripts.workspace import write_text_atomically

RESOLVE_SECONDS = 600.0
INSTALL_SECONDS = 1800.0
LOCK_SECONDS = 1800.0
KEPT_IN_CACHE = 8
COMPLETE = ".complete"


@dataclass(frozen=True)
class Checkout:
    """A source tree; ``version`` is told to pbr, which else reads it from git tags."""

    path: Path
    version: str | None = None

    @property
    def name(self) -> str:
        """The distribution's name as the tree declares it."""
        return distribution_of(self.path)


@dataclass(frozen=True)
class Requirements:
    """What an environment is resolved from.

    ``packages`` are requirement lines, ``checkouts`` source trees that are installed in place of the released
    packages and whose requirements count, ``constraints`` pip constraints files, ``python`` an interpreter.
    """

    name: str
    packages: Sequence[str]
    checkouts: Sequence[Checkout]
    constraints: Sequence[Path]
    python: str


@dataclass(frozen=True)
class Places:
    """Folders an environment is built with: where it goes, the shared cache, and where its logs are.

    ``like`` is the ``environments`` folder of another run whose resolution is taken, where the checkouts here require
    the same as those there did.
    """

    environments: Path
    cache: Path
    logs: Path
    like: Path | None = None


def uv_program() -> str:
    """uv as installed beside us: it is a dependency, so PATH is not asked first."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else "uv"


def prepare_environment(wanted: Requirements, places: Places, env: Mapping[str, str]) -> Path:
    """Resolve, take the environment from the cache or make it there, copy it for the run, install the checkouts.

    Returns the folder of the run's own environment. Raises InfrastructureError (the message names the log).
    """
    log = places.logs / f"environment-{wanted.name}.log"
    wheels = [_build_wheel(checkout, wanted, places, env, log) for checkout in wanted.checkouts]
    built = "".join(f"{wheel.name.split('-')[0]}=={wheel.name.split('-')[1]}\n" for wheel in wheels)
    write_text_atomically(places.environments / f"{wanted.name}-checkouts.txt", built)
    resolution = _resolution_of(wanted, wheels, places) or _resolve(wanted, wheels, places, env, log)
    prepared = _prepared(wanted, resolution, places, env, log)
    target = places.environments / wanted.name
    _copy(prepared, target, env, log)
    for wheel in wheels:
        install_source(target, str(wheel), env, log, extra=("--no-deps",))
    return target


def _build_wheel(checkout: Checkout, wanted: Requirements, places: Places, env: Mapping[str, str], log: Path) -> Path:
    """Build the checkout once; its requirements are read from the wheel, and the wheel is what is installed."""
    folder = places.environments / "wheels" / checkout.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    argv = [uv_program(), "build", "--quiet", "--wheel", "--python", wanted.python, "--out-dir", str(folder)]
    for constraints in wanted.constraints:
        argv += ["--build-constraints", str(constraints)]
    # pbr would walk the whole history for two files that nobody reads here.
    own = {"SKIP_WRITE_GIT_CHANGELOG": "1", "SKIP_GENERATE_AUTHORS": "1"}
    if checkout.version is not None:
        own["PBR_VERSION"] = checkout.version
    argv.append(str(checkout.path))
    _uv(argv, places.environments, {**env, **own}, INSTALL_SECONDS, log, f"{checkout.name} could not be built")
    made = sorted(folder.glob("*.whl"))
    if len(made) != 1:
        raise InfrastructureError(f"building {checkout.path} left {len(made)} wheels.", log=log)
    return made[0]


def _resolution_of(wanted: Requirements, wheels: Sequence[Path], places: Places) -> str | None:
    """The resolution of the run that this one is to be like; None where there is none or other things are required."""
    if places.like is None:
        return None
    theirs = [next(iter(sorted((places.like / "wheels" / c.name).glob("*.whl"))), None) for c in wanted.checkouts]
    same = all(their and required_by(their) == required_by(our) for our, their in zip(wheels, theirs, strict=True))
    before = places.like / f"{wanted.name}.txt"
    if not same or not before.is_file():
        return None
    resolution = before.read_text()
    write_text_atomically(places.environments / f"{wanted.name}.txt", resolution)
    for constraints in sorted(places.like.glob(f"{wanted.name}-constraints-*.txt")):
        shutil.copy2(constraints, places.environments / constraints.name)
    return resolution


def required_by(wheel: Path) -> list[str]:
    """What a wheel requires, in its own words. Raises InfrastructureError for one that is damaged."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            words = BytesParser().parsebytes(archive.read(name), headersonly=True)
    except (OSError, zipfile.BadZipFile, StopIteration) as error:
        raise InfrastructureError(f"{wheel} is damaged: {error!r}.", next_step="run ci-prepare-gate again.") from error
    return sorted([*words.get_all("Requires-Dist", []), *words.get_all("Requires-Python", [])])


def _resolve(wanted: Requirements, wheels: Sequence[Path], places: Places, env: Mapping[str, str], log: Path) -> str:
    """The pinned packages, one ``name==version`` a line; the checkouts themselves are left out."""
    source = places.environments / f"{wanted.name}.in"
    built = zip(wanted.checkouts, wheels, strict=True)
    lines = [*wanted.packages, *(f"{checkout.name} @ {wheel.as_uri()}" for checkout, wheel in built)]
    write_text_atomically(source, "\n".join(lines) + "\n")
    own = {_canonical(checkout.name) for checkout in wanted.checkouts}
    argv = [uv_program(), "pip", "compile", "--no-header", "--no-annotate", "--quiet", "--python", wanted.python]
    for number, constraints in enumerate(wanted.constraints):
        filtered = places.environments / f"{wanted.name}-constraints-{number}.txt"
        write_text_atomically(filtered, _without(constraints, own))
        argv += ["--constraint", str(filtered)]
    output = places.environments / f"{wanted.name}.txt"
    output.unlink(missing_ok=True)
    argv += ["--output-file", str(output), str(source)]
    _uv(argv, places.environments, env, RESOLVE_SECONDS, log, f"the packages for {wanted.name} could not be resolved")
    pinned = [line for line in output.read_text().splitlines() if line and not line.startswith(("-e", "#"))]
    kept = [line for line in pinned if _canonical(re.split(r"[=@ \[]", line, maxsplit=1)[0]) not in own]
    resolution = "\n".join(sorted(kept)) + "\n"
    write_text_atomically(output, resolution)
    return resolution


def _prepared(wanted: Requirements, resolution: str, places: Places, env: Mapping[str, str], log: Path) -> Path:
    """The environment of this resolution in the cache, made there when it is missing; complete or not there."""
    version = run([wanted.python, "-VV"], cwd=places.environments, env=env, timeout=60).output.strip()
    key = hashlib.sha256(f"2\n{version}\n{wanted.python}\n{resolution}".encode()).hexdigest()[:24]
    folder = places.cache / "environments" / key
    with _lock(places.cache / "environments" / f"{key}.lock"):
        if not (folder / COMPLETE).exists():
            making = folder.with_name(f"{key}.new")
            for leftover in (making, folder):
                shutil.rmtree(leftover, ignore_errors=True)
            _make(making, wanted, resolution, env, log)
            (making / COMPLETE).write_text(resolution)
            making.rename(folder)
        os.utime(folder)
    _evict(places.cache / "environments", keep=folder)
    return folder


def _make(folder: Path, wanted: Requirements, resolution: str, env: Mapping[str, str], log: Path) -> None:
    uv = uv_program()
    folder.parent.mkdir(parents=True, exist_ok=True)
    pinned = folder.with_suffix(".txt")
    write_text_atomically(pinned, resolution)
    # Relocatable: the scripts find their interpreter beside them, so that a copy elsewhere works.
    argv = [uv, "venv", "--quiet", "--relocatable", "--python", wanted.python, str(folder)]
    _uv(argv, folder.parent, env, 300, log, f"the environment for {wanted.name} could not be made")
    argv = [uv, "pip", "install", "--quiet", "--no-deps", "--link-mode", "copy", "--compile-bytecode"]
    argv += ["--python", str(folder / "bin" / "python"), "--requirement", str(pinned)]
    _uv(argv, folder.parent, env, INSTALL_SECONDS, log, f"the packages for {wanted.name} could not be installed")
    pinned.unlink()


def _copy(prepared: Path, target: Path, env: Mapping[str, str], log: Path) -> None:
    # Copies, not hard links: what a run writes to must not reach the next one. cp -a keeps the times that
    # make the compiled bytecode valid, and clones where the file system can.
    shutil.rmtree(target, ignore_errors=True)
    argv = ["cp", "-a", "--reflink=auto", str(prepared), str(target)]
    run(argv, cwd=prepared.parent, env=env, timeout=600, log=log)


def install_source(
    environment: Path, source: str, env: Mapping[str, str], log: Path, *, extra: Sequence[str] = ()
) -> None:
    """Install a source tree or requirement into an environment of the run, bytecode included.

    Raises InfrastructureError with the installer's own last words.
    """
    argv = [uv_program(), "pip", "install", "--quiet", "--link-mode", "copy", "--compile-bytecode"]
    if Path(source).is_dir():
        # uv takes a source tree for unchanged while its setup files are: it must look anew.
        name = distribution_of(Path(source))
        argv += ["--refresh-package", name, "--reinstall-package", name]
    argv += [*extra, "--python", str(environment / "bin" / "python"), source]
    _uv(argv, environment.parent, env, INSTALL_SECONDS, log, f"{source} could not be installed")


def installed_packages(environment: Path, env: Mapping[str, str]) -> str:
    """Every package of an environment, one ``name==version`` a line, as ``uv pip freeze`` prints them."""
    argv = [uv_program(), "pip", "freeze", "--quiet", "--python", str(environment / "bin" / "python")]
    return run(argv, cwd=environment, env=env, timeout=120).output


def site_packages(environment: Path) -> Path:
    """The folder of the installed packages. Raises InfrastructureError where the environment is not whole."""
    found = sorted((environment / "lib").glob("python3*/site-packages"))
    if not found:
        raise InfrastructureError(f"{environment} is no Python environment.", next_step="run ci-prepare-gate again.")
    return found[0]


def _uv(argv: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float, log: Path, what: str) -> None:
    try:
        run(argv, cwd=cwd, env=env, timeout=timeout, log=log)
    except CommandFailed as error:
        raise InfrastructureError(
            f"{what}: {error.what}",
            log=log,
            next_step="see whether the package index answers and whether the constraints and requirements agree.",
        ) from error


def distribution_of(checkout: Path) -> str:
    """The name that a source tree's setup.cfg or pyproject.toml declares; else the folder's."""
    with contextlib.suppress(OSError, ValueError):
        project = tomllib.loads((checkout / "pyproject.toml").read_text(errors="replace")).get("project", {})
        if isinstance(project, dict) and isinstance(project.get("name"), str):
            return _checked_name(project["name"], checkout)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with contextlib.suppress(OSError, configparser.Error):
        parser.read_string((checkout / "setup.cfg").read_text(errors="replace"))
        if parser.has_option("metadata", "name"):
            return _checked_name(parser.get("metadata", "name").strip(), checkout)
    return _checked_name(checkout.name, checkout)


def _checked_name(name: str, checkout: Path) -> str:
    # It comes from the change under test and goes into a requirements file.
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise InfrastructureError(f"{checkout} declares {name!r}, which is no name of a distribution.")
    return name


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _without(constraints: Path, names: set[str]) -> str:
    """A constraints file less the packages that come from checkouts, as DevStack's edit-constraints does."""
    kept = []
    for line in constraints.read_text().splitlines():
        name = re.split(r"[=<>!~;@ \[]", line.strip(), maxsplit=1)[0]
        if _canonical(name) not in names:
            kept.append(line)
    return "\n".join(kept) + "\n"


def pinned_version(constraints: Sequence[Path], name: str) -> str | None:
    """The version that a constraints file pins for a package, if any does."""
    for path in constraints:
        for line in path.read_text().splitlines():
            found = re.match(r"\s*([A-Za-z0-9._-]+)\s*===?\s*([^\s;]+)", line)
            if found and _canonical(found[1]) == _canonical(name):
                return found[2]
    return None


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS
    with open(path, "a+") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise InfrastructureError(
                        f"{path} has been held by another run for {LOCK_SECONDS:g} s.",
                        next_step="see which process holds it (fuser, lslocks) and end it.",
                    ) from None
                time.sleep(0.1)
        yield


def _evict(folder: Path, keep: Path) -> None:
    """Only the newest environments stay; one that is in use was touched last and is not taken away."""
    made = sorted((entry for entry in folder.iterdir() if (entry / COMPLETE).exists()), key=lambda e: e.stat().st_mtime)
    for old in made[:-KEPT_IN_CACHE]:
        # Renamed first: nobody may find it half deleted. One hour: a copy under way is never pulled away.
        if old != keep and time.time() - old.stat().st_mtime > 3600:
            with contextlib.suppress(OSError):
                gone = old.rename(old.with_suffix(".gone"))
                shutil.rmtree(gone, ignore_errors=True)
