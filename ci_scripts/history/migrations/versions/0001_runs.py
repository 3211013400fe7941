"""Runs, the changes and parts they were made of, tests and their outcomes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_runs()
    _make_what_a_run_has()


def _make_runs() -> None:
    op.create_table(
        "history_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(100), nullable=False),
        sa.Column("of_run", sa.String(100)),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("job", sa.String(200), nullable=False),
        sa.Column("branch", sa.String(300), nullable=False),
        sa.Column("project", sa.String(300), nullable=False),
        sa.Column("change_number", sa.String(20)),
        sa.Column("patch_set", sa.String(20)),
        sa.Column("pipeline", sa.String(100), nullable=False),
        sa.Column("gate_kind", sa.String(30), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("outcome", sa.String(30), nullable=False),
        sa.Column("blame", sa.String(10), nullable=False),
        sa.Column("rule", sa.String(100), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("probes_green", sa.Boolean()),
        sa.PrimaryKeyConstraint("id", name="history_runs_pk"),
        sa.UniqueConstraint("run_id", name="history_runs_run_id_key"),
    )
    op.create_index("history_runs_by_job", "history_runs", ["job", "branch", "time"])
    op.create_index("history_runs_by_time", "history_runs", ["time"])


def _make_what_a_run_has() -> None:
    op.create_table(
        "history_changes",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("project", sa.String(300), nullable=False),
        sa.Column("number", sa.String(20), nullable=False),
        sa.PrimaryKeyConstraint("run", "project", "number", name="history_changes_pk"),
        sa.ForeignKeyConstraint(["run"], ["history_runs.id"], name="history_changes_run_fk"),
    )
    op.create_index("history_changes_by_number", "history_changes", ["number"])
    op.create_table(
        "history_parts",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("what", sa.String(10), nullable=False),
        sa.Column("environment", sa.String(50), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "what", "environment", "name", name="history_parts_pk"),
        sa.ForeignKeyConstraint(["run"], ["history_runs.id"], name="history_parts_run_fk"),
    )
    op.create_table(
        "history_tests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="history_tests_pk"),
        sa.UniqueConstraint("digest", name="history_tests_digest_key"),
    )
    op.create_table(
        "history_outcomes",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("test", sa.Integer(), nullable=False),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("flaky", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("run", "test", name="history_outcomes_pk"),
        sa.ForeignKeyConstraint(["run"], ["history_runs.id"], name="history_outcomes_run_fk"),
        sa.ForeignKeyConstraint(["test"], ["history_tests.id"], name="history_outcomes_test_fk"),
    )
    op.create_index("history_outcomes_by_test", "history_outcomes", ["test", "time"])
