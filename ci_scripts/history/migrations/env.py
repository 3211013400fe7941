"""Run by Alembic inside the transaction and the lock of `database`, which hands over the connection."""

from __future__ import annotations

from alembic import context

from ci_scripts.history.tables import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
