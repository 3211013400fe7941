"""Runs inside OpenStack's environment: Neutron's tables in an empty SQLite file, as the migrations would leave them.

    python make_neutron_database.py sqlite:////path/neutron.db [ENTRY_POINT_NAME ...]

Neutron's migrations cannot run on SQLite, so the tables come from the models. What the migrations insert (since 2023.2
the default security group rules) is taken from the migration itself: its ``upgrade`` runs on a scratch database. The
names are mechanism drivers: their modules are imported so that tables of their own are made too.
"""

import importlib.metadata
import sys

import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from neutron.db.migration import cli
from neutron.db.migration.alembic_migrations import external
from neutron.db.migration.models import head

# Migrations that insert rows into an empty database: revision -> the table they fill beside standardattributes.
INSERTS = {"c33da356b165": "securitygroupdefaultrules"}
# Migrations that make the tables whose models are in other repositories (neutron-dynamic-routing's), in their order.
WITHOUT_MODELS = ("15be73214821", "b4caf27aae4")


def import_drivers(names):
    for entry_point in importlib.metadata.entry_points(group="neutron.ml2.mechanism_drivers"):
        if entry_point.name in names:
            entry_point.load()


def migration_scripts():
    config = cli.get_neutron_config()
    # Where the migrations lie is known only to this function of Neutron's command line.
    cli._set_version_locations(config)
    return ScriptDirectory.from_config(config)


def inserted_rows(script, metadata, table):
    """What the migration ``script`` inserts, as {table: [row, ...]}, seen on a database in memory."""
    scratch = sa.create_engine("sqlite://")
    attributes = metadata.tables["standardattributes"]
    attributes.create(scratch)
    with scratch.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            script.module.upgrade()
        found = {}
        for name in (attributes.name, table):
            seen = sa.Table(name, sa.MetaData(), autoload_with=connection)
            found[name] = [dict(row) for row in connection.execute(sa.select(seen)).mappings()]
    return found


def make_external_tables(connection, scripts, metadata):
    """The tables that Neutron's migrations make and its models lack, unless another package brought the models."""
    if any(name in metadata.tables for name in external.TABLES):
        return
    with Operations.context(MigrationContext.configure(connection)):
        for revision in WITHOUT_MODELS:
            scripts.get_revision(revision).module.upgrade()


def main(url, drivers):
    import_drivers(drivers)
    metadata = head.get_metadata()
    engine = sa.create_engine(url)
    scripts = migration_scripts()
    with engine.begin() as connection:
        metadata.create_all(connection)
        make_external_tables(connection, scripts, metadata)
        for revision, table in INSERTS.items():
            if table not in metadata.tables:
                continue
            rows_of = inserted_rows(scripts.get_revision(revision), metadata, table)
            for name, rows in rows_of.items():
                if rows:
                    connection.execute(sa.insert(sa.Table(name, sa.MetaData(), autoload_with=connection)), rows)
        MigrationContext.configure(connection).stamp(scripts, "heads")


if __name__ == "__main__":
    main(sys.argv[1], set(sys.argv[2:]))
