"""Runs to keep in a history, and processes that write many of them at once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from sqlalchemy import URL, make_url

from ci_scripts.history import RunRecord, Snapshot, open_history

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
JOB = "neutron-tempest-example"
NEUTRON = "openstack/neutron"
PARTS = Snapshot(
    "any",
    None,
    packages={"openstack": {"oslo.db": "18.1.1", "neutron-lib": "5.0.1"}, "tempest": {"tempest": "47.0.0"}},
    commits={NEUTRON: "3aaf6bb677000d42be6de76c3f9f924e880ffaa1"},
    python={"ci": "3.11.7", "openstack": "3.12.1"},
    kernel="6.1.0-44-amd64",
    settings={"gate.shards": "2", "tempest.regex": "^tempest"},
)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def record(run_id: str, **different: Any) -> RunRecord:
    """A run of a Neutron change at ``NOW`` in which all went well, but for what is said ``different``."""
    usual: dict[str, Any] = {
        "run_id": run_id,
        "time": NOW,
        "job": JOB,
        "branch": "master",
        "project": NEUTRON,
        "change": "100",
        "patch_set": "1",
        "pipeline": "check",
        "gate_kind": "local",
        "role": "change",
        "outcome": "SUCCESS",
        "blame": "nobody",
        "rule": "passed",
        "seconds": 61.5,
        "snapshot": PARTS,
    }
    return RunRecord(**{**usual, **different})


def failed(run_id: str, *test_ids: str, **different: Any) -> RunRecord:
    """A run in which these tests failed."""
    tests = [(test_id, "failed", 1.0) for test_id in test_ids]
    words = {"outcome": "FAILURE", "blame": "change", "rule": "tests-failed", "tests": tests}
    return record(run_id, **{**words, **different})


def at_once(work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """``work`` in a process each, begun in the same moment; raises what one of them raised."""
    context = multiprocessing.get_context("forkserver")
    # What takes its time to import is imported once.
    context.set_forkserver_preload(["ci_scripts.history.verbs", "psycopg", __name__])
    barrier = context.Barrier(len(arguments))
    with ProcessPoolExecutor(len(arguments), context, initializer=_hold, initargs=(barrier,)) as pool:
        futures = [pool.submit(_released, work, *words) for words in arguments]
        return [future.result(timeout=120) for future in futures]


def write_many(place: str, writer: int, count: int) -> int:
    """Open the history and keep ``count`` runs, some of whose tests all writers have; and one run that all write."""
    with open_history(make_url(place), timeout=60) as history:
        for number in range(count):
            tests = [(f"shared.Test.test_{index}", "passed", 1.0) for index in range(20)]
            tests.append((f"own.Test.test_{writer}_{number}", "failed", 1.0))
            history.record(record(f"run-{writer}-{number}", change=str(1000 * writer + number + 1), tests=tests))
        history.record(failed("run-of-all", "shared.Test.test_0"))
    return count


def open_all(places: Sequence[str]) -> int:
    """Open one history after the other, each at the same time as the others who do this."""
    for place in places:
        _barrier.wait(60)
        with open_history(make_url(place), timeout=60) as history:
            history.last_green(JOB, "master", NOW, "")
    return len(places)


def with_password(url: URL) -> str:
    return url.render_as_string(hide_password=False)


_barrier: Barrier


def _hold(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier


def _released(work: Callable[..., Any], *words: Any) -> Any:
    _barrier.wait(60)
    return work(*words)
