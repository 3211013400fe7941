"""Moments as an operator writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.moments import moment

NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=UTC)),
        ("2026-01-30T11:00", datetime(2026, 1, 30, 11, tzinfo=UTC)),
        ("2026-01-30T11:00Z", datetime(2026, 1, 30, 11, tzinfo=UTC)),
        ("2026-01-30 11:00:05 UTC", datetime(2026, 1, 30, 11, 0, 5, tzinfo=UTC)),
        ("2026-01-30T11:00+02:00", datetime(2026, 1, 30, 9, tzinfo=UTC)),
        ("2 hours ago", NOW - timedelta(hours=2)),
        ("1 day ago", NOW - timedelta(days=1)),
        ("90m", NOW - timedelta(minutes=90)),
        ("45 min", NOW - timedelta(minutes=45)),
        ("3 weeks ago", NOW - timedelta(weeks=3)),
        ("yesterday", datetime(2026, 1, 30, tzinfo=UTC)),
        ("today", datetime(2026, 1, 31, tzinfo=UTC)),
        ("now", NOW),
    ],
)
def test_moments(text: str, expected: datetime) -> None:
    assert moment(text, NOW, "--since") == expected


@pytest.mark.parametrize("text", ["", "soon", "-2 hours ago", "2 months ago", "2026-13-01", "999999w", "\x1b[2J"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--since .* is no moment") as raised:
        moment(text, NOW, "--since")
    assert "\x1b" not in str(raised.value)
