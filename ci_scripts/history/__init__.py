"""The record of earlier runs: where it is, and opening it. On the trusted side only.

SQLAlchemy and Alembic are an extra that nodes do not have; they are imported when the history is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ci_scripts.credentials import NoPassword, read_password
from ci_scripts.history.records import ControlRecord, HistoryFailed, OtherFailure, ReportClaim, RunRecord, Snapshot

if TYPE_CHECKING:
    from sqlalchemy import URL

    from ci_scripts.history.verbs import History
    from ci_scripts.settings_model import Settings

__all__ = [
    "ControlRecord",
    "HistoryFailed",
    "OtherFailure",
    "ReportClaim",
    "RunRecord",
    "Snapshot",
    "history_url",
    "open_history",
]

DEFAULT_FILE = "history.sqlite"


def history_url(settings: Settings, environment: Mapping[str, str]) -> URL:
    """The database's URL with its password; by default a SQLite file in ``cache_dir``.

    A SQLite file with a relative path is beside ci.yaml. ``str`` of it hides the password.

    Raises HistoryFailed when the password is missing, or SQLAlchemy is.
    """
    try:
        from sqlalchemy import URL, make_url
        from sqlalchemy.exc import ArgumentError
    except ImportError as error:
        raise _not_installed(error) from error
    if settings.history.url is None:
        return URL.create("sqlite", database=str(settings.cache_dir / DEFAULT_FILE))
    try:
        url = make_url(settings.history.url)
    except (ArgumentError, ValueError):
        # Not the exception's own words: they may quote the URL.
        raise HistoryFailed(
            "history.url cannot be read as a URL.",
            next_step="write it as postgresql+psycopg://user@host:port/name or sqlite:///path.",
        ) from None
    if url.drivername == "sqlite" and url.database and not url.database.startswith((":", "file:")):
        url = url.set(database=str(settings.config_path.parent / url.database))
    if url.drivername == "postgresql":
        # SQLAlchemy 2.0 would look for psycopg2; the extra brings psycopg.
        url = url.set(drivername="postgresql+psycopg")
    password = _password(settings, environment)
    return url if password is None else url.set(password=password)


def open_history(url: URL, *, timeout: float) -> History:
    """Connect, and bring the tables to the newest schema; many processes may do so at once. A context manager.

    ``timeout`` in seconds is for each verb, opening included.

    Raises HistoryFailed, also for a schema that is newer than this version knows.
    """
    try:
        from ci_scripts.history.verbs import open_at
    except ImportError as error:
        raise _not_installed(error) from error
    return open_at(url, timeout)


def _password(settings: Settings, environment: Mapping[str, str]) -> str | None:
    try:
        return read_password(settings.history, environment)
    except NoPassword as error:
        raise HistoryFailed(
            f"the history's password is not there: {error}.",
            next_step=f"provide it on the trusted side, or correct history.{error.key}.",
        ) from None


def _not_installed(error: ImportError) -> HistoryFailed:
    return HistoryFailed(
        f"the history needs a package that is not installed: {error.name or error}.",
        next_step="install openstack-driver-ci[trusted] on the trusted side.",
    )
