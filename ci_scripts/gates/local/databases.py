"""The databases of the shards: copies of a prepared SQLite template, or schemas of their own on a server.

The template costs about 15 s and a copy nothing, so it is made once per environment. It is kept in the cache only when
released packages made it: what a change under test wrote never reaches another run.
"""

from __future__ import annotations

import concurrent.futures
import configparser
import hashlib
import os
import re
import shutil
import threading
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ci_scripts.gates.local import keystone, neutron
from ci_scripts.gates.local.layout import INSIDE, ShardLayout, openstack_environment
from ci_scripts.python_environments import site_packages
from ci_scripts.run_command import run
from ci_scripts.workspace import SCHEMA, Workspace, read_json, write_json_atomically

Watch = Callable[[], str | None]
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
    short = re.sub(r"[^a-z0-9]", "", run_id.lower())[-12:]
    return _url_of(database, f"ci_{short}_{shard}_keystone"), _url_of(database, f"ci_{short}_{shard}_neutron")


def _url_of(database: str, schema: str) -> str:
    return urllib.parse.urlsplit(database)._replace(path=f"/{schema}").geturl()


def _schema_of(url: str) -> str:
    return urllib.parse.urlsplit(url).path.removeprefix("/")


def side_by_side(tasks: Sequence[Callable[[Watch], None]]) -> None:
    """Run tasks in threads; the first that fails, or an abort, stops the commands of the others.

    Each task is given what it must pass on as ``watch``. Raises what the first failed task raised.
    """
    stopped = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(len(tasks)) as pool:
        try:
            running = [pool.submit(task, lambda: "another one failed" if stopped.is_set() else None) for task in tasks]
            for done in concurrent.futures.as_completed(running):
                done.result()
        except BaseException:
            stopped.set()
            raise


def create_schemas(workspace: Workspace, database: str, urls: Sequence[str], env: Mapping[str, str]) -> None:
    """Create the (empty) schemas; they are the run's own, so an old one of the same name goes.

    Raises InfrastructureError naming the log.
    """
    # Noted first: what was half made is dropped too. The names only, the address holds a password.
    names = [_schema_of(url) for url in urls]
    write_json_atomically(_schemas_file(workspace), {"schema": SCHEMA, "names": names})
    _sql("create", workspace, database, urls, env)


def drop_schemas(workspace: Workspace, database: str, env: Mapping[str, str]) -> None:
    """Remove the run's schemas from the server; does nothing where none were made.

    Raises InfrastructureError naming the log; they can be dropped again then.
    """
    if is_sqlite(database) or not _schemas_file(workspace).exists():
        return
    names = read_json(_schemas_file(workspace))["names"]
    _sql("drop", workspace, database, [_url_of(database, name) for name in names], env)
    _schemas_file(workspace).unlink()


def _schemas_file(workspace: Workspace) -> Path:
    return workspace.gate_dir / "schemas.json"


def _sql(verb: str, workspace: Workspace, database: str, urls: Sequence[str], env: Mapping[str, str]) -> None:
    python = openstack_environment(workspace) / "bin" / "python"
    # URLs hold a password: they go by standard input, not by the command line.
    run(
        [str(python), str(INSIDE / "schemas.py"), verb],
        cwd=INSIDE,
        env=env,
        timeout=SQL_SECONDS,
        log=workspace.gate_logs / "schemas.log",
        input_text="\n".join(urls),
        secrets=_passwords(database),
    )


def _passwords(database: str) -> list[str]:
    """The password of the URL as it stands there and as it is."""
    found = urllib.parse.urlsplit(database).password
    return [found, urllib.parse.unquote(found)] if found else []


def _key(environment: Path) -> str:
    digest = hashlib.sha256((environment / ".complete").read_bytes())
    for script in sorted(INSIDE.glob("*.py")):
        digest.update(script.read_bytes())
    digest.update(Path(keystone.__file__).read_bytes())
    return digest.hexdigest()[:24]
