"""Who may report on a patch set now, so that reporters on several machines do not post at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, text, update

from ci_scripts.history.records import ReportClaim
from ci_scripts.history.rows import kept
from ci_scripts.history.tables import reports

LONGEST_PLACE = 400
LONGEST_HOLDER = 100
# The database's own clock in seconds since 1970.
_CLOCKS = {
    "sqlite": "SELECT CAST(strftime('%s', 'now') AS INTEGER)",
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) AS BIGINT)",
    "mysql": "SELECT unix_timestamp()",
}


def claim(connection: Connection, place: str, holder: str, stale_after: float) -> ReportClaim:
    """As `History.claim_report`. Of two that begin at once the later one is begun anew by the caller."""
    place, holder = kept(place, LONGEST_PLACE), kept(holder, LONGEST_HOLDER)
    now = _now(connection)
    found = connection.execute(select(reports).where(reports.c.place == place).with_for_update()).first()
    if found is None:
        connection.execute(insert(reports).values(place=place, holder=holder, claimed=now))
        return ReportClaim(True, holder, 0)
    runs = tuple((found.runs or "").split())
    age = now - found.claimed
    # A clock that was set back must not keep a claim for ever.
    if found.holder not in (None, holder) and 0 <= age < stale_after:
        return ReportClaim(False, found.holder, age, runs)
    connection.execute(update(reports).where(reports.c.id == found.id).values(holder=holder, claimed=now))
    return ReportClaim(True, holder, 0, runs)


def note(connection: Connection, place: str, runs: Iterable[str], message: str, vote: int) -> None:
    """As `History.note_report`."""
    place = kept(place, LONGEST_PLACE)
    values = {
        "holder": None,
        "claimed": _now(connection),
        "runs": kept(" ".join(sorted(runs)), 10_000),
        "message": kept(message, 100),
        "vote": vote,
    }
    if connection.execute(update(reports).where(reports.c.place == place).values(values)).rowcount == 0:
        connection.execute(insert(reports).values(place=place, **values))


def give_back(connection: Connection, place: str, holder: str) -> None:
    """As `History.give_back_report`."""
    own = (reports.c.place == kept(place, LONGEST_PLACE), reports.c.holder == kept(holder, LONGEST_HOLDER))
    connection.execute(update(reports).where(*own).values(holder=None))


def forget_reports(connection: Connection, moment: datetime) -> None:
    """Delete what was claimed before a moment."""
    connection.execute(delete(reports).where(reports.c.claimed < int(moment.timestamp())))


def _now(connection: Connection) -> int:
    clock = _CLOCKS.get(connection.dialect.name)
    return int(connection.execute(text(clock)).scalar_one()) if clock is not None else int(time.time())
