"""After stack.sh, on both DevStack kinds: its OpenStack becomes a gate of ours, with one shard.

Taken over are the administrator (access.json), Tempest's configuration, what was installed (driver.json,
packages.txt), Neutron's log, and a watch over Keystone and Neutron in the gate's status file.
"""

from __future__ import annotations

import configparser
import sys
import time
from pathlib import Path

from ci_scripts import aborts
from ci_scripts.errors import InfrastructureError
from ci_scripts.gates import access
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import identity, installed, service_logs
from ci_scripts.gates.devstack.node_files import read_small
from ci_scripts.gates.devstack.stack_user import StackUser, content_for
from ci_scripts.gates.local import environments, neutron, supervision, vendor_services
from ci_scripts.gates.local.ini import Sections, merged, write_ini
from ci_scripts.gates.local.services import Service

SHARDS = 1
OPENRC_SECONDS = 120.0
# journald hands lines on a little later than they were written.
LOG_SECONDS = 10.0
_OPENRC = 'cd "$1" && source ./openrc admin admin >/dev/null 2>&1 && env | grep ^OS_'


def prepare_tempest(context: GateContext) -> dict[str, str]:
    """Tempest's own environment by name, its path relative to the workspace: DevStack installs everything else."""
    made = environments.prepare_tempest(context)
    return {"tempest": str(made.relative_to(context.workspace.root))}


def start_services(context: GateContext, owner: int | None) -> None:
    """Start the supervisor and the vendor's services; they end when process ``owner`` does."""
    hang_seconds = context.settings.gate.hang_seconds
    supervision.start_supervisor(context.workspace, context.env, owner=owner, hang_seconds=hang_seconds)
    vendor_services.start_vendor_services(context, SHARDS)


def placeholders(context: GateContext) -> list[dict[str, str]]:
    """What the placeholders of ci.yaml stand for in the one shard."""
    urls = vendor_services.urls_of_shard(context.workspace, 0)
    services = {f"service.{name}.url": url for name, url in urls.items()}
    python = context.settings.gate.devstack.base / "data" / "venv" / "bin" / "python"
    return [{**context.placeholders(), "openstack_python": str(python), "shard": "0", **services}]


def problem(context: GateContext) -> str | None:
    """Why the gate is not healthy: a vendor's service, Keystone or Neutron that died or answers no more."""
    return supervision.first_problem(context.workspace)


def take_over(context: GateContext, base: Path, devstack: Path) -> None:
    """Make what stack.sh brought up the run's gate. ``base`` is DEST with the checkouts, ``devstack`` its folder there.

    Raises InfrastructureError naming what does not answer, is not installed or is not loaded.
    """
    user = StackUser.of(context)
    cloud = _cloud(context, user, devstack)
    context.record.mask([cloud.password])
    login = identity.log_in(cloud)
    aliases = identity.extensions(cloud, login)
    context.record.say(f"Neutron answers at {login.neutron_url} with {len(aliases)} extensions")
    driver = installed.record_installed(context, user, base)
    context.record.say(f"driver: {driver.distribution} {driver.version} {driver.commit or ''}".rstrip())
    _require_loaded(context, user, base)
    tempest_dir = _write_tempest(context, user, base)
    _watch(context, user, base, cloud, login)
    shard = access.ShardAccess(
        index=0,
        keystone_url=cloud.keystone_url,
        neutron_url=login.neutron_url,
        service_urls=vendor_services.urls_of_shard(context.workspace, 0),
        username=cloud.username,
        password=cloud.password,
        project_name=cloud.project_name,
        domain_name=login.domain_name,
        region=cloud.region,
        tempest_dir=str(tempest_dir),
    )
    access.write_access(context.workspace, [shard])


def collect_logs(context: GateContext, base: Path) -> None:
    """Plain, bounded copies of DevStack's logs in logs/gate/shard0/. Nothing is raised but an abort."""
    try:
        service_logs.collect_all(context, StackUser.of(context), base)
    except Exception as error:
        if aborts.under_way() is error:
            raise
        context.record.say(f"DevStack's logs could not all be collected: {error}")


def _cloud(context: GateContext, user: StackUser, devstack: Path) -> identity.Cloud:
    """The administrator from clouds.yaml; from openrc where a DevStack is so old that it writes no such file."""
    path = context.settings.gate.devstack.clouds_file
    if path.exists():
        return identity.cloud_of(read_small(context, user, path), str(path))
    done = content_for(context, user.argv(["bash", "-c", _OPENRC, "openrc", str(devstack)]), OPENRC_SECONDS)
    found = dict(line.split("=", 1) for line in done.output.splitlines() if line.startswith("OS_") and "=" in line)
    if not found.get("OS_AUTH_URL"):
        raise InfrastructureError(
            f"stack.sh left neither {path} nor an openrc that says where Keystone is.",
            log=context.workspace.gate_logs / "stack.log",
            next_step="see whether DevStack ran to its end; gate.devstack.clouds_file names another place.",
        )
    return identity.cloud_of_openrc(found, f"{devstack}/openrc")


def _require_loaded(context: GateContext, user: StackUser, base: Path) -> None:
    """The drivers that ci.yaml asks for are in Neutron's log, which is collected here for the first time."""
    wanted = configured_drivers(context)
    deadline = time.monotonic() + LOG_SECONDS
    while True:
        log = service_logs.collect_neutron_log(context, user, base)
        try:
            neutron.require_loaded(log, wanted)
            return
        except InfrastructureError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def configured_drivers(context: GateContext) -> list[str]:
    """The mechanism drivers that driver.neutron_config asks for, in its order."""
    found: list[str] = []
    for sections in context.settings.driver.neutron_config.values():
        text = sections.get("ml2", {}).get("mechanism_drivers", "")
        found = [name.strip() for name in text.split(",") if name.strip()] or found
    return found


def _write_tempest(context: GateContext, user: StackUser, base: Path) -> Path:
    """The shard's folder for Tempest: DevStack's tempest.conf, under places of ours and ci.yaml's options."""
    source = base / "tempest" / "etc" / "tempest.conf"
    text = read_small(context, user, source)
    # [DEFAULT] is a section like any other to oslo.config; the name that stands here cannot be in a file.
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), default_section="\n")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text, str(source))
    except configparser.Error as error:
        raise InfrastructureError(f"{source} cannot be read: {error}.") from error
    folder = context.workspace.gate_dir / "shard0" / "tempest"
    logs = service_logs.shard_logs(context)
    for place in (folder / "lock", logs):
        place.mkdir(parents=True, exist_ok=True)
    ours: Sections = {
        "DEFAULT": {"log_dir": str(logs), "log_file": "tempest.log", "use_stderr": False},
        "oslo_concurrency": {"lock_path": str(folder / "lock")},
    }
    theirs: Sections = {section: dict(parser.items(section)) for section in parser.sections()}
    config = merged(merged(theirs, ours), context.settings.tempest.config)
    write_ini(folder / "etc" / "tempest.conf", config, mode=0o640)
    return folder


def _watch(context: GateContext, user: StackUser, base: Path, cloud: identity.Cloud, login: identity.Login) -> None:
    """Below the supervisor: Keystone and Neutron, whose own processes are systemd's, are asked; the log is followed."""
    logs = service_logs.shard_logs(context)
    folder = str(context.workspace.gate_dir)
    seconds = str(context.settings.gate.hang_seconds)
    services = []
    for name, url in (("keystone", cloud.keystone_url), ("neutron", login.neutron_url)):
        argv = [sys.executable, "-m", "ci_scripts.gates.devstack.watch_api", name, url, seconds]
        argv += [cloud.cacert] if cloud.cacert else []
        services.append(Service(name, 0, tuple(argv), folder, context.env, str(logs / f"watch-{name}.log")))
    log = logs / "neutron.log"
    # From its beginning: it takes the place of what was collected until now.
    log.unlink(missing_ok=True)
    follow = service_logs.follow_neutron_log(context, user, base)
    services.append(Service("neutron-log", 0, tuple(follow), folder, {**context.env, "TZ": "UTC"}, str(log)))
    supervision.add_services(context.workspace, services)
