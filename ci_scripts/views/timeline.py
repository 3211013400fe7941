"""The time line of stages and workers, as coordinates for the template."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.run_facts import TESTING, moment_of
from ci_scripts.views.clean_text import duration, for_markup
from ci_scripts.views.run_report import RunReport

LEFT = 170.0
WIDTH = 1000.0
LANE = 22
TOP = 26
MAX_BARS = 3000
MAX_WORKERS = 64
TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
# A clock that was set while the run was on must not stretch the line over years.
LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Bar:
    """A span in a lane; ``kind`` is a status or ``stage``."""

    x: float
    width: float
    kind: str
    title: str


@dataclass(frozen=True)
class Lane:
    """A named row of bars."""

    name: str
    y: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Timeline:
    """Lanes, ticks (place and label) and the height of the drawing."""

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    height: int
    started: str


Span = tuple[datetime, datetime, str, str]


def timeline(report: RunReport) -> Timeline | None:
    """The time line of a run, or None if nothing has a time."""
    rows = [*_stage_rows(report), *_worker_rows(report.tests.tests)]
    spans = [span for _, row in rows for span in row]
    if not spans:
        return None
    start = min(span[0] for span in spans)
    end = max(span[1] for span in spans)
    total = max((end - start).total_seconds(), 0.001)
    if end - start > LONGEST:
        return None
    scale = (WIDTH - LEFT) / total
    lanes = []
    for index, (name, row) in enumerate(rows):
        bars = tuple(
            Bar(
                round(LEFT + (begun - start).total_seconds() * scale, 2),
                max(round((ended - begun).total_seconds() * scale, 2), 0.8),
                kind,
                title,
            )
            for begun, ended, kind, title in row
        )
        lanes.append(Lane(name, TOP + index * LANE, bars))
    ticks = _ticks(total, scale)
    return Timeline(tuple(lanes), ticks, TOP + len(rows) * LANE + 4, f"{start:%Y-%m-%d %H:%M:%S} UTC")


def seconds_between(begun: str | None, ended: str | None) -> float | None:
    """Seconds between two times of a file, None if one of them is none."""
    first, last = moment_of(begun), moment_of(ended)
    return (last - first).total_seconds() if first and last and last >= first else None


def _stage_rows(report: RunReport) -> list[tuple[str, list[Span]]]:
    rows = []
    for stage in report.facts.stages:
        begun, ended = moment_of(stage.started), moment_of(stage.ended)
        if begun is None or ended is None or ended < begun:
            continue
        kind = "stage" if stage.exit_code == 0 or stage.name in TESTING else "stage-failed"
        title = for_markup(f"{stage.name}: {duration((ended - begun).total_seconds())}, exit code {stage.exit_code}")
        rows.append((for_markup(stage.name), [(begun, ended, kind, title)]))
    return rows


def _worker_rows(tests: tuple[TestOutcome, ...]) -> list[tuple[str, list[Span]]]:
    rows: dict[str, list[Span]] = {}
    timed = [test for test in tests if test.started is not None and test.seconds is not None]
    if len(timed) > MAX_BARS:
        # The longest say most about the time; all failures stay.
        timed.sort(key=lambda test: (test.status != "failed", -(test.seconds or 0)))
        timed = timed[:MAX_BARS]
    for test in timed:
        if test.started is None or test.seconds is None:
            continue
        row = rows.setdefault(for_markup(test.worker or "tests")[:24], [])
        title = for_markup(f"{test.id[-100:]}: {test.status}, {duration(test.seconds)}")
        begun = test.started.astimezone(UTC)
        row.append((begun, begun + timedelta(seconds=min(test.seconds, 1e6)), test.status, title))
    return sorted(rows.items(), key=lambda row: (len(row[0]), row[0]))[:MAX_WORKERS]


def _ticks(total: float, scale: float) -> tuple[tuple[float, str], ...]:
    step = next((tick for tick in TICKS if total / tick <= 8), TICKS[-1])
    ticks = []
    for index in range(int(total // step) + 1):
        minutes, seconds = divmod(index * step, 60)
        label = f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if total >= 3600 else f"{minutes}:{seconds:02d}"
        ticks.append((round(LEFT + index * step * scale, 1), label))
    return tuple(ticks)
