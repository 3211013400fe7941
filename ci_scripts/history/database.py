"""The database behind the history: its connections, time limits, migrations, and errors that hold no password.

Every piece of work has a connection and a transaction of its own, so nothing is held open while a run thinks.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import queue
import random
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError

from ci_scripts import __version__
from ci_scripts.errors import CIError
from ci_scripts.history.records import HistoryFailed
from ci_scripts.history.tables import VERSION_TABLE

T = TypeVar("T")
MASK = "***"
LONGEST_REASON = 400
# How much longer than the database itself we wait for its own, better words about a time-out.
GRACE_SECONDS = 1.0
SHORTEST = 0.05
# "ci-hist" in ASCII: pg_advisory_xact_lock takes a number, and no other program is likely to take this one.
LOCK_NUMBER = 0x63692D68697374
LOCK_NAME = "openstack-driver-ci history"
_WRITES = "history_writes"
_LOCKED = re.compile(r"is locked|is busy|locking protocol")
# serialization_failure and deadlock_detected (PostgreSQL, appendix A).
_TRY_AGAIN = ("40001", "40P01")
_ADVICE = (
    (r"is locked|(?:lock|statement) time-?out|deadlock", "see who holds it, or raise history.timeout_seconds."),
    (r"no answer", "see whether it answers and who holds it, or raise history.timeout_seconds."),
    (r"password|authentication|role .* does not exist", "correct the user in history.url and its password."),
    (r"read-?only|permission denied", "let this user write to it and, for a file, to its folder."),
    (r"not a database|malformed|corrupt", "move the file away: the next run begins a new one."),
    (r"unable to open|not a directory", "see whether its folder can be made and written to."),
    (r"is full|no space", "free some space there."),
    (r"no module named|can't load plugin", "install its driver, as openstack-driver-ci[postgresql]."),
    (r"already exists", "name a database in history.url that keeps nothing else."),
)
ADVICE_ELSE = "see whether history.url is right and what it names can be reached."


class _NoAnswer(Exception):
    """The time was up, and the database's own time limit had not ended it."""


class Database:
    """One database by its URL; ``timeout`` in seconds is for each piece of work."""

    def __init__(self, url: URL, timeout: float) -> None:
        self._secrets = _secrets(url)
        self._shown = self._masked(url.render_as_string(hide_password=True))
        self._timeout = timeout
        self._of_thread = threading.local()
        self._sqlite = url.get_backend_name() == "sqlite"
        self._file = Path(url.database) if self._sqlite and url.database and not _is_uri(url) else None
        try:
            self._engine = self._make_engine(url)
        except CIError:
            raise
        except Exception as error:
            raise self._failed("opening", error) from None

    def read(self, doing: str, work: Callable[[Connection], T]) -> T:
        """``work`` in a transaction that sees one state of the database.

        Raises HistoryFailed, within about the time-out, that begins with ``doing`` (a word as "reading").
        """
        return self._in_bounds(doing, lambda: self._transaction(work))

    def write(self, doing: str, work: Callable[[Connection], T]) -> T:
        """``work`` in a transaction, begun anew where another writer came between. Raises as ``read``."""
        return self._in_bounds(doing, lambda: self._transaction(work, writes=True))

    def migrate(self) -> None:
        """Bring the tables to the newest schema, under a lock. Raises as ``read``, and for a schema we do not know."""
        config = Config()
        config.set_main_option("script_location", "ci_scripts.history:migrations")

        def upgrade(connection: Connection, script: ScriptDirectory) -> None:
            _lock(connection, self._left())
            self._known_revision(connection, script)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

        def look_and_upgrade() -> None:
            script = ScriptDirectory.from_config(config)
            # Looked at without the lock first: nearly always there is nothing to do.
            found = self._transaction(lambda connection: self._known_revision(connection, script))
            if found != script.get_current_head():
                self._transaction(lambda connection: upgrade(connection, script), writes=True)

        self._in_bounds("opening", look_and_upgrade)

    def close(self) -> None:
        """Let the engine go; no connection is open between pieces of work."""
        self._engine.dispose()

    def _in_bounds(self, doing: str, work: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._timeout

        def until_the_deadline() -> T:
            self._of_thread.deadline = deadline
            return self._repeated(work)

        try:
            return _in_time(until_the_deadline, self._timeout + GRACE_SECONDS)
        except CIError:
            raise
        except _NoAnswer:
            raise self._failed(doing, TimeoutError(f"no answer within {self._timeout:g} s")) from None
        except Exception as error:  # whatever a driver raises: the history must not change what a run ends with
            raise self._failed(doing, error) from None

    def _repeated(self, work: Callable[[], T]) -> T:
        while True:
            try:
                return work()
            except DBAPIError as error:
                if not _another_came_between(error) or self._left() <= SHORTEST:
                    raise
            time.sleep(random.uniform(0.01, 0.1))

    def _transaction(self, work: Callable[[Connection], T], *, writes: bool = False) -> T:
        one_state = {} if writes or self._sqlite else {"isolation_level": "REPEATABLE READ"}
        with self._turn(writes), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: writes}, **one_state)
            with connection.begin():
                self._limit(connection)
                return work(connection)

    @contextlib.contextmanager
    def _turn(self, writes: bool) -> Iterator[None]:
        """Writers of one SQLite file in the order in which they came.

        SQLite itself looks for its lock at growing distances: among many writers, who waits long waits longer still.
        """
        with contextlib.ExitStack() as stack:
            if writes and self._file is not None:
                # Without it (a folder that cannot be written to, a file system without locks) SQLite's lock is enough.
                with contextlib.suppress(OSError):
                    file = stack.enter_context(open(f"{self._file}-turn", "ab"))
                    fcntl.flock(file, fcntl.LOCK_EX)
                if self._left() <= SHORTEST:
                    raise _NoAnswer
            yield

    def _left(self) -> float:
        """Seconds of this thread's piece of work; never nothing, which a driver would take for no limit."""
        return float(max(self._of_thread.deadline - time.monotonic(), SHORTEST))

    def _make_engine(self, url: URL) -> Engine:
        if self._sqlite:
            _refuse_memory(url)
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)

        @event.listens_for(engine, "do_connect")
        def limit(dialect: Any, record: Any, arguments: Any, parameters: dict[str, Any]) -> None:
            parameters.update(_limits(engine, self._left()))

        if self._sqlite:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _limit(self, connection: Connection) -> None:
        """What the server must keep to; within the transaction, which a pooler between us hands on as it is."""
        milliseconds = math.ceil(self._left() * 1000)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {milliseconds}")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds + 200}")
        elif connection.dialect.name == "mysql":
            connection.exec_driver_sql(f"SET SESSION innodb_lock_wait_timeout = {math.ceil(self._left())}")

    def _known_revision(self, connection: Connection, script: ScriptDirectory) -> str | None:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        found = context.get_current_revision()
        known = [step.revision for step in script.walk_revisions()]
        if found is not None and found not in known:
            raise HistoryFailed(
                f"the history at {self._shown} has schema {found[:40]}, which openstack-driver-ci {__version__} does "
                f"not know: the newest that it knows is {known[0]}.",
                next_step="install the newer version that has used this history, or name another one in history.url.",
            )
        return found

    def _failed(self, doing: str, error: Exception) -> HistoryFailed:
        said = self._masked(str(error.orig if isinstance(error, DBAPIError) else error))
        # The first line says it; what follows is a hint or the statement, but for a list of what was tried.
        first = said.strip().partition("\n")[0]
        said = " ".join((said if first.endswith(":") else first).split())[:LONGEST_REASON].rstrip(".")
        said = said or type(error).__name__
        advice = next((text for pattern, text in _ADVICE if re.search(pattern, said, re.IGNORECASE)), ADVICE_ELSE)
        return HistoryFailed(f"{doing} the history at {self._shown} failed: {said}.", next_step=advice)

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


def _in_time(work: Callable[[], T], seconds: float) -> T:
    """``work`` in a thread that is left behind when the time is up.

    A name server, a stopped database server and a network file system can each hold a call for ever, and no option
    of a driver covers all of them. Raises _NoAnswer then.
    """
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put((True, work()))
        except BaseException as error:
            answers.put((False, error))

    threading.Thread(target=call, name="history", daemon=True).start()
    try:
        good, answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise _NoAnswer from None
    if not good:
        raise answer
    result: T = answer
    return result


def _limits(engine: Engine, seconds: float) -> dict[str, Any]:
    """Arguments of the driver for opening a connection."""
    if engine.dialect.name == "sqlite":
        return {"timeout": seconds}
    whole = math.ceil(seconds)
    if engine.driver == "pymysql":
        return {"connect_timeout": whole, "read_timeout": whole, "write_timeout": whole}
    return {"connect_timeout": whole}


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # The driver must not begin transactions by itself: what is going to write has to say so at once (_begin_sqlite).
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # Readers and the writer do not wait for each other then. Kept in the file.
    connection.execute("PRAGMA journal_mode = WAL").close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once with "database is locked" where another has
    # written in between, whatever the time-out (sqlite.org/lang_transaction.html).
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _lock(connection: Connection, seconds: float) -> None:
    """One migrates, the others wait. SQLite's transaction is the lock already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK_NUMBER})")
    elif connection.dialect.name == "mysql":
        # Given back when the connection is closed.
        taken = connection.exec_driver_sql(f"SELECT GET_LOCK('{LOCK_NAME}', {math.ceil(seconds)})").scalar()
        if taken != 1:
            raise TimeoutError("lock timeout: another process is migrating it")


def _another_came_between(error: DBAPIError) -> bool:
    if isinstance(error, IntegrityError):
        # The same run or test was written first by another: it is found when asked for again.
        return True
    state = getattr(error.orig, "sqlstate", None)
    return state in _TRY_AGAIN or (state is None and bool(_LOCKED.search(str(error.orig))))


def _is_uri(url: URL) -> bool:
    return str(url.database).startswith("file:")


def _refuse_memory(url: URL) -> None:
    if url.database in (None, "", ":memory:", "file::memory:") or url.query.get("mode") == "memory":
        raise HistoryFailed(
            "history.url names a SQLite database in memory, which ends with this command.",
            next_step="name a file: sqlite:///history.sqlite.",
        )


def _secrets(url: URL) -> tuple[str, ...]:
    """The password in every form in which an error may quote it, longest first."""
    query = url.query.get("password", ())
    plain = {str(url.password or ""), *((query,) if isinstance(query, str) else query)}
    forms = {form for text in plain for form in (text, urllib.parse.quote(text), urllib.parse.quote_plus(text))}
    forms |= {repr(text)[1:-1] for text in plain} | {urllib.parse.quote(text, safe="") for text in plain}
    return tuple(sorted(filter(None, forms), key=lambda form: (-len(form), form)))
