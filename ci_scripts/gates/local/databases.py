"""The databases of the shards: copies of a prepared SQLite template, or schemas of their own on a server.

The template costs about 15 s and a copy nothing, so it is made once per environment. It is kept in the cache only when
released packages made it: what a change under test wrote never reaches another run.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ci_scripts.errors import ConfigurationError
from ci_scripts.gates.local import keystone, neutron
from ci_scripts.gates.local.layout import INSIDE, ShardLayout, openstack_environment
from ci_scripts.python_environments import site_packages
from ci_scripts.run_command import run
from ci_scripts.workspace import Workspace

NEUTRON_FILE = "neutron.db"
KEYSTONE_FILE = "keystone.db"
SQL_SECONDS = 60.0


def is_sqlite(database: str) -> bool:
    return database == "sqlite"


def prepare_template(workspace: Workspace, cache: Path, env: Mapping[str, str], *, shared: bool) -> None:
    """Make (or take from the cache, where ``shared``) the template databases of the run's environment.

    Raises InfrastructureError naming the log.
    """
    environment = openstack_environment(workspace)
    target = template_dir(workspace)
    shutil.rmtree(target, ignore_errors=True)
    cached = cache / "databases" / _key(environment)
    if shared and (cached / NEUTRON_FILE).exists():
        shutil.copytree(cached, target)
        return
    target.mkdir(parents=True)
    logs = workspace.gate_logs
    logs.mkdir(parents=True, exist_ok=True)
    database = f"sqlite:///{target / 'keystone' / KEYSTONE_FILE}"
    keystone.make_database(environment, target / "keystone", logs, database, env)
    neutron.make_sqlite_database(environment, target / NEUTRON_FILE, [], logs / "neutron-database.log", env)
    if shared:
        making = cached.with_name(f"{cached.name}.{os.getpid()}")
        shutil.copytree(target, making)
        try:
            making.rename(cached)
        except OSError:
            # Another run was faster; its template is as good.
            shutil.rmtree(making, ignore_errors=True)


def template_dir(workspace: Workspace) -> Path:
    """Where the run keeps its template."""
    return workspace.gate_dir / "template"


def copy_template(workspace: Workspace, layout: ShardLayout, keystone_url: str) -> None:
    """Give a shard its databases and Keystone's keys, endpoints rewritten to its port."""
    template = template_dir(workspace)
    keystone.copy_template(template / "keystone", layout.keystone)
    keystone.rewrite_endpoints(layout.keystone / KEYSTONE_FILE, keystone_url)
    shutil.copy2(template / NEUTRON_FILE, layout.neutron / NEUTRON_FILE)


def add_driver_tables(workspace: Workspace, drivers: Sequence[str], env: Mapping[str, str]) -> None:
    """Make Neutron's template anew with the models of the drivers, where a driver brings migrations of its own."""
    environment = openstack_environment(workspace)
    if not _drivers_with_migrations(environment):
        return
    path = template_dir(workspace) / NEUTRON_FILE
    path.unlink(missing_ok=True)
    neutron.make_sqlite_database(environment, path, drivers, workspace.gate_logs / "neutron-database.log", env)


def _drivers_with_migrations(environment: Path) -> list[str]:
    """Distributions other than Neutron that have an entry point in neutron.db.alembic_migrations."""
    found = []
    for file in site_packages(environment).glob("*.dist-info/entry_points.txt"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read(file)
        if parser.has_section("neutron.db.alembic_migrations") and not file.parent.name.startswith("neutron-"):
            found.append(file.parent.name)
    return found


def sqlite_urls(layout: ShardLayout) -> tuple[str, str]:
    """Keystone's and Neutron's database URLs; the plug-in keeps connections open (inside/sqlite_pool.py)."""
    suffix = "?plugin=ci_keep_connections"
    return (
        f"sqlite:///{layout.keystone / KEYSTONE_FILE}{suffix}",
        f"sqlite:///{layout.neutron / NEUTRON_FILE}{suffix}",
    )


def server_urls(database: str, run_id: str, shard: int) -> tuple[str, str]:
    """Keystone's and Neutron's URLs on a server: schemas ci_<run>_<shard>_keystone and _neutron."""
    base, _, query = database.partition("?")
    head = re.sub(r"/[^/@]*$", "", base) if base.count("/") > 2 else base
    short = re.sub(r"[^a-z0-9]", "", run_id.lower())[-12:]
    urls = [f"{head}/ci_{short}_{shard}_{name}" + (f"?{query}" if query else "") for name in ("keystone", "neutron")]
    return urls[0], urls[1]


def create_schemas(environment: Path, urls: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
    """Create the (empty) schemas; they are the run's own, so an old one of the same name goes."""
    _sql("create", environment, urls, log, env)


def drop_schemas(environment: Path, urls: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
    """Remove the run's schemas from the server."""
    _sql("drop", environment, urls, log, env)


def _sql(verb: str, environment: Path, urls: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
    for url in urls:
        if not url.startswith("mysql+pymysql://"):
            raise ConfigurationError(
                f"gate.database {url!r} is not supported.", next_step="use sqlite or mysql+pymysql."
            )
    argv = [str(environment / "bin" / "python"), str(INSIDE / "schemas.py"), verb]
    # URLs hold a password: they go by standard input, not by the command line.
    run(argv, cwd=INSIDE, env=env, timeout=SQL_SECONDS, log=log, input_text="\n".join(urls))


def _key(environment: Path) -> str:
    digest = hashlib.sha256((environment / ".complete").read_bytes())
    for script in sorted(INSIDE.glob("*.py")):
        digest.update(script.read_bytes())
    digest.update(Path(keystone.__file__).read_bytes())
    return digest.hexdigest()[:24]
