"""Moments as an operator writes them: in UTC, or so long ago. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ci_scripts.errors import ConfigurationError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGO = re.compile(r"([0-9]{1,6})\s*(s|m|h|d|w|sec|min|(?:second|minute|hour|day|week)s?)(?:\s+ago)?", re.I)


def moment(text: str, now: datetime, what: str) -> datetime:
    """The moment that ``text`` names: ``2026-01-31``, ``2026-01-31T12:00Z``, ``2 hours ago``, ``90m``, ``yesterday``.

    Without an offset it is UTC; a day is its beginning. ``what`` is the option, for the error.

    Raises ConfigurationError.
    """
    said = text.strip()
    if said.lower() in ("now", "today", "yesterday"):
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}[said.lower()]
    try:
        if ago := AGO.fullmatch(said):
            return now - timedelta(**{UNITS[ago.group(2)[0].lower()]: int(ago.group(1))})
        found = datetime.fromisoformat(said.upper().replace("UTC", "Z").replace(" Z", "Z"))
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{what} {ascii(text[:60])} is no moment.",
            next_step="write it in UTC as 2026-01-31T12:00Z, or as '2 hours ago'.",
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
