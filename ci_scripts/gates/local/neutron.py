"""Neutron of the local gate: its configuration, its database, its process."""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.local import keystone
from ci_scripts.gates.local.ini import Sections, literal, write_ini
from ci_scripts.gates.local.layout import INSIDE, ShardLayout
from ci_scripts.gates.local.ports import HOST
from ci_scripts.gates.local.services import Service
from ci_scripts.gates.local.uwsgi import api_argv
from ci_scripts.placeholders import fill
from ci_scripts.run_command import last_lines, run
from ci_scripts.workspace import write_text_atomically

PHYSICAL_NETWORK = "public"
SERVICE_PLUGINS = (
    "router,qos,segments,tag,metering,port_forwarding,auto_allocate,network_ip_availability,"
    "flavors,revisions,timestamp,network_segment_range"
)
DATABASE_SECONDS = 1200.0
LOG_BYTES = 4 * 1024 * 1024


def url_of(port: int) -> str:
    """Neutron's address as the catalog gives it."""
    return f"http://{HOST}:{port}"


def write_config(layout: ShardLayout, environment: Path, database: str, keystone_url: str, plugins: str) -> list[Path]:
    """neutron.conf and ml2_conf.ini of a shard, before what neutron_config says."""
    credentials = {
        "auth_url": keystone_url,
        "auth_type": "password",
        "username": keystone.ADMIN["username"],
        "password": keystone.ADMIN["password"],
        "project_name": keystone.ADMIN["project_name"],
        "user_domain_name": keystone.ADMIN["domain_name"],
        "project_domain_name": keystone.ADMIN["domain_name"],
        "region_name": keystone.REGION,
    }
    neutron_conf: Sections = {
        "DEFAULT": {
            "core_plugin": "ml2",
            "service_plugins": plugins,
            "auth_strategy": "keystone",
            "api_paste_config": environment / "etc" / "neutron" / "api-paste.ini",
            "state_path": layout.neutron,
            "log_file": layout.logs / "neutron.log",
            "use_stderr": False,
            "transport_url": "fake://",
            "rpc_workers": 0,
            "dhcp_agent_notification": False,
            "notify_nova_on_port_status_changes": False,
            "notify_nova_on_port_data_changes": False,
        },
        "oslo_concurrency": {"lock_path": layout.neutron / "lock"},
        "oslo_messaging_notifications": {"driver": "noop"},
        "database": {"connection": literal(database), "sqlite_synchronous": False},
        "keystone_authtoken": {
            **credentials,
            "www_authenticate_uri": keystone_url,
            "service_token_roles_required": True,
        },
        # There is no Placement here; without credentials the segments plug-in logs a traceback for each segment.
        "placement": credentials,
    }
    ml2: Sections = {
        "ml2": {
            "type_drivers": "local,flat,vlan,vxlan",
            "project_network_types": "vxlan",
            "mechanism_drivers": "logger",
            "extension_drivers": "port_security,qos,dns",
        },
        "ml2_type_flat": {"flat_networks": PHYSICAL_NETWORK},
        "ml2_type_vxlan": {"vni_ranges": "1:10000"},
        "securitygroup": {"enable_security_group": True},
    }
    files = [layout.neutron / "neutron.conf", layout.neutron / "ml2_conf.ini"]
    write_ini(files[0], neutron_conf, mode=0o640)
    write_ini(files[1], ml2)
    return files


def add_driver_config(layout: ShardLayout, folder: Path, values: Mapping[str, str]) -> list[Path]:
    """What install-driver left, its placeholders filled for this shard; read after ours, so it wins."""
    written = []
    for source in sorted(folder.glob("*")):
        target = layout.neutron / f"driver-{source.name}"
        write_text_atomically(target, fill(source.read_text(), values), mode=0o640)
        written.append(target)
    return written


def mechanism_drivers(files: Sequence[Path]) -> list[str]:
    """The drivers that the configuration asks for, the last file winning."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read(files)
    return [name.strip() for name in parser.get("ml2", "mechanism_drivers", fallback="").split(",") if name.strip()]


def make_sqlite_database(
    environment: Path, database: Path, drivers: Sequence[str], log: Path, env: Mapping[str, str]
) -> None:
    """Tables from the models, the migrations' rows, the heads stamped. Raises InfrastructureError naming the log."""
    argv = [str(environment / "bin" / "python"), str(INSIDE / "make_neutron_database.py")]
    run([*argv, f"sqlite:///{database}", *drivers], cwd=database.parent, env=env, timeout=DATABASE_SECONDS, log=log)


def migrate_database(
    environment: Path,
    files: Sequence[Path],
    log: Path,
    env: Mapping[str, str],
    watch: Callable[[], str | None] | None = None,
) -> None:
    """Neutron's own migrations, those of drivers included. ``watch`` as in ``run_command.run``.

    Raises InfrastructureError naming the log.
    """
    argv = [str(environment / "bin" / "neutron-db-manage")]
    for path in files:
        argv += ["--config-file", str(path)]
    argv += ["upgrade", "heads"]
    run(argv, cwd=files[0].parent, env=env, timeout=DATABASE_SECONDS, log=log, watch=watch)


def service(
    layout: ShardLayout, environment: Path, port: int, files: Sequence[Path], env: Mapping[str, str]
) -> Service:
    """The process to start."""
    own = {
        "OS_NEUTRON_CONFIG_DIR": str(layout.neutron),
        "OS_NEUTRON_CONFIG_FILES": ";".join(str(path) for path in files),
        "HOME": str(layout.neutron),
        # Guru meditation reports and start-time markers of Neutron go there, not to a shared /tmp.
        "TMPDIR": str(layout.neutron),
    }
    return Service(
        name="neutron",
        shard=layout.index,
        argv=api_argv(environment, "neutron_app", port),
        cwd=str(layout.neutron),
        env={**env, **own},
        log=str(layout.logs / "neutron.out"),
        health_url=url_of(port),
    )


def first_error(log: Path) -> str:
    """The line of Neutron's log that names why it did not start: the last exception of the first traceback."""
    try:
        with open(log, "rb") as stream:
            lines = stream.read(LOG_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ""
    found = [line for line in lines if re.search(r" (ERROR|CRITICAL) ", line)]
    named = [line for line in found if re.search(r"\b[\w.]+(Error|Exception|NotFound|Exit)\b\s*:", line)]
    return last_lines("\n".join(named[:1] or found[:3]), 3)


def require_loaded(log: Path, wanted: Sequence[str]) -> None:
    """Raises InfrastructureError unless Neutron's log names every driver among the loaded ones."""
    with open(log, "rb") as stream:
        text = stream.read(LOG_BYTES).decode(errors="replace")
    loaded = re.findall(r"Loaded mechanism driver names: \[(.*?)\]", text)
    names = {name.strip(" '\"") for name in loaded[-1].split(",")} if loaded else set()
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InfrastructureError(
            f"Neutron did not load the mechanism driver {', '.join(missing)}; it loaded {', '.join(sorted(names))}.",
            log=log,
            next_step="compare the driver's entry points in neutron.ml2.mechanism_drivers with mechanism_drivers.",
        )
