"""The fixtures of the tests on a real gate, which name this in ``pytest_plugins``. Slow things are made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ci_scripts.settings import load_settings
from tests.fakes.left_behind import kill_all
from tests.integration.gate_runs import EXAMPLES, SECONDS, Run, environment_of_user, make_repositories
from tests.integration.mariadb_server import MariaDBServer, missing


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with networking-example.git."""
    folder = tmp_path_factory.mktemp("repositories")
    make_repositories(folder)
    return folder


@pytest.fixture(scope="session")
def driver_repository(repositories: Path) -> Path:
    return repositories / "networking-example.git"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of the session's own; only what takes minutes to make comes from, and goes to, that of the user."""
    variables = {
        name: value for name, value in os.environ.items() if name in ("HOME", "XDG_CACHE_HOME", "CI_CACHE_DIR")
    }
    users = load_settings(EXAMPLES / "ci.yaml", environment=variables).cache_dir
    folder = tmp_path_factory.mktemp("cache")
    for name in ("environments", "databases"):
        (users / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(users / name)
    return folder


def run_of(folder: Path, config: Path, cache: Path, driver: Path, **set_: str) -> Run:
    """A run in a folder of its own, ``set_`` by name of variable (CI_GATE_SHARDS and others)."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {"CI_CACHE_DIR": str(cache), "CI_DRIVER_SOURCE": str(driver), **set_}
    return Run(folder, config, {**environment_of_user(), **own})


@pytest.fixture
def make_run(cache: Path, driver_repository: Path) -> Iterator[Callable[..., Run]]:
    """A function that makes a run, see ``run_of``.

    After the test nothing of any of them may be left: no process, port, lock, FIFO, half-written file.
    """
    made: list[Run] = []

    def make(folder: Path, config: Path = EXAMPLES / "ci.yaml", **set_: str) -> Run:
        run = run_of(folder, config, cache, driver_repository, **set_)
        made.append(run)
        return run

    try:
        yield make
        for run in made:
            # Looking through its files takes half a minute.
            _delete_environments(run)
            assert run.left() == []
    finally:
        for run in made:
            clear(run)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    server = MariaDBServer()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def neutron_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """neutron.git, made from Neutron's source distribution as the package index has it."""
    folder = tmp_path_factory.mktemp("neutron")
    argv = [sys.executable, str(EXAMPLES / "fetch_neutron.py"), "--into", str(folder)]
    argv += ["--constraints", str(EXAMPLES / "constraints.txt")]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no word"])[-1]
        pytest.skip(f"Neutron's source distribution cannot be had from the package index: {last}")
    make_repositories(folder, "--neutron-sdist", folder / "neutron.tar.gz")
    return folder / "neutron.git"


@pytest.fixture(scope="session")
def prepared_run(cache: Path, driver_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A run of one shard as ci-prepare-gate and ci-install-driver leave it; who starts its gate stops it again."""
    folder = tmp_path_factory.mktemp("prepared")
    run = run_of(folder, EXAMPLES / "ci.yaml", cache, driver_repository, CI_GATE_SHARDS="1")
    try:
        run.prepare(driver_repository, "refs/changes/01/1/1")
        run.good("ci-install-driver")
        yield run
    finally:
        clear(run)


def clear(run: Run) -> None:
    """So that a failed test does not disturb the next; two environments for each run would be gigabytes."""
    kill_all(run.folder)
    _delete_environments(run)


def _delete_environments(run: Run) -> None:
    for folder in (run.workspace.environments_dir, *run.workspace.trials.glob("*/environments")):
        shutil.rmtree(folder, ignore_errors=True)
