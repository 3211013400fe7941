"""The local gate: Keystone and Neutron as ordinary processes, in one or more independent pairs (shards)."""

from __future__ import annotations

import os
import time
import urllib.parse
from collections.abc import Callable, Mapping

from ci_scripts import aborts
from ci_scripts.errors import CIError, ConfigurationError
from ci_scripts.gates import access
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.local import databases, driver, supervision, unprivileged, vendor_services
from ci_scripts.gates.local.environments import prepare_environments
from ci_scripts.gates.local.layout import ShardLayout, driver_config_dir, openstack_environment
from ci_scripts.gates.local.neutron import mechanism_drivers
from ci_scripts.gates.local.ports import free_ports, is_taken
from ci_scripts.gates.local.shard import Shard
from ci_scripts.workspace import Workspace

MAX_SHARDS = 8
PORTS_FREE_SECONDS = 10.0


def prepare(context: GateContext) -> Mapping[str, str]:
    """Make the run's Python environments and the template databases."""
    made, shared = prepare_environments(context)
    if databases.is_sqlite(context.settings.gate.database):
        with context.record.step("prepare the databases"):
            databases.prepare_template(context.workspace, context.settings.cache_dir, context.env, shared=shared)
    return {name: str(path.relative_to(context.workspace.root)) for name, path in made.items()}


def shard_count(context: GateContext) -> int:
    """``gate.shards``; auto is one for each processor that we may use, at most 8."""
    wanted = context.settings.gate.shards
    return min(MAX_SHARDS, len(os.sched_getaffinity(0))) if wanted == "auto" else wanted


def require_stopped(workspace: Workspace) -> None:
    """A gate that runs here already is somebody's: neither taken over nor stopped."""
    if supervision.is_running(workspace):
        raise ConfigurationError(f"a gate is running in {workspace.root}.", next_step="stop it first: ci-stop-gate.")


def start_services(context: GateContext, owner: int | None) -> None:
    """Start the supervisor and the vendor's services."""
    require_stopped(context.workspace)
    hang_seconds = context.settings.gate.hang_seconds
    supervision.start_supervisor(context.workspace, context.env, owner=owner, hang_seconds=hang_seconds)
    vendor_services.start_vendor_services(context, shard_count(context))


def install_driver(context: GateContext) -> str:
    """Install the driver into the run's environment and render what it asks for."""
    environment = openstack_environment(context.workspace)
    context.workspace.driver_json.unlink(missing_ok=True)
    installed = driver.install(context, environment)
    driver.write_packages(context)
    driver.render_config(context, driver_config_dir(context.workspace))
    driver.write_record(context, installed)
    return f"{installed.distribution} {installed.version} {installed.commit or ''}".rstrip()


def placeholders(context: GateContext) -> list[dict[str, str]]:
    """One set for each shard; the addresses are those of its services."""
    found = []
    for shard in range(shard_count(context)):
        urls = vendor_services.urls_of_shard(context.workspace, shard)
        services = {f"service.{name}.url": url for name, url in urls.items()}
        found.append({**context.placeholders(), "shard": str(shard), **services})
    return found


def problem(context: GateContext) -> str | None:
    """The first service that died or hangs."""
    return supervision.first_problem(context.workspace)


def start(context: GateContext) -> None:
    """Bring OpenStack up; ready means that a token was issued and used. On failure nothing of ours is left."""
    if (context.workspace.gate_dir / "access.json").exists() and supervision.is_running(context.workspace):
        raise ConfigurationError("the gate is already running.", next_step="use it, or stop it with ci-stop-gate.")
    if not context.workspace.driver_json.exists():
        raise ConfigurationError("the driver is not installed yet.", next_step="run ci-install-driver first.")
    by_hand = not supervision.is_running(context.workspace)
    try:
        if by_hand:
            with context.record.step("start the services"):
                start_services(context, None)
        _start_openstack(context)
    except BaseException:
        if by_hand:
            _stop_after_failure(context)
        raise


def _stop_after_failure(context: GateContext) -> None:
    # The first cause is kept when cleaning up fails as well.
    with aborts.deferred():
        try:
            stop(context)
        except CIError as error:
            context.record.say(f"while stopping the gate: {error}")


def _start_openstack(context: GateContext) -> None:
    count = shard_count(context)
    layouts = [ShardLayout(context.workspace, index) for index in range(count)]
    ports = free_ports(2 * count)
    shards = [Shard(context, layout, *ports[2 * i : 2 * i + 2]) for i, layout in enumerate(layouts)]
    drivers = mechanism_drivers(sorted(driver_config_dir(context.workspace).glob("*")))
    if databases.is_sqlite(context.settings.gate.database):
        databases.add_driver_tables(context.workspace, drivers, context.env)
    with context.record.step(f"start Keystone and Neutron, {count} of each"):
        for shard in shards:
            shard.prepare()
        _fill_server(context, shards)
        user = _choose_user(context, layouts)
        supervision.add_services(context.workspace, [service for shard in shards for service in shard.services(user)])
        deadline = time.monotonic() + context.settings.gate.start_timeout_seconds
        for shard in shards:
            shard.open_identity(deadline)
        made = [shard.open_network(deadline) for shard in shards]
    access.write_access(context.workspace, made)


def _fill_server(context: GateContext, shards: list[Shard]) -> None:
    database = context.settings.gate.database
    if databases.is_sqlite(database):
        return
    urls = [url for shard in shards for url in shard.database_urls()]
    databases.create_schemas(context.workspace, database, urls, context.env)
    with context.record.step("migrate the databases"):
        databases.side_by_side([task for shard in shards for task in shard.migrations()])


def _choose_user(context: GateContext, layouts: list[ShardLayout]) -> tuple[int, int] | None:
    name = context.settings.gate.user
    if name is None:
        return None
    folders = [folder for layout in layouts for folder in (layout.root, layout.logs)]
    python = openstack_environment(context.workspace) / "bin" / "python"
    user, reason = unprivileged.choose_user(name, python, folders, context.env)
    context.record.say(reason)
    return user


def stop(context: GateContext) -> None:
    """End all services. Raises CIError when a process or a port is left, after everything was tried."""
    workspace, database = context.workspace, context.settings.gate.database
    ports = _known_ports(context)
    work: tuple[Callable[[], None], ...] = (
        lambda: supervision.stop_supervisor(workspace),
        lambda: access.remove_access(workspace),
        lambda: _require_free(ports),
        lambda: databases.drop_schemas(workspace, database, context.env),
    )
    first: CIError | None = None
    for step in work:
        try:
            step()
        except (CIError, OSError) as error:
            if first is not None:
                context.record.say(f"while stopping the gate: {error}")
            first = first or (
                error if isinstance(error, CIError) else CIError(f"the gate could not be ended: {error}.")
            )
    if first is not None:
        raise first


def _known_ports(context: GateContext) -> list[int]:
    """Those that access.json names; a damaged one must not keep the gate from being stopped."""
    if not (context.workspace.gate_dir / "access.json").exists():
        return []
    try:
        shards = access.read_access(context.workspace)
        found = [urllib.parse.urlsplit(url).port for shard in shards for url in (shard.keystone_url, shard.neutron_url)]
    except (CIError, KeyError, TypeError, ValueError, AttributeError) as error:
        context.record.say(f"the gate's ports are not known, access.json is damaged: {error}")
        return []
    return [port for port in found if port]


def _require_free(ports: list[int]) -> None:
    deadline = time.monotonic() + PORTS_FREE_SECONDS
    for port in ports:
        while is_taken(port):
            if time.monotonic() > deadline:
                raise CIError(f"port {port} of the gate is still open.", next_step=f"see ss -ltnp sport = :{port}")
            time.sleep(0.1)
