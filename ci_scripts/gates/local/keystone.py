"""Keystone of the local gate: its configuration, its database, its process."""

from __future__ import annotations

import base64
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from ci_scripts.gates.local.ini import literal, write_ini
from ci_scripts.gates.local.layout import ShardLayout
from ci_scripts.gates.local.ports import HOST
from ci_scripts.gates.local.services import Service
from ci_scripts.gates.local.uwsgi import api_argv
from ci_scripts.run_command import run
from ci_scripts.workspace import write_text_atomically

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
            "database": {"connection": literal(database), "sqlite_synchronous": False},
            "token": {"provider": "fernet"},
            "fernet_tokens": {"key_repository": folder / "fernet-keys"},
            # Keystone looks for these too; their default is /etc/keystone, which is not ours.
            "fernet_receipts": {"key_repository": folder / "fernet-keys"},
            "credential": {"key_repository": folder / "credential-keys"},
            "cache": {"enabled": True, "backend": "oslo_cache.dict", "expiration_time": 600},
            "identity": {"password_hash_algorithm": "bcrypt", "password_hash_rounds": 4},
        },
        mode=0o640,
    )
    return path


def make_database(
    environment: Path,
    folder: Path,
    log_dir: Path,
    database: str,
    env: Mapping[str, str],
    watch: Callable[[], str | None] | None = None,
    url: str = f"{TEMPLATE_URL}/v3",
) -> None:
    """Migrate an empty database, make the keys, the administrator and Keystone's own endpoints, by default at a
    stand-in address.

    ``watch`` as in ``run_command.run``. Raises InfrastructureError naming the log.
    """
    for name in ("fernet-keys", "credential-keys"):
        _make_keys(folder / name)
    config = write_config(folder, log_dir, database)
    manage = [str(environment / "bin" / "keystone-manage"), "--config-file", str(config)]
    bootstrap = ["bootstrap", "--bootstrap-password", ADMIN["password"], "--bootstrap-region-id", REGION]
    for kind in ("public", "admin", "internal"):
        bootstrap += [f"--bootstrap-{kind}-url", url]
    log = log_dir / "keystone-manage.log"
    for verb in (["db_sync"], bootstrap):
        run([*manage, *verb], cwd=folder, env=env, timeout=MIGRATE_SECONDS, log=log, watch=watch)


def _make_keys(repository: Path) -> None:
    """What keystone-manage fernet_setup and credential_setup leave, without 3 s for each: 0 is staged, 1 primary."""
    repository.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("0", "1"):
        key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        write_text_atomically(repository / name, key, mode=0o600)


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
