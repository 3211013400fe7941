"""tests.json: every outcome of the stream, and what became of the selected tests that have none.

How a fixture shows in a stream was found by running stestr's runner: a ``setUpClass`` (or ``setUpModule``)
that fails or raises ``skipException``, as Tempest's ``skip_checks`` does, is one outcome named
``setUpClass (module.Class)``, and the tests of the class are never mentioned. A class under
``@unittest.skip`` has one outcome per test.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from ci_scripts.errors import InfrastructureError
from ci_scripts.verdict.outcomes import MAX_ID, MAX_OUTCOMES, Status, TestOutcome
from ci_scripts.verdict.read_stream import StreamContent
from ci_scripts.verdict.untrusted_file import read_object, read_text

SCHEMA = 1
MAX_SELECTION = 32 * 1024 * 1024
MAX_TEXT = 64 * 1024 * 1024
FIXTURE = re.compile(r"(setUpClass|setUpModule|tearDownClass|tearDownModule) \((.+)\)\Z")
_T = TypeVar("_T")
NEVER_STARTED = "selected, but the stream says nothing about it"


@dataclass(frozen=True)
class NotRun:
    """A selected test that has no outcome of its own because the fixture of its class has one."""

    id: str
    fixture: str
    status: Literal["failed", "skipped"]


@dataclass(frozen=True)
class TestsReport:
    """The tests of a run. ``selected`` is None where nobody wrote down which tests were to run."""

    __test__ = False

    stream: StreamContent
    tests: tuple[TestOutcome, ...]
    selected: int | None
    not_run: tuple[NotRun, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Outcomes by status, in all, and how many tests their class's fixture kept from running."""
        found = Counter(test.status for test in self.tests)
        counts = {str(status): found[status] for status in get_args(Status)}
        return {"total": len(self.tests), **counts, "not_run": len(self.not_run)}

    def with_status(self, status: Status) -> list[TestOutcome]:
        """The outcomes of one status, in the order of the stream."""
        return [test for test in self.tests if test.status == status]


def compare(stream: StreamContent, selected: Iterable[str] | None) -> TestsReport:
    """Set the outcomes of a stream against the tests that were selected.

    A selected test without an outcome is covered by the fixture of its class or module, or else becomes an
    ``incomplete`` outcome.
    """
    if selected is None:
        return TestsReport(stream, tuple(stream.tests), None)
    wanted = list(dict.fromkeys(selected))
    seen = {test.id for test in stream.tests}
    fixtures = _fixtures(stream.tests)
    missing: list[TestOutcome] = []
    not_run: list[NotRun] = []
    for test_id in wanted:
        if test_id in seen:
            continue
        covered = _covered(test_id, fixtures)
        if covered is None:
            missing.append(TestOutcome(test_id, "incomplete", reason=NEVER_STARTED))
        else:
            not_run.append(covered)
    known = set(wanted)
    others = [test for test in seen - known if not FIXTURE.match(test) and not test.startswith("checks.")]
    problems = []
    if others:
        problems.append(f"{len(others)} tests of the stream were not selected, one: {ascii(min(others))}")
    return TestsReport(stream, (*stream.tests, *missing), len(wanted), tuple(not_run), tuple(problems))


def read_selection(path: Path, *, inside: Path | None = None) -> list[str] | None:
    """Ids from logs/selected-tests.txt, one a line; None if the file is missing, a link, empty or too large."""
    try:
        text, more = read_text(path, limit=MAX_SELECTION, inside=inside)
    except OSError:
        return None
    ids = [line.strip() for line in text.splitlines() if line.strip()]
    # An empty selection cannot say that all of it ran.
    return None if more else ids or None


def class_of(test_id: str) -> tuple[str, str]:
    """Class and name of a test; attributes like ``[id-...,smoke]`` stay with the name."""
    fixture = FIXTURE.match(test_id)
    if fixture:
        return fixture.group(2), fixture.group(1)
    # Scenarios put dots into brackets: module.Class.test_x(a.b)[id-1].
    dotted = re.split(r"[\[(]", test_id, maxsplit=1)[0]
    cut = dotted.rfind(".")
    return (test_id[:cut], test_id[cut + 1 :]) if cut > 0 else ("", test_id)


def as_json(report: TestsReport) -> dict[str, Any]:
    """The content of tests.json."""
    return {
        "schema": SCHEMA,
        "stream": {
            "format": report.stream.format,
            "bytes": report.stream.bytes,
            "truncated": report.stream.truncated,
            "problems": [*report.stream.problems, *report.problems],
        },
        "selected": report.selected,
        "counts": report.counts,
        "not_run": [vars(test) for test in report.not_run],
        "tests": [{**vars(test), "started": utc_text(test.started) if test.started else None} for test in report.tests],
    }


def read_tests(path: Path, *, inside: Path | None = None) -> TestsReport:
    """Read a tests.json strictly.

    Raises InfrastructureError naming the file and what is wrong with it: another schema, a wrong type, an
    unknown status, too many tests or too long a text.
    """
    try:
        return _from_json(read_object(path, inside=inside))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InfrastructureError(
            f"{path} cannot be used: {error}.", next_step="run ci-summarize-results, which writes it, again."
        ) from error


def utc_text(moment: datetime) -> str:
    """ISO 8601 with microseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _fixtures(tests: Iterable[TestOutcome]) -> dict[tuple[bool, str], NotRun]:
    found: dict[tuple[bool, str], NotRun] = {}
    for test in tests:
        match = FIXTURE.match(test.id)
        if match is None or not match.group(1).startswith("setUp"):
            continue
        key = (match.group(1) == "setUpModule", match.group(2))
        # A class can be set up by several workers; one failure is enough to call its tests failed.
        if test.status == "failed" or (test.status == "skipped" and key not in found):
            found[key] = NotRun("", test.id, test.status)
    return found


def _covered(test_id: str, fixtures: dict[tuple[bool, str], NotRun]) -> NotRun | None:
    owner = class_of(test_id)[0]
    found = fixtures.get((False, owner)) or fixtures.get((True, owner.rpartition(".")[0]))
    return NotRun(test_id, found.fixture, found.status) if found else None


def _from_json(data: dict[str, Any]) -> TestsReport:
    if data["schema"] != SCHEMA or isinstance(data["schema"], bool):
        raise ValueError(f"schema {data['schema']!r} is not {SCHEMA}")
    stream = data["stream"]
    entries = _list(data["tests"], MAX_OUTCOMES)
    content = StreamContent(
        format=_string(stream["format"], 20),
        problems=[_string(problem, 1000) for problem in _list(stream["problems"], 200)],
        truncated=_typed(stream["truncated"], bool),
        bytes=_typed(stream["bytes"], int),
    )
    tests = tuple(_outcome(entry) for entry in entries)
    content.tests = [test for test in tests if test.reason != NEVER_STARTED]
    selected = data["selected"]
    not_run = []
    for entry in _list(data["not_run"], MAX_OUTCOMES):
        if entry["status"] not in ("failed", "skipped"):
            raise ValueError(f"unknown status {entry['status']!r}")
        test_id, fixture = _string(entry["id"], MAX_ID), _string(entry["fixture"], MAX_ID)
        not_run.append(NotRun(test_id, fixture, entry["status"]))
    return TestsReport(content, tests, None if selected is None else _typed(selected, int), tuple(not_run))


def _outcome(entry: dict[str, Any]) -> TestOutcome:
    if entry["status"] not in get_args(Status):
        raise ValueError(f"unknown status {entry['status']!r}")
    seconds = entry["seconds"]
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        raise ValueError(f"seconds {seconds!r} is no number")
    return TestOutcome(
        id=_string(entry["id"], MAX_ID),
        status=entry["status"],
        started=None if entry["started"] is None else datetime.fromisoformat(entry["started"]),
        seconds=seconds,
        worker=None if entry["worker"] is None else _string(entry["worker"], 100),
        reason=None if entry["reason"] is None else _string(entry["reason"], MAX_ID),
        text=None if entry["text"] is None else _string(entry["text"], MAX_TEXT),
    )


def _typed(value: object, kind: type[_T]) -> _T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ValueError(f"{value!r} is no {kind.__name__}")
    return value


def _string(value: object, limit: int) -> str:
    text = _typed(value, str)
    if len(text) > limit:
        raise ValueError(f"a text has {len(text)} characters, more than {limit}")
    return text


def _list(value: object, limit: int) -> list[Any]:
    entries: list[Any] = _typed(value, list)
    if len(entries) > limit:
        raise ValueError(f"a list has {len(entries)} entries, more than {limit}")
    return entries
