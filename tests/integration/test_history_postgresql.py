"""A history on a PostgreSQL server that is not there, refuses us, holds a lock or stops answering."""

from __future__ import annotations

import contextlib
import socket
import traceback
from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import make_url

from ci_scripts.gates.local.ports import HOST, free_ports
from ci_scripts.history import HistoryFailed, open_history
from tests.fakes.history_runs import JOB, NOW, record
from tests.integration.postgresql_server import PASSWORD, USER, PostgreSQLServer

pytest_plugins = ["tests.integration.history_fixtures"]
# Each gives up after a second or two; what hangs is ended by this.
pytestmark = pytest.mark.timeout(60)


def failure(work: Callable[[], object]) -> HistoryFailed:
    """What was raised; nothing that could be printed of it holds the password."""
    with pytest.raises(HistoryFailed) as caught:
        work()
    told = str(caught.value) + "".join(traceback.format_exception(caught.value))
    assert not [word for word in (PASSWORD, "wr0ng", "p%40ss") if word in told]
    return caught.value


def test_a_server_that_is_not_there() -> None:
    url = make_url(f"postgresql+psycopg://ci:wr0ng-word@{HOST}:{free_ports(1)[0]}/ci")
    error = failure(lambda: open_history(url, timeout=2))
    assert error.what.startswith(f"opening the history at {url} failed: ") and "onnection refused" in error.what
    assert error.next_step == "see whether history.url is right and what it names can be reached."


def test_a_server_that_takes_connections_and_never_answers() -> None:
    with socket.create_server((HOST, 0)) as silent:
        url = make_url(f"postgresql+psycopg://ci:wr0ng-word@{HOST}:{silent.getsockname()[1]}/ci")
        error = failure(lambda: open_history(url, timeout=1))
    assert "timeout expired" in error.what or "no answer within 1 s" in error.what


def test_a_wrong_password_is_not_told(postgresql: PostgreSQLServer) -> None:
    url = make_url(postgresql.url("postgres", password="wr0ng-word"))
    error = failure(lambda: open_history(url, timeout=5))
    assert f'password authentication failed for user "{USER}"' in error.what
    assert error.next_step == "correct the user in history.url and its password."


def test_a_database_that_is_not_there(postgresql: PostgreSQLServer) -> None:
    error = failure(lambda: open_history(make_url(postgresql.url("no_such_database")), timeout=5))
    assert 'database "no_such_database" does not exist' in error.what


def test_a_user_who_may_only_read_is_told_so(postgresql: PostgreSQLServer) -> None:
    name = postgresql.new_database()
    with open_history(make_url(postgresql.url(name)), timeout=20) as history:
        history.record(record("green"))
    postgresql.do("CREATE ROLE reader LOGIN PASSWORD 'wr0ng-reader'")
    postgresql.do("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name)
    url = make_url(postgresql.url(name)).set(username="reader", password="wr0ng-reader")
    with open_history(url, timeout=5) as history:
        assert history.last_green(JOB, "master", NOW.replace(year=2100), "") is not None
        error = failure(lambda: history.record(record("second")))
    assert "permission denied for table history_runs" in error.what and "let this user write" in error.next_step


def test_a_table_that_somebody_holds_is_given_up_and_works_afterwards(postgresql: PostgreSQLServer) -> None:
    name = postgresql.new_database()
    with open_history(make_url(postgresql.url(name)), timeout=1) as history:
        with contextlib.closing(
            psycopg.connect(host=HOST, port=postgresql.port, user=USER, password=PASSWORD, dbname=name)
        ) as holder:
            holder.execute("LOCK TABLE history_runs IN ACCESS EXCLUSIVE MODE")
            for work in (lambda: history.record(record("one")), lambda: history.newest_control(JOB, "master", NOW)):
                error = failure(work)
                assert "canceling statement due to lock timeout" in error.what
                assert error.next_step == "see who holds it, or raise history.timeout_seconds."
        history.record(record("two"))
        found = history.last_green(JOB, "master", NOW.replace(year=2100), "")
    assert found is not None and found.run_id == "two"


def test_a_server_that_stops_answering_in_the_middle_is_given_up(postgresql: PostgreSQLServer) -> None:
    name = postgresql.new_database()
    with open_history(make_url(postgresql.url(name)), timeout=1) as history:
        with postgresql.frozen():
            error = failure(lambda: history.record(record("one")))
        assert history.record(record("two")) == 0
    assert "timeout expired" in error.what or "no answer within 1 s" in error.what
