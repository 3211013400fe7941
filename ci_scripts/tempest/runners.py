"""Whose tests the workers run, and how: Tempest's, or (see ``ci_scripts.unit_tests``) a project's own."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.python_environments import site_packages
from ci_scripts.tempest.partition import group_of


class Runner(Protocol):
    """Whose tests the workers run, and how a worker is called.

    ``title`` is how people are told of the tests, ``command`` our own that runs them, ``section`` that of ci.yaml;
    ``if_unloadable`` is the next step where the tests cannot be loaded.
    """

    title: str
    command: str
    section: str
    if_unloadable: str

    def argv(self, *more: str) -> list[str]:
        """stestr's runner on the tests' own discovery. Raises InfrastructureError where they are not there."""

    def environment(self, shard: ShardAccess) -> dict[str, str]:
        """The variables of a worker of this shard."""

    def folder(self, shard: ShardAccess) -> Path:
        """Where a worker of this shard works."""

    def group(self, test_id: str) -> str:
        """Tests of one group run on one worker, one after the other."""


class TempestRunner:
    """Tempest's tests, from the run's environment ``tempest``."""

    title = "Tempest"
    command = "ci-run-tempest"
    section = "tempest"
    if_unloadable = "a package that declares a Tempest plug-in it does not ship does this: see tempest.packages."

    def __init__(self, context: GateContext) -> None:
        self._python = context.workspace.environments_dir / "tempest"
        self._base = context.env

    def argv(self, *more: str) -> list[str]:
        """On Tempest's discovery package, which finds plug-ins too."""
        packages = site_packages(self._python)
        discovery = packages / "tempest" / "test_discover"
        if not discovery.is_dir():
            raise InfrastructureError(f"{self._python} has no Tempest.", next_step="run ci-prepare-gate again.")
        runner = [str(self._python / "bin" / "python"), "-m", "stestr.subunit_runner.run", "discover"]
        return [*runner, "-t", str(packages), str(discovery), *more]

    def environment(self, shard: ShardAccess) -> dict[str, str]:
        """What Tempest reads its configuration by."""
        return {
            **self._base,
            "TEMPEST_CONFIG_DIR": str(Path(shard.tempest_dir) / "etc"),
            "TEMPEST_CONFIG": "tempest.conf",
            "OS_LOG_CAPTURE": "1",
            "PYTHONWARNINGS": "ignore",
            "HOME": shard.tempest_dir,
        }

    def folder(self, shard: ShardAccess) -> Path:
        """The folder of the shard's tempest.conf."""
        return Path(shard.tempest_dir)

    def group(self, test_id: str) -> str:
        """Its class."""
        return group_of(test_id)
