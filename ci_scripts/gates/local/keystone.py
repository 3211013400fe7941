"""Keystone of the local gate: its configuration, its database, its process."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from ci_scripts.gates.local.ini import write_ini
from ci_scripts.gates.local.layout import ShardLayout
from ci_scripts.gates.local.ports import HOST
from ci_scripts.gates.local.services import Service
from ci_scripts.gates.local.uwsgi import api_argv
from ci_scripts.run_command import run

ADMIN = {"username": "admin", "password": "local-gate", "project_name": "admin", "domain_name": "Default"}
REGION = "RegionOne"
TEMPLATE_URL = "http://127.0.0.1:1"
MIGRATE_SECONDS = 600.0


def url_of(port: int) -> str:
    """Keystone's address as clients are given it."""
    return f"http://{HOST}:{port}/v3"


def write_config(folder: Path, log_dir: Path, database: str) -> Path:
    """keystone.conf. Password hashing is as cheap as bcrypt allows: every test class makes users of its own."""
    path = folder / "keystone.conf"
    write_ini(
        path,
        {
            "DEFAULT": {"log_file": log_dir / "keystone.log", "use_stderr": False},
            "database": {"connection": database, "sqlite_synchronous": False},
            "token": {"provider": "fernet"},
            "fernet_tokens": {"key_repository": folder / "fernet-keys"},
            "credential": {"key_repository": folder / "credential-keys"},
            "cache": {"enabled": True, "backend": "oslo_cache.dict", "expiration_time": 600},
            "identity": {"password_hash_algorithm": "bcrypt", "password_hash_rounds": 4},
        },
        mode=0o640,
    )
    return path


def make_database(environment: Path, folder: Path, log_dir: Path, database: str, env: Mapping[str, str]) -> None:
    """Migrate an empty database, make the keys and the administrator; endpoints carry a stand-in address.

    Raises InfrastructureError naming the log.
    """
    for name in ("fernet-keys", "credential-keys"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    config = write_config(folder, log_dir, database)
    manage = [str(environment / "bin" / "keystone-manage"), "--config-file", str(config)]
    bootstrap = ["bootstrap", "--bootstrap-password", ADMIN["password"], "--bootstrap-region-id", REGION]
    for kind in ("public", "admin", "internal"):
        bootstrap += [f"--bootstrap-{kind}-url", f"{TEMPLATE_URL}/v3"]
    owner = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
    for verb in (["db_sync"], ["fernet_setup", *owner], ["credential_setup", *owner], bootstrap):
        run([*manage, *verb], cwd=folder, env=env, timeout=MIGRATE_SECONDS, log=log_dir / "keystone-manage.log")


def copy_template(template: Path, target: Path) -> None:
    """The prepared database file and keys, for one shard."""
    shutil.copytree(template, target, dirs_exist_ok=True)


def rewrite_endpoints(database_file: Path, url: str) -> None:
    """Replace the stand-in address in Keystone's own endpoints."""
    with closing(sqlite3.connect(database_file)) as connection, connection:
        connection.execute("UPDATE endpoint SET url = replace(url, ?, ?)", (f"{TEMPLATE_URL}/v3", url))


def service(layout: ShardLayout, environment: Path, port: int, env: Mapping[str, str]) -> Service:
    """The process to start."""
    return Service(
        name="keystone",
        shard=layout.index,
        argv=api_argv(environment, "keystone_app", port),
        cwd=str(layout.keystone),
        env={**env, "OS_KEYSTONE_CONFIG_DIR": str(layout.keystone), "HOME": str(layout.keystone)},
        log=str(layout.logs / "keystone.out"),
        health_url=url_of(port),
    )
