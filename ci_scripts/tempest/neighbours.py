"""Which tests a rerun needs, and on which worker: a failed test alone, or with those that ran beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ci_scripts.tempest.checks import PREFIX
from ci_scripts.tempest.crew import Part
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.rerun_facts import is_behind
from ci_scripts.verdict.tests_file import FIXTURE, class_of


def shard_of(worker: str | None, shards: int) -> int:
    """Workers take the shards in turn (see tempest_run): worker-3 of two shards was on shard 1."""
    number = (worker or "").rpartition("-")[2]
    return int(number) % shards if number.isdecimal() else 0


def alone(failed: Sequence[TestOutcome], selected: Iterable[str], shards: int) -> tuple[Part, ...]:
    """The failed tests, each on the shard where it failed; for a class fixture all tests of its class.

    A part for each shard. They are to be run one at a time, so that nothing else is asked of the gate meanwhile.
    """
    wanted = list(selected)
    of_shard: dict[int, list[str]] = {}
    # What is torn down after a test that failed shows again when that test does: the others of its class need not run.
    owners = {class_of(test.id)[0] for test in failed if FIXTURE.match(test.id) is None}
    for test in failed:
        if test.id.startswith("tearDown") and class_of(test.id)[0] in owners:
            continue
        tests = of_shard.setdefault(shard_of(test.worker, shards), [])
        tests += [name for name in _tests_behind(test.id, wanted) if name not in tests]
    return tuple(Part(f"worker-{shard}", shard, tuple(tests)) for shard, tests in sorted(of_shard.items()) if tests)


def with_neighbours(
    suspects: Iterable[str], tests: Sequence[TestOutcome], selected: Iterable[str], shards: int
) -> tuple[Part, ...]:
    """The classes of the suspects with all that ran while they did, on the same workers and in the same order.

    A class that could not be set up has no times: as many tests of each other worker stand for its neighbours.
    """
    wanted = list(selected)
    known = [test for test in tests if test.worker and not test.id.startswith(PREFIX)]
    timed = sorted((test for test in known if test.started), key=lambda test: _times(test)[0])
    owners = {class_of(name)[0] for name in suspects}
    windows = [_window([test for test in timed if class_of(test.id)[0] == owner]) for owner in owners]
    of_worker: dict[str, list[str]] = {}
    for test in (*(test for test in known if class_of(test.id)[0] in owners), *timed):
        start, end = _times(test)
        beside = any(start <= last and first <= end for first, last in windows)
        if beside or class_of(test.id)[0] in owners:
            part = of_worker.setdefault(test.worker or "", [])
            part += [name for name in _tests_behind(test.id, wanted) if name not in part]
    for owner in owners - {class_of(test.id)[0] for test in timed}:
        size = sum(class_of(name)[0] == owner for name in wanted)
        for worker in {test.worker or "" for test in timed} - set(of_worker):
            theirs = [test.id for test in timed if test.worker == worker and test.id in wanted]
            of_worker[worker] = theirs[: 2 * size]
    return tuple(
        Part(worker, shard_of(worker, shards), tuple(part)) for worker, part in sorted(of_worker.items()) if part
    )


def as_it_was(tests: Sequence[TestOutcome], selected: Iterable[str], shards: int) -> tuple[Part, ...]:
    """All selected tests on the workers that they had; what nobody ran is left to the first worker."""
    wanted = list(selected)
    worker_of = {test.id: test.worker or "" for test in tests}
    of_class = {class_of(test.id)[0]: test.worker or "" for test in tests}
    of_worker: dict[str, list[str]] = {}
    for name in wanted:
        if not name.startswith(PREFIX):
            worker = worker_of.get(name) or of_class.get(class_of(name)[0]) or "worker-0"
            of_worker.setdefault(worker, []).append(name)
    return tuple(Part(worker, shard_of(worker, shards), tuple(part)) for worker, part in sorted(of_worker.items()))


def _tests_behind(test_id: str, selected: Sequence[str]) -> list[str]:
    if FIXTURE.match(test_id) is None:
        return [test_id] if test_id in selected else []
    return [name for name in selected if is_behind(test_id, name)]


def _window(tests: Sequence[TestOutcome]) -> tuple[float, float]:
    times = [_times(test) for test in tests]
    return min((start for start, _ in times), default=0.0), max((end for _, end in times), default=-1.0)


def _times(test: TestOutcome) -> tuple[float, float]:
    start = test.started.timestamp() if test.started else 0.0
    # What began and has no end ran until the run was stopped.
    return start, math.inf if test.status == "incomplete" else start + (test.seconds or 0.0)
