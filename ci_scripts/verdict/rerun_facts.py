"""What reruns showed: logs/reruns/reruns.json and the stream of each round."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ci_scripts.verdict.outcomes import MAX_ID, MAX_OUTCOMES
from ci_scripts.verdict.read_stream import read_stream
from ci_scripts.verdict.tests_file import FIXTURE, NEVER_STARTED, TestsReport, class_of, compare
from ci_scripts.verdict.untrusted_file import read_object

FILE = PurePosixPath("logs/reruns/reruns.json")
MODES = ("alone", "neighbours", "all")
MAX_ROUNDS = 100


@dataclass(frozen=True)
class RoundFact:
    """One round: ``ended`` is None where it did not live to say so, ``problem`` what kept it from its end."""

    name: str
    mode: str
    started: str | None
    ended: str | None
    problem: str | None
    stream: str
    tests: TestsReport


def read_rounds(root: Path) -> tuple[tuple[RoundFact, ...], tuple[str, ...]]:
    """The rounds of a workspace in their order, and what cannot be read. Never raises on account of a file."""
    try:
        data = read_object(root / FILE, inside=root)
    except (FileNotFoundError, NotADirectoryError):
        return (), ()
    except (OSError, ValueError) as error:
        return (), (f"{FILE} cannot be read: {error}",)
    entries = data.get("rounds")
    rounds: list[RoundFact] = []
    problems: list[str] = []
    for entry in entries[:MAX_ROUNDS] if isinstance(entries, list) else ():
        try:
            rounds.append(_round(root, entry))
        except (KeyError, TypeError, ValueError) as error:
            problems.append(f"{FILE} holds a round that cannot be used: {error!r}")
    return tuple(rounds), tuple(problems)


def status_in(report: TestsReport, test_id: str) -> str | None:
    """passed, failed, skipped or incomplete; None where the test was never come to. A fixture passed if its tests ran.

    A test whose class could not be set up has that outcome.
    """
    found: set[str] = {test.status for test in report.tests if test.id == test_id and test.reason != NEVER_STARTED}
    if not found and FIXTURE.match(test_id):
        return _status_of_fixture(report, test_id)
    found |= {entry.status for entry in report.not_run if entry.id == test_id}
    return next((status for status in ("failed", "incomplete", "passed", "skipped") if status in found), None)


def _status_of_fixture(report: TestsReport, test_id: str) -> str | None:
    inside = [test for test in report.tests if is_behind(test_id, test.id)]
    if not inside or any(test.reason == NEVER_STARTED for test in inside):
        return None
    return "incomplete" if any(test.status == "incomplete" for test in inside) else "passed"


def is_behind(fixture_id: str, test_id: str) -> bool:
    """Whether a test is of the class, or of the module, that a fixture sets up."""
    fixture = FIXTURE.match(fixture_id)
    if fixture is None:
        return False
    owner = class_of(test_id)[0]
    return owner == fixture.group(2) or ("Module" in fixture.group(1) and owner.startswith(f"{fixture.group(2)}."))


def passed_in(report: TestsReport, test_id: str) -> bool:
    """Whether the test ran there and passed."""
    return status_in(report, test_id) == "passed"


def _round(root: Path, entry: dict[str, Any]) -> RoundFact:
    stream, mode, selected = entry["stream"], entry["mode"], entry["selected"]
    if mode not in MODES:
        raise ValueError(f"unknown mode {str(mode)[:20]!r}")
    if not isinstance(stream, str) or not isinstance(selected, list) or len(selected) > MAX_OUTCOMES:
        raise ValueError("stream or selected is missing")
    ids = [test[:MAX_ID] for test in selected if isinstance(test, str)]
    report = compare(read_stream(root / stream, inside=root), ids)
    return RoundFact(
        name=str(entry["name"])[:100],
        mode=mode,
        started=_text(entry.get("started")),
        ended=_text(entry.get("ended")),
        problem=_text(entry.get("problem")),
        stream=stream[:300],
        tests=report,
    )


def _text(value: object) -> str | None:
    return value[:1000] if isinstance(value, str) and value else None
