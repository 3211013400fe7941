"""Which worker runs which tests: classes stay together, the longest first to the worker with the least."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

# stestr's group_regex in Tempest's own configuration: everything up to the last dot, so one group is one class.
_GROUP = re.compile(r"([^.]*\.)*")
DEFAULT_TEST_SECONDS = 0.4
DEFAULT_CLASS_SECONDS = 1.0
LEAST_TEST_SECONDS = 0.01


def group_of(test_id: str) -> str:
    """The class of a test: class fixtures cost time, so its tests run together."""
    match = _GROUP.match(test_id)
    return match.group(0) if match else test_id


def split(
    test_ids: Sequence[str],
    workers: int,
    durations: Mapping[str, float],
    group: Callable[[str], str] = group_of,
) -> list[list[str]]:
    """The tests for each worker, in the order given; ``durations`` are seconds per group from earlier runs.

    Tests that ``group`` gives the same name stay together.

    Longest processing time first (Graham 1969): at most a third longer than the best split.
    """
    groups: dict[str, list[str]] = {}
    for test_id in test_ids:
        groups.setdefault(group(test_id), []).append(test_id)
    # Nothing is free: groups that were measured as 0 s would all go to one worker.
    costs = {
        name: max(durations.get(name, _guess(tests)), LEAST_TEST_SECONDS * len(tests)) for name, tests in groups.items()
    }
    heap = [(0.0, worker) for worker in range(workers)]
    parts: list[list[str]] = [[] for _ in range(workers)]
    for name in sorted(groups, key=lambda name: (-costs[name], name)):
        load, worker = heapq.heappop(heap)
        parts[worker] += groups[name]
        heapq.heappush(heap, (load + costs[name], worker))
    return parts


def _guess(tests: Sequence[str]) -> float:
    return DEFAULT_CLASS_SECONDS + DEFAULT_TEST_SECONDS * len(tests)


def measured(outcomes: Iterable[tuple[str, str, float, float]]) -> dict[str, float]:
    """Seconds per group from (worker, test id, start time, end time) in the order of the stream.

    The time since the worker's last test of another group counts, so class fixtures are included, but for the first
    group of a worker, of which only the tests are known.
    """
    last_end: dict[str, float] = {}
    group_now: dict[str, str] = {}
    group_start: dict[str, float] = {}
    found: dict[str, float] = {}
    for worker, test_id, start, end in outcomes:
        group = group_of(test_id)
        if group_now.get(worker) != group:
            group_now[worker] = group
            group_start[worker] = last_end.get(worker, start)
        last_end[worker] = end
        found[group] = round(end - group_start[worker], 3)
    return found
