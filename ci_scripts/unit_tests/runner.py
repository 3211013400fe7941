"""The workers of a project's unit tests: stestr's runner in the checkout, found as the project tells stestr."""

from __future__ import annotations

from pathlib import Path

from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.placeholders import fill
from ci_scripts.unit_tests import worker
from ci_scripts.unit_tests.configuration import unit_tests_of
from ci_scripts.unit_tests.discovery import Discovery

# What OpenStack's projects set in tox.ini for their unit tests; oslotest reads it. 180 s for one test.
AS_TOX_DOES = {
    "OS_LOG_CAPTURE": "1",
    "OS_STDOUT_CAPTURE": "1",
    "OS_STDERR_CAPTURE": "1",
    "OS_TEST_TIMEOUT": "180",
    "PYTHONWARNINGS": "ignore",
}
LOADED = "neutron-{worker}.log"


class UnitTestRunner:
    """``python`` is the environment with the driver, ``temporary`` a folder for temporary files of the tests."""

    title = "stestr"
    command = "ci-run-unit-tests"
    section = "unit_tests"
    if_unloadable = "read that log; a control run says whether they can be loaded without the change."

    def __init__(
        self, context: GateContext, python: Path, checkout: Path, discovery: Discovery, temporary: Path
    ) -> None:
        self._context = context
        self._python = python
        self._checkout = checkout
        self._discovery = discovery
        self._temporary = temporary

    def argv(self, *more: str) -> list[str]:
        """As ``stestr run`` calls it: in a shell, which fills in ${OS_TEST_PATH:-...} of a project's .stestr.conf."""
        found = self._discovery
        program = [str(self._python / "bin" / "python"), str(Path(worker.__file__))]
        words = f'python=$1 worker=$2; shift 2; exec "$python" "$worker" discover -t "{found.top_dir}"'
        return ["/bin/sh", "-c", f'{words} "{found.test_path}" "$@"', "sh", *program, *more]

    def environment(self, shard: ShardAccess) -> dict[str, str]:
        """The worker's variables: as tox sets them, then those of ci.yaml. Raises ConfigurationError, see `fill`."""
        wanted = unit_tests_of(self._context.settings).environment
        values = {**self._context.placeholders(), **shard.placeholders()}
        return {
            **self._context.env,
            **AS_TOX_DOES,
            "HOME": shard.tempest_dir,
            "TMPDIR": str(self._temporary),
            worker.LOG: str(logs_folder(self._context) / LOADED.format(worker=shard.index)),
            **{name: fill(text, values) for name, text in wanted.items()},
        }

    def folder(self, shard: ShardAccess) -> Path:
        """The checkout."""
        return self._checkout

    def group(self, test_id: str) -> str:
        """As the project's stestr groups them."""
        return self._discovery.group_of(test_id)


def logs_folder(context: GateContext) -> Path:
    """Where the workers' output is."""
    return context.workspace.logs / "unit-tests"
