"""The split of tests between workers."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.tempest.partition import group_of, measured, split

NAMES = st.builds(
    "{}.{}.test_{}".format, st.sampled_from("ab"), st.sampled_from(["One", "Two", "Three"]), st.integers(0, 30)
)
DURATIONS = st.dictionaries(NAMES.map(group_of), st.floats(0, 1000))


@given(st.lists(NAMES, unique=True), st.integers(1, 9), DURATIONS)
def test_every_test_runs_exactly_once_and_classes_stay_together(
    tests: list[str], workers: int, durations: dict[str, float]
) -> None:
    parts = split(tests, workers, durations)
    assert len(parts) == workers
    assert Counter(test for part in parts for test in part) == Counter(tests)
    for group in {group_of(test) for test in tests}:
        assert sum(any(group_of(test) == group for test in part) for part in parts) == 1
    assert parts == split(tests, workers, durations)


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=40), st.integers(1, 8))
def test_no_worker_has_more_than_a_third_too_much(costs: list[float], workers: int) -> None:
    tests = [f"m.C{number}.test" for number in range(len(costs))]
    durations = {group_of(test): cost for test, cost in zip(tests, costs, strict=True)}
    longest = max(sum(durations[group_of(test)] for test in part) for part in split(tests, workers, durations))
    # No split can be better than these two bounds. LPT is at most the mean of all and the one group that ends last.
    best = max(sum(costs) / workers, max(costs))
    assert longest <= sum(costs) / workers + max(costs) * (1 - 1 / workers) + 1e-6
    assert longest <= 2 * best + 1e-6


def test_order_within_a_class_is_kept() -> None:
    tests = ["m.A.test_2", "m.B.test_1", "m.A.test_1"]
    assert split(tests, 1, {"m.B.": 9.0}) == [["m.B.test_1", "m.A.test_2", "m.A.test_1"]]


def test_known_durations_decide() -> None:
    tests = ["m.A.x", "m.B.x", "m.C.x"]
    parts = split(tests, 2, {"m.A.": 10.0, "m.B.": 6.0, "m.C.": 5.0})
    assert parts == [["m.A.x"], ["m.B.x", "m.C.x"]]


def test_groups_that_took_no_time_are_spread_too() -> None:
    tests = [f"m.{letter}.x" for letter in "ABCD"]
    assert [len(part) for part in split(tests, 4, {group_of(test): 0.0 for test in tests})] == [1, 1, 1, 1]


def test_a_group_is_everything_up_to_the_last_dot() -> None:
    assert group_of("tempest.api.network.test_x.Networks.test_a") == "tempest.api.network.test_x.Networks."
    # The rule of stestr's group_regex: dots in the brackets belong to it as well.
    assert group_of("setUpClass (tempest.api.Networks)") == "setUpClass (tempest.api."
    assert group_of("nothing") == ""


def test_class_fixtures_count_for_the_class_that_they_belong_to() -> None:
    outcomes = [
        ("w0", "m.A.1", 9.0, 10.0),
        ("w0", "m.A.2", 10.0, 11.0),
        ("w1", "m.C.1", 10.0, 10.5),
        ("w0", "m.B.1", 14.0, 15.0),
    ]
    assert measured(outcomes) == {"m.A.": 2.0, "m.C.": 0.5, "m.B.": 4.0}
