"""The gate's SQLite databases come from Neutron's models: a migrated database must hold the same, on one MariaDB."""

from __future__ import annotations

from typing import Any

import pytest

from ci_scripts.gates.local import databases, neutron
from ci_scripts.gates.local.ini import literal
from ci_scripts.gates.local.layout import INSIDE
from ci_scripts.run_command import run as run_command
from tests.integration.gate_runs import Run
from tests.integration.mariadb_server import MariaDBServer
from tests.integration.schema_contents import contents

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate

SECONDS = 300.0
# Made anew each time: ids that nobody refers to, and times.
GENERATED = ("id", "created_at", "updated_at")


def _rows(table: dict[str, Any]) -> list[str]:
    return sorted(str({k: v for k, v in sorted(row.items()) if k not in GENERATED}) for row in table["rows"])


@pytest.fixture(scope="module")
def both(
    mariadb: MariaDBServer, prepared_run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of a migrated database, and of one that the gate's script made."""
    folder = tmp_path_factory.mktemp("databases")
    environment = prepared_run.workspace.environments_dir / "openstack"
    migrated, made = databases.server_urls(mariadb.url, "template", 0)
    env = {"HOME": str(folder)}
    argv = [str(environment / "bin" / "python"), str(INSIDE / "schemas.py")]
    text = "\n".join((migrated, made))
    run_command([*argv, "create"], cwd=folder, env=env, timeout=SECONDS, input_text=text)
    config = folder / "neutron.conf"
    config.write_text(f"[database]\nconnection = {literal(migrated)}\n[DEFAULT]\ncore_plugin = ml2\n")
    script = [argv[0], str(INSIDE / "make_neutron_database.py"), made]

    def make(watch: databases.Watch) -> None:
        run_command(script, cwd=folder, env=env, timeout=SECONDS, watch=watch)

    def migrate(watch: databases.Watch) -> None:
        neutron.migrate_database(environment, [config], folder / "migrate.log", env, watch)

    try:
        databases.side_by_side([make, migrate])
        return contents(migrated, environment), contents(made, environment)
    finally:
        run_command([*argv, "drop"], cwd=folder, env=env, timeout=SECONDS, input_text=text)


def test_both_have_the_same_tables_and_columns(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    migrated, made = both
    assert len(migrated) > 100
    assert set(made) == set(migrated)
    for name, table in migrated.items():
        assert made[name]["columns"] == table["columns"], name
        assert made[name]["foreign_keys"] == table["foreign_keys"], name


def test_both_hold_the_same_rows_in_every_table(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    migrated, made = both
    filled = {name for name, table in migrated.items() if table["rows"]}
    assert {"alembic_version", "securitygroupdefaultrules", "standardattributes"} <= filled
    for name, table in migrated.items():
        assert _rows(made[name]) == _rows(table), name


def test_both_are_at_the_same_heads(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    heads = [sorted(row["version_num"] for row in tables["alembic_version"]["rows"]) for tables in both]
    assert heads[0] == heads[1]
    assert len(heads[0]) == 2, "one head of the expanding migrations and one of the contracting ones"


def test_the_four_default_rules_are_the_migrations_own(both: tuple[dict[str, Any], dict[str, Any]]) -> None:
    migrated, made = ({_key(row): row for row in tables["securitygroupdefaultrules"]["rows"]} for tables in both)
    assert set(migrated) == {(direction, kind) for direction in ("egress", "ingress") for kind in ("IPv4", "IPv6")}
    for key, row in migrated.items():
        assert {**made[key], "id": ""} == {**row, "id": ""}
        assert made[key]["id"] != row["id"]


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["direction"], row["ethertype"]
