"""A run of unit tests from the start of the vendor's services to their end, and what is done in between."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import CIError
from ci_scripts.gates import access, probes
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import gate, vendor_services
from ci_scripts.gates.watch import Watch
from ci_scripts.process_tree import become_subreaper, stop_orphans
from ci_scripts.unit_tests import environment
from ci_scripts.unit_tests.configuration import unit_tests_of
from ci_scripts.unit_tests.discovery import read_discovery
from ci_scripts.unit_tests.runner import UnitTestRunner, logs_folder


@contextlib.contextmanager
def ready_for_tests(context: GateContext) -> Iterator[UnitTestRunner]:
    """Services up, probes green, environment and driver in place; the tests run in the block; then all is stopped.

    ``context`` is of ``for_workers``. The probes are asked beside the block, and after it if it came to its end.
    What failed before anything of the change had a part is noted as such. Raises CIError with the first cause.
    """
    gate.require_stopped(context.workspace)
    become_subreaper()
    shutil.rmtree(logs_folder(context), ignore_errors=True)
    logs_folder(context).mkdir(parents=True)
    notes, record = context.record.notes, context.record
    notes["with_change"] = False
    with _stopped_at_the_end(context), tempfile.TemporaryDirectory(prefix="ci-", ignore_cleanup_errors=True) as folder:
        with record.step("start the services"):
            gate.start_services(context, owner=os.getpid())
        shards = gate.placeholders(context)
        with record.step("ask the probes"):
            probes.require_green(context, shards)
        # A driver under test is not in the environment yet, but what its own tests need is read from it; any other
        # project under test is built into it.
        changed = context.run["change"]["project"]
        notes["with_change"] = changed != context.settings.driver.project or changed == environment.project_of(context)
        runner = _prepare(context, shards, Path(folder))
        with Watch(context, shards):
            yield runner
        with record.step("ask the probes again"):
            probes.require_green(context, shards, phase="after")


def _prepare(context: GateContext, shards: list[dict[str, str]], temporary: Path) -> UnitTestRunner:
    record, project = context.record, environment.project_of(context)
    python = environment.make_environment(context)
    record.notes["with_change"] = True
    with record.step("install the driver"):
        installed = environment.install_driver(context, python)
    record.say(f"driver: {installed}")
    access.write_access(context.workspace, [_access(context, shard) for shard in shards])
    discovery = read_discovery(context.checkouts[project], unit_tests_of(context.settings))
    return UnitTestRunner(context, python, context.checkouts[project], discovery, temporary)


def _access(context: GateContext, shard: Mapping[str, str]) -> access.ShardAccess:
    """What a worker can reach: the services, and no Keystone or Neutron but those inside of a test."""
    index = int(shard["shard"])
    home = context.workspace.gate_dir / f"shard{index}" / "home"
    home.mkdir(parents=True, exist_ok=True)
    urls = vendor_services.urls_of_shard(context.workspace, index)
    nobody = dict.fromkeys(
        ("keystone_url", "neutron_url", "username", "password", "project_name", "domain_name", "region"), ""
    )
    return access.ShardAccess(index=index, service_urls=urls, tempest_dir=str(home), **nobody)


@contextlib.contextmanager
def _stopped_at_the_end(context: GateContext) -> Iterator[None]:
    first_cause: BaseException | None = None
    try:
        yield
    except BaseException as error:
        first_cause = error
        raise
    finally:
        with aborts.deferred():
            try:
                with context.record.step("stop the services"):
                    gate.stop(context)
                    stop_orphans()
            except CIError as error:
                if first_cause is None:
                    raise
                context.record.say(f"while stopping the services: {error}")
