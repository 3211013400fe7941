"""What the history keeps and answers: the same tests on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, create_engine, event, func, select

from ci_scripts.history import HistoryFailed, Snapshot, open_history, rows
from ci_scripts.history.tables import changes, outcomes, parts, runs, tests
from ci_scripts.history.verbs import History
from tests.fakes.history_runs import (
    JOB,
    NEUTRON,
    NOW,
    PARTS,
    at_once,
    failed,
    hours,
    open_all,
    record,
    with_password,
    write_many,
)

pytest_plugins = ["tests.integration.history_fixtures"]

A, B, C = (f"tempest.api.network.test_networks.NetworksTest.test_{name}[id-1]" for name in "abc")
OWN = {"job": JOB, "since": NOW - hours(24), "apart_from": [(NEUTRON, "100")], "but_not": "own"}


@pytest.fixture
def history(new_place: URL) -> Iterator[History]:
    with open_history(new_place, timeout=20) as opened:
        yield opened


def counts(place: URL) -> dict[str, int]:
    """Rows by table."""
    engine = create_engine(place)
    with engine.connect() as connection:
        tables = (runs, changes, parts, tests, outcomes)
        found = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables
        }
    engine.dispose()
    return found


def test_an_empty_history_knows_nothing(history: History) -> None:
    assert history.last_green(JOB, "master", NOW, "own") is None
    assert history.newest_control(JOB, "master", NOW - hours(48)) is None
    assert history.same_failures([A], **OWN) == {}
    assert history.same_failures([], **OWN) == {}
    assert history.forget_before(NOW) == 0


def test_what_the_last_green_run_was_made_of_comes_back_whole(history: History) -> None:
    history.record(record("green", time=NOW - hours(50)))
    found = history.last_green(JOB, "master", NOW, "own")
    assert found == dataclasses.replace(PARTS, run_id="green", time=NOW - hours(50))
    assert found.time is not None and found.time.utcoffset() == timedelta(0)


def test_the_last_green_run_is_the_newest_of_its_job_and_branch_before_this_one(history: History) -> None:
    history.record(record("old", time=NOW - hours(5)))
    history.record(record("control", time=NOW - hours(4), role="control", change=None, patch_set=None))
    history.record(failed("red", A, time=NOW - hours(3)))
    history.record(record("other-job", time=NOW - hours(2), job="another"))
    history.record(record("other-branch", time=NOW - hours(2), branch="stable/2026.1"))
    history.record(record("own", time=NOW - hours(1)))
    history.record(record("own-control", time=NOW - hours(1), role="control", of_run="own"))
    history.record(record("later", time=NOW + hours(1)))

    def last(hours_ago: float) -> str | None:
        found = history.last_green(JOB, "master", NOW - hours(hours_ago), "own")
        return found.run_id if found else None

    assert [last(0), last(4), last(5), last(-2)] == ["control", "old", None, "later"]


def test_a_moment_of_any_time_zone_is_the_same_moment(history: History) -> None:
    history.record(record("east", time=NOW.astimezone(timezone(hours(9)))))
    found = history.last_green(JOB, "master", (NOW + timedelta(microseconds=1)).astimezone(timezone(-hours(7))), "own")
    assert found is not None and found.time == NOW
    assert history.last_green(JOB, "master", NOW, "own") is None


@pytest.mark.parametrize("other", [{"change": "8"}, {"patch_set": "2"}, {"project": "a/c"}, {"role": "control"}])
def test_a_run_that_takes_the_name_of_anothers_is_refused(history: History, other: dict[str, Any]) -> None:
    history.record(failed("forged", A, time=NOW - hours(1), change="7"))
    with pytest.raises(HistoryFailed, match="already kept"):
        history.record(dataclasses.replace(record("forged", time=NOW, change="7"), **other))
    assert set(history.same_failures([A], job=JOB, since=NOW - hours(2), apart_from=[], but_not="me")) == {A}


def test_a_second_verdict_of_a_run_replaces_the_first(history: History, new_place: URL) -> None:
    history.record(failed("again", A, B, time=NOW - hours(1), change="7", also=[("a/b", "6")]))
    first = counts(new_place)
    history.record(record("again", time=NOW - hours(1), change="7", tests=[(A, "passed", 1.0)]))
    assert {"history_runs": 1, "history_outcomes": 2, "history_changes": 2}.items() <= first.items()
    assert {"history_runs": 1, "history_outcomes": 1, "history_changes": 1}.items() <= counts(new_place).items()
    assert history.same_failures([A, B], **OWN) == {}


def test_the_same_failures_on_other_changes_are_found_once_for_each_change(history: History) -> None:
    history.record(failed("old-patch-set", A, change="7", patch_set="1", time=NOW - hours(3)))
    history.record(failed("new-patch-set", A, change="7", patch_set="2", time=NOW - hours(2), blame="ci"))
    history.record(failed("other-project", A, B, change="100", project="example/driver", time=NOW - hours(1)))
    history.record(record("passed", change="8", tests=[(A, "passed", 1.0), (B, "incomplete", None)]))
    history.record(failed("too-old", A, change="9", time=NOW - hours(25)))
    history.record(failed("other-job", A, change="10", job="another"))
    found = history.same_failures([A, B, C], **OWN)

    assert set(found) == {A, B}
    assert [(other.run_id, other.project, other.change, other.patch_set, other.blame) for other in found[A]] == [
        ("other-project", "example/driver", "100", "1", "change"),
        ("new-patch-set", NEUTRON, "7", "2", "ci"),
    ]
    assert [other.run_id for other in found[B]] == ["other-project"]
    assert found[B][0].time == NOW - hours(1)


def test_runs_that_share_a_change_with_this_one_say_nothing_about_it(history: History) -> None:
    history.record(failed("own", A, change="100"))
    history.record(failed("own-older", A, change="100", patch_set="0", time=NOW - hours(1)))
    history.record(failed("dependency", A, change="99", time=NOW - hours(1)))
    history.record(failed("depends-on-this", A, change="101", also=[(NEUTRON, "100")]))
    history.record(failed("same-dependency", A, change="102", also=[(NEUTRON, "99")]))
    history.record(failed("same-number-elsewhere", A, change="103", also=[("a/b", "100")]))
    found = history.same_failures([A], **{**OWN, "apart_from": [(NEUTRON, "100"), (NEUTRON, "99")]})

    assert [other.run_id for other in found[A]] == ["same-number-elsewhere"]


def test_controls_are_told_apart_and_the_own_ones_left_out(history: History) -> None:
    control = {"role": "control", "change": None, "patch_set": None}
    history.record(failed("control-1", A, time=NOW - hours(2), **control))
    history.record(failed("control-2", A, time=NOW - hours(1), of_run="of-another", role="control"))
    history.record(failed("own-control", A, time=NOW - hours(1), of_run="own", **control))
    found = history.same_failures([A], **OWN)[A]

    assert [(other.run_id, other.role, other.change) for other in found] == [
        ("control-2", "control", None),
        ("control-1", "control", None),
    ]


def test_a_flaky_failure_elsewhere_is_marked_and_a_branch_can_be_asked_for(history: History) -> None:
    history.record(failed("flaky", A, change="7", flaky=[A], outcome="SUCCESS"))
    history.record(failed("stable", A, change="8", branch="stable/2026.1"))

    assert {other.run_id: other.flaky for other in history.same_failures([A], **OWN)[A]} == {
        "flaky": True,
        "stable": False,
    }
    assert [other.run_id for other in history.same_failures([A], branch="master", **OWN)[A]] == ["flaky"]


def test_many_tests_are_asked_for_at_once_and_the_answers_are_bounded(history: History) -> None:
    names = [f"module.Class.test_{number}" for number in range(1_200)]
    history.record(failed("all", *names, change="7"))
    for number in range(25):
        history.record(failed(f"one-{number}", names[0], change=str(200 + number)))
    found = history.same_failures(names, **OWN)

    assert len(found) == 1_200 and {len(others) for others in found.values()} == {1, 20}


def test_the_newest_control_comes_with_its_tests(history: History) -> None:
    tests_of_it = [(A, "failed", 2.0), (B, "passed", 1.0), (C, "skipped", None)]
    history.record(record("older", role="control", change=None, time=NOW - hours(9)))
    history.record(failed("newer", tests=tests_of_it, role="control", time=NOW - hours(3), probes_green=True))
    history.record(record("elsewhere", role="control", branch="stable/2026.1", time=NOW - hours(1)))
    history.record(record("a-change", time=NOW - hours(1)))
    history.record(record("of-own", role="control", of_run="own", time=NOW - hours(1)))
    found = history.newest_control(JOB, "master", NOW - hours(48), "own")

    assert found is not None
    assert (found.run_id, found.time, found.outcome) == ("newer", NOW - hours(3), "FAILURE")
    assert (found.failed, found.passed, found.probes_green) == (frozenset({A}), frozenset({B}), True)
    assert history.newest_control(JOB, "master", NOW - hours(2), "own") is None


def test_a_test_that_ran_twice_counts_by_its_worse_outcome(history: History) -> None:
    history.record(record("twice", role="control", tests=[(A, "passed", 1.0), (A, "failed", 2.0), (A, "skipped", 0)]))
    found = history.newest_control(JOB, "master", NOW - hours(1))

    assert found is not None and (found.failed, found.passed) == (frozenset({A}), frozenset())


def test_names_that_a_node_made_up_are_kept_within_bounds(
    history: History, new_place: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MOST_TESTS", 5)
    long = "long." * 10_000
    strange = ["nul\0in.it", "lone\ud800surrogate", "'; DROP TABLE history_runs; --", long + "a", long + "b"]
    passed = [(f"more.test_{number}", "passed", math.inf) for number in range(100)]
    snapshot = Snapshot("x\0", None, {"open\0stack": {"p" * 900: "1\0" * 900}}, {"a\ud800/b": "0" * 40})
    written = failed(
        "odd",
        change="7",
        snapshot=snapshot,
        branch="b" * 900,
        tests=[*passed, *((name, "failed", 1) for name in strange)],
    )

    assert history.record(written) == 100
    assert set(history.same_failures(strange, **OWN)) == set(strange)
    assert counts(new_place)["history_outcomes"] == 5
    assert history.record(dataclasses.replace(written, run_id="r" * 900, outcome="SUCCESS")) == 100
    found = history.last_green(JOB, "b" * 900, NOW + hours(1), "own")
    assert found is not None and len(found.run_id) == 100 and "\0" not in str(found)


def test_old_runs_are_forgotten_with_all_that_was_theirs(history: History, new_place: URL) -> None:
    for number in range(60):
        history.record(failed(f"old-{number}", A, f"old.test_{number}", time=NOW - hours(100)))
    history.record(failed("new", A, change="7", time=NOW - hours(1)))

    assert history.forget_before(NOW - hours(100)) == 0
    assert history.forget_before(NOW - hours(99)) == 60
    assert counts(new_place) == {
        "history_runs": 1,
        "history_changes": 1,
        "history_parts": 9,
        "history_tests": 1,
        "history_outcomes": 1,
    }
    assert [other.run_id for other in history.same_failures([A], **OWN)[A]] == ["new"]


def test_a_run_is_kept_whole_or_not_at_all(history: History, new_place: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    history.record(failed("first", A, change="7"))
    before = counts(new_place)

    @event.listens_for(Engine, "before_cursor_execute")
    def fail(connection: object, cursor: object, statement: str, *rest: object) -> None:
        if statement.startswith("INSERT INTO history_outcomes"):
            raise RuntimeError("the power is gone")

    try:
        with pytest.raises(HistoryFailed, match=r"writing to the history at .* failed: the power is gone\."):
            history.record(record("first", change="7", tests=[(B, "passed", 1.0)]))
    finally:
        event.remove(Engine, "before_cursor_execute", fail)
    assert counts(new_place) == before
    assert set(history.same_failures([A, B], **OWN)) == {A}


def test_many_processes_write_at_once_and_nothing_is_lost(new_place: URL) -> None:
    writers, each = 8, 20
    done = at_once(write_many, [(with_password(new_place), writer, each) for writer in range(writers)])

    assert done == [each] * writers
    found = counts(new_place)
    assert found["history_runs"] == writers * each + 1
    assert found["history_tests"] == writers * each + 20
    assert found["history_outcomes"] == writers * each * 21 + 1
    with open_history(new_place, timeout=20) as history:
        names = [f"own.Test.test_{writer}_{number}" for writer in range(writers) for number in range(each)]
        assert set(history.same_failures(names, **OWN)) == set(names)


def test_two_processes_open_an_empty_database_at_once(request: pytest.FixtureRequest, new_place: URL) -> None:
    places = [with_password(new_place)]
    if new_place.get_backend_name() == "sqlite":
        places += [f"{new_place.render_as_string()}-{number}" for number in range(7)]
    else:
        server = request.getfixturevalue("postgresql")
        places += [server.url(server.new_database()) for _ in range(7)]

    assert at_once(open_all, [(places,), (places,)]) == [8, 8]


def test_every_question_is_answered_by_an_index(tmp_path: Path) -> None:
    place = URL.create("sqlite", database=str(tmp_path / "history.sqlite"))
    asked: list[tuple[str, Any]] = []

    @event.listens_for(Engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, parameters: object, *rest: object) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    with open_history(place, timeout=20) as history:
        history.record(failed("one", A, change="7"))
        asked.clear()
        try:
            history.same_failures([A, B], branch="master", **OWN)
            history.newest_control(JOB, "master", NOW)
            history.last_green(JOB, "master", NOW, "own")
            history.forget_before(NOW - hours(9))
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    engine = create_engine(place)
    with engine.connect() as connection:
        plans = [connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", words).all() for text, words in asked]
    engine.dispose()
    steps = [row.detail for plan in plans for row in plan]

    assert len(plans) == 5
    assert [step for step in steps if step.startswith("SCAN") and "SCAN history_tests" not in step] == []
    used = " ".join(steps)
    assert [
        name for name in ("history_outcomes_by_test", "history_runs_by_job", "history_runs_by_time") if name not in used
    ] == []
    assert "history_outcomes_by_test (test=? AND time>?)" in used
    assert "history_runs_by_job (job=? AND branch=? AND time<?)" in used
