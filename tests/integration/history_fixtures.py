"""Where the history's tests keep it: a SQLite file and a database on a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from tests.integration.postgresql_server import PostgreSQLServer, missing


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    server = PostgreSQLServer()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """The URL of a database that holds nothing yet; of SQLite, not even the folder of its file is there."""
    if request.param == "sqlite":
        return URL.create("sqlite", database=str(tmp_path / "history" / "history.sqlite"))
    server: PostgreSQLServer = request.getfixturevalue("postgresql")
    return make_url(server.url(server.new_database()))
