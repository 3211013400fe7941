"""Records of the history as rows of its tables, cleaned and within bounds: a node chose the names. No database here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from ci_scripts.history.records import RunRecord, Snapshot

MOST_TESTS = 20_000
MOST_PARTS = 10_000
MOST_CHANGES = 200
LONGEST_TEST = 500
LONGEST_VALUE = 1_000
LONGEST = {
    "run_id": 100,
    "of_run": 100,
    "job": 200,
    "branch": 300,
    "project": 300,
    "change_number": 20,
    "patch_set": 20,
    "pipeline": 100,
    "gate_kind": 30,
    "role": 10,
    "outcome": 30,
    "blame": 10,
    "rule": 100,
}
_WORST_FIRST = ("failed", "incomplete", "passed", "skipped")


@dataclass(frozen=True)
class TestRow:
    """What became of one test in one run."""

    __test__ = False

    name: str
    status: str
    seconds: float | None
    flaky: bool


def kept(text: str, limit: int) -> str:
    """Text as every database takes it: PostgreSQL knows no NUL, and a lone surrogate is not UTF-8."""
    return text[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def kept_as(column: str, text: str) -> str:
    """A text for, or to be compared with, a column of the runs."""
    return kept(text, LONGEST[column])


def kept_test(test_id: str) -> str:
    """A test's id as it is kept; one that is too long keeps its beginning and what tells it from others."""
    if len(test_id) > LONGEST_TEST:
        end = hashlib.sha256(test_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        test_id = f"{test_id[: LONGEST_TEST - 20]}... {end}"
    return kept(test_id, LONGEST_TEST)


def digest_of(test_id: str) -> str:
    """By which a test is found."""
    return hashlib.sha256(kept_test(test_id).encode()).hexdigest()


def run_row(run: RunRecord) -> dict[str, Any]:
    """The row of the run itself."""
    texts = {name: getattr(run, "change" if name == "change_number" else name) for name in LONGEST}
    row: dict[str, Any] = {name: None if text is None else kept_as(name, text) for name, text in texts.items()}
    return {**row, "time": run.time, "seconds": _finite(run.seconds), "probes_green": run.probes_green}


def change_rows(run: RunRecord) -> list[dict[str, Any]]:
    """Every change whose code the run held; a control is made without the one it is made for."""
    own = [(run.project, run.change)] if run.change is not None and run.role == "change" else []
    pairs = {(kept(project, 300), kept(number, 20)) for project, number in (*own, *run.also[:MOST_CHANGES])}
    return [{"project": project, "number": number} for project, number in sorted(pairs)]


def test_rows(run: RunRecord) -> tuple[dict[str, TestRow], int]:
    """One row a test by its digest, and how many were left out beyond the bound: the worst outcomes stay."""
    flaky = set(run.flaky)
    rows: dict[str, TestRow] = {}
    for test_id, status, seconds in sorted(run.tests, key=lambda test: _badness(test[1])):
        # A test that ran twice counts by its worse outcome, which comes first.
        row = TestRow(kept_test(test_id), kept(status, 10), _finite(seconds), test_id in flaky)
        rows.setdefault(digest_of(test_id), row)
    return dict(islice(rows.items(), MOST_TESTS)), max(0, len(rows) - MOST_TESTS)


def part_rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    """What the run was made of, one package, checkout or setting a row."""
    rows: dict[tuple[str, str, str], str] = {}
    for what, environment, name, value in _parts(snapshot):
        rows.setdefault((what, kept(environment, 50), kept(name, 200)), kept(value, LONGEST_VALUE))
    return [
        {"what": what, "environment": environment, "name": name, "value": value}
        for (what, environment, name), value in islice(rows.items(), MOST_PARTS)
    ]


def snapshot_of(run_id: str, time: datetime, rows: Iterable[Any]) -> Snapshot:
    """A snapshot from its rows: what, environment, name and value."""
    packages: dict[str, dict[str, str]] = {}
    commits: dict[str, str] = {}
    python: dict[str, str] = {}
    settings: dict[str, str] = {}
    kernel = None
    for what, environment, name, value in rows:
        if what == "package":
            packages.setdefault(environment, {})[name] = value
        elif what == "checkout":
            commits[name] = value
        elif what == "python":
            python[environment] = value
        elif what == "setting":
            settings[name] = value
        elif what == "kernel":
            kernel = value
    return Snapshot(run_id, time, packages, commits, python, kernel, settings)


def _parts(snapshot: Snapshot) -> Iterator[tuple[str, str, str, str]]:
    yield from (("checkout", "", project, commit) for project, commit in snapshot.commits.items())
    yield from (("python", environment, "python", version) for environment, version in snapshot.python.items())
    if snapshot.kernel is not None:
        yield "kernel", "", "kernel", snapshot.kernel
    yield from (("setting", "", name, value) for name, value in snapshot.settings.items())
    for environment, packages in snapshot.packages.items():
        yield from (("package", environment, name, version) for name, version in packages.items())


def _badness(status: str) -> int:
    return _WORST_FIRST.index(status) if status in _WORST_FIRST else len(_WORST_FIRST)


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None
