"""Which tests run again beside which, on which worker and shard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.tempest.crew import Part
from ci_scripts.tempest.neighbours import alone, as_it_was, shard_of, with_neighbours
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.tests_file import class_of

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


def outcome(name: str, worker: int | None = 0, at: float | None = 0.0, seconds: float | None = 1.0, status="failed"):
    started = None if at is None else START + timedelta(seconds=at)
    return TestOutcome(name, status, started, seconds, None if worker is None else f"worker-{worker}")


@pytest.mark.parametrize(
    ("worker", "shards", "shard"),
    [("worker-0", 2, 0), ("worker-3", 2, 1), ("worker-7", 1, 0), (None, 2, 0), ("checks", 2, 0), ("worker-²", 2, 0)],
)
def test_workers_take_the_shards_in_turn(worker: str | None, shards: int, shard: int) -> None:
    assert shard_of(worker, shards) == shard


def test_failed_tests_run_alone_on_the_shard_where_they_failed() -> None:
    failed = [outcome("m.A.a", 0), outcome("m.B.b", 1), outcome("m.A.c", 2), outcome("m.C.d", 3)]
    selected = [test.id for test in failed]
    assert alone(failed, selected, 2) == (
        Part("worker-0", 0, ("m.A.a", "m.A.c")),
        Part("worker-1", 1, ("m.B.b", "m.C.d")),
    )
    assert alone([], selected, 2) == ()


def test_a_failed_class_fixture_means_all_tests_of_its_class() -> None:
    selected = ["m.A.a", "m.A.b", "m.AB.c", "m.B.d", "n.A.e"]
    assert alone([outcome("setUpClass (m.A)", 1)], selected, 2) == (Part("worker-1", 1, ("m.A.a", "m.A.b")),)
    assert alone([outcome("setUpModule (m)", 0)], selected, 1) == (
        Part("worker-0", 0, ("m.A.a", "m.A.b", "m.AB.c", "m.B.d")),
    )


def test_a_tear_down_that_failed_after_a_failed_test_needs_that_test_only() -> None:
    selected = ["m.A.a", "m.A.b"]
    both = [outcome("m.A.b", 0), outcome("tearDownClass (m.A)", 0)]
    assert alone(both, selected, 1) == (Part("worker-0", 0, ("m.A.b",)),)
    assert alone(both[1:], selected, 1) == (Part("worker-0", 0, ("m.A.a", "m.A.b")),)


def test_what_was_not_selected_is_not_run_again() -> None:
    """A stream may name tests that nobody asked for."""
    assert alone([outcome("m.A.forged"), outcome("setUpClass (m.Z)")], ["m.A.a"], 1) == ()


def test_neighbours_are_those_that_ran_meanwhile_in_their_order() -> None:
    tests = [
        outcome("m.B.before", 1, 0.0, 2.5),
        outcome("m.B.during", 1, 4.0),
        outcome("m.A.suspect", 0, 3.0, 2.0),
        outcome("m.A.late", 0, 5.0),
        outcome("m.D.after", 1, 7.0),
        outcome("m.C.long", 2, 0.0, 60.0, "passed"),
    ]
    selected = [test.id for test in tests]
    assert with_neighbours(["m.A.suspect"], tests, selected, 2) == (
        Part("worker-0", 0, ("m.A.suspect", "m.A.late")),
        Part("worker-1", 1, ("m.B.during",)),
        Part("worker-2", 0, ("m.C.long",)),
    )


def test_two_suspects_have_the_neighbours_of_both_and_not_of_the_time_between() -> None:
    tests = [outcome("m.A.first", 0, 0.0), outcome("m.B.second", 0, 100.0)]
    tests += [outcome(f"m.N.at_{at}", 1, float(at), 0.5, "passed") for at in (0, 50, 100)]
    parts = with_neighbours(["m.A.first", "m.B.second"], tests, [test.id for test in tests], 2)
    assert parts == (
        Part("worker-0", 0, ("m.A.first", "m.B.second")),
        Part("worker-1", 1, ("m.N.at_0", "m.N.at_100")),
    )


def test_a_suspected_fixture_brings_its_class() -> None:
    tests = [outcome("setUpClass (m.A)", 1, 1.0), outcome("m.B.beside", 0, 1.5, 1.0, "passed")]
    parts = with_neighbours(["setUpClass (m.A)"], tests, ["m.A.a", "m.A.b", "m.B.beside", "m.B.other"], 2)
    assert parts == (Part("worker-0", 0, ("m.B.beside",)), Part("worker-1", 1, ("m.A.a", "m.A.b")))


def test_a_class_that_could_not_be_set_up_has_no_times_and_as_many_tests_of_others_beside_it() -> None:
    tests = [outcome("setUpClass (m.A)", 1, None, None)]
    tests += [outcome(f"m.B.b{number}", 0, float(number), 1.0, "passed") for number in range(9)]
    selected = ["m.A.a", "m.A.b", *(test.id for test in tests[1:])]
    assert with_neighbours(["setUpClass (m.A)"], tests, selected, 2) == (
        Part("worker-0", 0, ("m.B.b0", "m.B.b1", "m.B.b2", "m.B.b3")),
        Part("worker-1", 1, ("m.A.a", "m.A.b")),
    )


def test_checks_and_tests_without_a_time_are_nobodys_neighbours() -> None:
    tests = [outcome("m.A.a"), outcome("checks.c", 0), outcome("m.B.b", 1, None), outcome("m.C.c", None)]
    parts = with_neighbours(["m.A.a"], tests, [test.id for test in tests], 1)
    assert parts == (Part("worker-0", 0, ("m.A.a",)),)


def test_what_ran_while_a_test_hung_is_its_neighbour() -> None:
    """It has a start and no end: it ran until the run was stopped."""
    tests = [
        outcome("m.A.hung", 0, 1.0, None, "incomplete"),
        outcome("m.B.before", 1, 0.0, 0.5, "passed"),
        outcome("m.B.while_it_hung", 1, 5.0, 1.0, "passed"),
    ]
    parts = with_neighbours(["m.A.hung"], tests, [test.id for test in tests], 1)
    assert parts == (Part("worker-0", 0, ("m.A.hung",)), Part("worker-1", 0, ("m.B.while_it_hung",)))


def test_a_test_that_hung_is_a_neighbour_of_what_failed_meanwhile() -> None:
    tests = [outcome("m.A.hung", 0, 1.0, None, "incomplete"), outcome("m.B.failed", 1, 5.0)]
    parts = with_neighbours(["m.B.failed"], tests, [test.id for test in tests], 1)
    assert [test for part in parts for test in part.tests] == ["m.A.hung", "m.B.failed"]


def test_all_tests_run_where_they_ran_and_what_never_ran_beside_its_class() -> None:
    tests = [outcome("m.A.a", 2), outcome("setUpClass (m.B)", 3)]
    selected = ["m.A.a", "m.A.unrun", "m.B.b", "m.C.c", "checks.x.shard0"]
    assert as_it_was(tests, selected, 2) == (
        Part("worker-0", 0, ("m.C.c",)),
        Part("worker-2", 0, ("m.A.a", "m.A.unrun")),
        Part("worker-3", 1, ("m.B.b",)),
    )
    assert as_it_was(tests, [], 2) == ()


NAMES = [f"m.{owner}.test_{number}" for owner in "ABCD" for number in range(3)]
outcomes = st.lists(
    st.builds(
        outcome,
        st.sampled_from([*NAMES, "setUpClass (m.A)", "tearDownClass (m.D)", "setUpModule (m)", "checks.x"]),
        st.none() | st.integers(0, 5),
        st.none() | st.floats(0, 100),
        st.none() | st.floats(0, 50),
        st.sampled_from(["passed", "failed", "incomplete"]),
    ),
    max_size=15,
    unique_by=lambda test: test.id,
)


@given(outcomes, st.sets(st.sampled_from(NAMES)), st.integers(1, 4))
def test_no_plan_asks_for_a_test_twice_or_for_one_that_was_not_selected(tests, selected, shards: int) -> None:
    wanted = sorted(selected)
    suspects = [test for test in tests if test.status == "failed"]
    plans = [
        alone(suspects, wanted, shards),
        with_neighbours([test.id for test in suspects], tests, wanted, shards),
        as_it_was(tests, wanted, shards),
    ]
    for parts in plans:
        assert all(part.tests and 0 <= part.shard < shards for part in parts)
        assert len({part.worker for part in parts}) == len(parts)
        assert {name for part in parts for name in part.tests} <= selected
    for part in plans[0]:
        assert len(set(part.tests)) == len(part.tests)
    everything = [name for part in plans[2] for name in part.tests]
    assert sorted(everything) == wanted


@given(outcomes, st.integers(1, 4))
def test_every_suspect_with_a_time_is_among_its_neighbours(tests, shards: int) -> None:
    known = [test for test in tests if test.id in NAMES]
    suspects = [test.id for test in known if test.started and test.worker and test.status == "failed"]
    planned = {name for part in with_neighbours(suspects, tests, NAMES, shards) for name in part.tests}
    assert set(suspects) <= planned
    owners = {class_of(name)[0] for name in suspects}
    assert {test.id for test in known if test.started and test.worker and class_of(test.id)[0] in owners} <= planned
