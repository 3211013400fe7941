"""The tables of the history. A change here needs a migration in migrations/versions; a test compares them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.engine import Dialect

VERSION_TABLE = "history_version"
NAMES = {
    "pk": "%(table_name)s_pk",
    "uq": "%(table_name)s_%(column_0_name)s_key",
    "fk": "%(table_name)s_%(column_0_name)s_fk",
}


class UtcTime(TypeDecorator[datetime]):
    """A moment: written in UTC without its zone, which not every database can keep, and read back with it."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None else None


metadata = MetaData(naming_convention=NAMES)

runs = Table(
    "history_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", String(100), nullable=False, unique=True),
    Column("of_run", String(100)),
    Column("time", UtcTime, nullable=False),
    Column("job", String(200), nullable=False),
    Column("branch", String(300), nullable=False),
    Column("project", String(300), nullable=False),
    Column("change_number", String(20)),
    Column("patch_set", String(20)),
    Column("pipeline", String(100), nullable=False),
    Column("gate_kind", String(30), nullable=False),
    Column("role", String(10), nullable=False),
    Column("outcome", String(30), nullable=False),
    Column("blame", String(10), nullable=False),
    Column("rule", String(100), nullable=False),
    Column("seconds", Float),
    Column("probes_green", Boolean),
    Index("history_runs_by_job", "job", "branch", "time"),
    Index("history_runs_by_time", "time"),
)

# Every change whose code a run held: the one under test and what was merged with it.
changes = Table(
    "history_changes",
    metadata,
    Column("run", ForeignKey(runs.c.id), primary_key=True),
    Column("project", String(300), primary_key=True),
    Column("number", String(20), primary_key=True),
    Index("history_changes_by_number", "number"),
)

# What a run was made of, one package, checkout, setting a row, so that it can be asked for with plain SQL.
parts = Table(
    "history_parts",
    metadata,
    Column("run", ForeignKey(runs.c.id), primary_key=True),
    Column("what", String(10), primary_key=True),
    Column("environment", String(50), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)

# Names apart from the outcomes, which would else be ten times their size. Unique by digest: not every database can
# index a text of any length.
tests = Table(
    "history_tests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", Text, nullable=False),
)

outcomes = Table(
    "history_outcomes",
    metadata,
    Column("run", ForeignKey(runs.c.id), primary_key=True),
    Column("test", ForeignKey(tests.c.id), primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("status", String(10), nullable=False),
    Column("seconds", Float),
    Column("flaky", Boolean, nullable=False),
    Index("history_outcomes_by_test", "test", "time"),
)

# Who is about to report on a patch set, and what was reported last. ``claimed`` is in seconds of the database's own
# clock: those of two reporters' machines need not agree.
reports = Table(
    "history_reports",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("place", String(400), nullable=False, unique=True),
    Column("holder", String(100)),
    Column("claimed", BigInteger, nullable=False),
    Column("runs", Text),
    Column("message", String(100)),
    Column("vote", Integer),
)

OF_A_RUN = (changes, parts, outcomes)
