"""What the history is asked and told. Imports SQLAlchemy: opened through `history.open_history` only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import URL, ColumnElement, Connection, Select, Table, and_, delete, insert, or_, select
from sqlalchemy.dialects import postgresql

from ci_scripts.history.database import Database
from ci_scripts.history.records import ControlRecord, HistoryFailed, OtherFailure, ReportClaim, RunRecord, Snapshot
from ci_scripts.history.reporters import claim, forget_reports, give_back, note
from ci_scripts.history.rows import (
    TestRow,
    change_rows,
    digest_of,
    kept,
    kept_as,
    part_rows,
    run_row,
    snapshot_of,
    test_rows,
)
from ci_scripts.history.tables import OF_A_RUN, changes, outcomes, parts, runs, tests

# Failures of one test elsewhere that are worth knowing.
MOST_OTHERS = 20
# Variables of one statement; SQLite before 3.32 took 999.
AT_ONCE = 500
# Runs forgotten in one transaction, during which SQLite lets nobody else write.
FORGOTTEN_AT_ONCE = 50
GREEN = "SUCCESS"
# What a run is about: it stays when the run is recorded again.
OF_WHAT = ("role", "project", "change_number", "patch_set")
T = TypeVar("T")


def open_at(url: URL, timeout: float) -> History:
    """The history at ``url`` with the newest schema. Raises HistoryFailed."""
    database = Database(url, timeout)
    database.migrate()
    return History(database)


class History:
    """The record of earlier runs. Every verb raises HistoryFailed, and takes about the time-out at most."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def record(self, run: RunRecord) -> int:
        """Keep a run; what was kept under its run_id before is replaced. All of it or nothing.

        Returns how many outcomes were left out beyond the bound of a run (20,000), those that failed last of all.
        """
        rows, left_out = test_rows(run)
        self._database.write("writing to", lambda connection: _write(connection, run, rows))
        return left_out

    def last_green(self, job: str, branch: str, before: datetime, but_not: str) -> Snapshot | None:
        """What the newest run of this job and branch was made of that ended with SUCCESS before a moment.

        Changes and controls alike. ``but_not`` is a run id: that run and its controls do not count.
        """
        wanted = (*_of_job(job, branch), runs.c.outcome == GREEN, runs.c.time < before, *_not_of(but_not))
        entries = select(parts.c.what, parts.c.environment, parts.c.name, parts.c.value)

        def ask(connection: Connection) -> Snapshot | None:
            found = connection.execute(_newest(wanted)).first()
            if found is None:
                return None
            return snapshot_of(found.run_id, found.time, connection.execute(entries.where(parts.c.run == found.id)))

        return self._database.read("reading", ask)

    def same_failures(
        self,
        test_ids: Iterable[str],
        *,
        job: str,
        since: datetime,
        apart_from: Collection[tuple[str, str]],
        but_not: str,
        branch: str | None = None,
    ) -> dict[str, tuple[OtherFailure, ...]]:
        """Where these tests failed too since a moment, newest first; a test that failed nowhere else has no entry.

        ``apart_from`` are project and number of every change in this run, its dependencies included: a run that
        held one of them is related and left out, and so are the run ``but_not`` and its controls. One entry for each
        other change, one for each control; at most ``MOST_OTHERS`` for a test. Without ``branch`` all branches count.
        """
        asked = {digest_of(test_id): test_id for test_id in test_ids}
        wanted = [outcomes.c.status == "failed", outcomes.c.time >= since, runs.c.job == kept_as("job", job)]
        wanted += _not_of(but_not)
        if branch is not None:
            wanted.append(runs.c.branch == kept_as("branch", branch))
        if apart_from:
            related = select(changes.c.run).where(or_(*(_is_change(*change) for change in apart_from)))
            wanted.append(runs.c.id.not_in(related))

        def ask(connection: Connection) -> dict[str, tuple[OtherFailure, ...]]:
            found: dict[str, tuple[OtherFailure, ...]] = {}
            for digests in _batches(list(asked)):
                of_these = _failures(connection, (tests.c.digest.in_(digests), *wanted))
                found |= {asked[digest]: failures for digest, failures in of_these.items()}
            return found

        return self._database.read("reading", ask)

    def newest_control(self, job: str, branch: str, since: datetime, but_not: str = "") -> ControlRecord | None:
        """The newest control run of this job and branch since a moment, whatever its outcome.

        ``but_not`` is a run id: that run and its controls do not count.
        """
        wanted = (*_of_job(job, branch), runs.c.role == "control", runs.c.time >= since, *_not_of(but_not))
        results = select(tests.c.name, outcomes.c.status).join_from(outcomes, tests)

        def ask(connection: Connection) -> ControlRecord | None:
            found = connection.execute(_newest(wanted)).first()
            if found is None:
                return None
            rows = connection.execute(results.where(outcomes.c.run == found.id)).all()
            failed, passed = (frozenset(name for name, status in rows if status == one) for one in ("failed", "passed"))
            return ControlRecord(found.run_id, found.time, found.outcome, failed, passed, found.probes_green)

        return self._database.read("reading", ask)

    def claim_report(self, place: str, holder: str, stale_after: float) -> ReportClaim:
        """Ask to be the only one who reports at a place (a patch set, in a pipeline, on a server) for a while.

        Another's claim that is at least ``stale_after`` seconds old is taken over: its holder is taken for dead. The
        age is by the database's clock. The same holder may ask again.
        """
        return self._database.write("writing to", lambda connection: claim(connection, place, holder, stale_after))

    def note_report(self, place: str, runs: Iterable[str], message: str, vote: int) -> None:
        """Write down what was reported at a place: runs, the number of Gerrit's message, the vote. Ends the claim."""
        self._database.write("writing to", lambda connection: note(connection, place, runs, message, vote))

    def give_back_report(self, place: str, holder: str) -> None:
        """End a claim without a report. Nothing happens where it is another's by now."""
        self._database.write("writing to", lambda connection: give_back(connection, place, holder))

    def forget_before(self, moment: datetime) -> int:
        """Delete runs and reports before a moment with all that belongs to them; returns how many runs.

        In small steps, so that others can write meanwhile: what was deleted before an error stays deleted. SQLite
        uses the space again but gives none back to the disk.
        """
        old = select(runs.c.id).where(runs.c.time < moment).order_by(runs.c.time).limit(FORGOTTEN_AT_ONCE)
        in_use = select(outcomes.c.run).where(outcomes.c.test == tests.c.id).exists()

        def forget(connection: Connection) -> int:
            ids = list(connection.execute(old).scalars())
            _delete_runs(connection, ids)
            return len(ids)

        def forget_tests(connection: Connection) -> int:
            ids = list(connection.execute(select(tests.c.id).where(~in_use).limit(AT_ONCE)).scalars())
            connection.execute(delete(tests).where(tests.c.id.in_(ids)))
            return len(ids)

        count = 0
        while deleted := self._database.write("writing to", forget):
            count += deleted
        while self._database.write("writing to", forget_tests):
            pass
        self._database.write("writing to", lambda connection: forget_reports(connection, moment))
        return count


def _write(connection: Connection, run: RunRecord, rows: dict[str, TestRow]) -> None:
    row = run_row(run)
    _delete_runs(connection, _known_under(connection, row))
    made = connection.execute(insert(runs).values(row)).inserted_primary_key
    assert made is not None
    of_run = {"run": made[0]}
    _insert(connection, changes, [{**of_run, **entry} for entry in change_rows(run)])
    _insert(connection, parts, [{**of_run, **entry} for entry in part_rows(run.snapshot)])
    ids = _ids_of_tests(connection, rows)
    kept_rows = []
    for digest, test in rows.items():
        told = {"status": test.status, "seconds": test.seconds, "flaky": test.flaky}
        kept_rows.append({**of_run, "test": ids[digest], "time": run.time, **told})
    _insert(connection, outcomes, kept_rows)


def _known_under(connection: Connection, row: dict[str, Any]) -> list[int]:
    """The run that is kept under the same run_id. Raises HistoryFailed for one of another patch set.

    A node chooses its run_id, and one that chooses another's must not make that one's record its own.
    """
    known = connection.execute(select(runs).where(runs.c.run_id == row["run_id"])).all()
    for one in known:
        if any(getattr(one, name) != row[name] for name in OF_WHAT):
            raise HistoryFailed(
                f"the run {row['run_id']} is already kept, of {one.project} {one.change_number or 'without a change'}.",
                next_step="find out why two runs have one id; a node may have forged it.",
            )
    return [one.id for one in known]


def _ids_of_tests(connection: Connection, rows: dict[str, TestRow]) -> dict[str, int]:
    """The ids of all these tests; those that nobody had before are added."""
    # In one order for all writers, who would else wait for each other in a circle.
    digests = sorted(rows)
    ids = _known_tests(connection, digests)
    new = [{"digest": digest, "name": rows[digest].name} for digest in digests if digest not in ids]
    if new:
        # Another writer may add the same test meanwhile; SQLite has one writer.
        on_server = postgresql.insert(tests).on_conflict_do_nothing()
        connection.execute(on_server if connection.dialect.name == "postgresql" else insert(tests), new)
    return ids | _known_tests(connection, [entry["digest"] for entry in new])


def _known_tests(connection: Connection, digests: Sequence[str]) -> dict[str, int]:
    known = {}
    for some in _batches(digests):
        query = select(tests.c.digest, tests.c.id).where(tests.c.digest.in_(some))
        known.update({digest: number for digest, number in connection.execute(query)})
    return known


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _delete_runs(connection: Connection, ids: list[int]) -> None:
    if ids:
        for table in OF_A_RUN:
            connection.execute(delete(table).where(table.c.run.in_(ids)))
        connection.execute(delete(runs).where(runs.c.id.in_(ids)))


def _failures(connection: Connection, wanted: Iterable[ColumnElement[bool]]) -> dict[str, tuple[OtherFailure, ...]]:
    """By digest, newest first, the newest of each change only."""
    query = (
        select(tests.c.digest, outcomes.c.flaky, runs)
        .select_from(outcomes)
        .join(tests, tests.c.id == outcomes.c.test)
        .join(runs, runs.c.id == outcomes.c.run)
        .where(*wanted)
        .order_by(outcomes.c.time.desc(), runs.c.id.desc())
    )
    found: dict[str, dict[tuple[str, str], OtherFailure]] = {}
    for row in connection.execute(query):
        of_test = found.setdefault(row.digest, {})
        control = row.role == "control"
        key = (row.project, row.change_number) if row.change_number and not control else ("", row.run_id)
        if key not in of_test and len(of_test) < MOST_OTHERS:
            of_test[key] = OtherFailure(
                row.run_id,
                row.time,
                row.role,
                row.project,
                None if control else row.change_number,
                None if control else row.patch_set,
                row.outcome,
                row.blame,
                row.flaky,
            )
    return {digest: tuple(failures.values()) for digest, failures in found.items()}


def _newest(wanted: Iterable[ColumnElement[bool]]) -> Select[Any]:
    return select(runs).where(*wanted).order_by(runs.c.time.desc(), runs.c.id.desc()).limit(1)


def _of_job(job: str, branch: str) -> tuple[ColumnElement[bool], ...]:
    return runs.c.job == kept_as("job", job), runs.c.branch == kept_as("branch", branch)


def _not_of(run_id: str) -> list[ColumnElement[bool]]:
    own = kept_as("run_id", run_id)
    return [runs.c.run_id != own, or_(runs.c.of_run.is_(None), runs.c.of_run != own)]


def _is_change(project: str, number: str) -> ColumnElement[bool]:
    return and_(changes.c.project == kept(project, 300), changes.c.number == kept(number, 20))


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), AT_ONCE):
        yield values[start : start + AT_ONCE]
