"""What moved between two runs, and how it is said."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from ci_scripts.verdict.drift import MOST_LINES, Moved, moved, say
from ci_scripts.verdict.snapshot import LOCAL, Snapshot

NEUTRON = "openstack/neutron"
THEN = Snapshot(
    "20260129T120000Z-1a2b3c",
    datetime(2026, 1, 29, 12, 0, tzinfo=UTC),
    packages={
        "openstack": {"oslo.db": "18.1.1", "neutron": LOCAL, "gone": "1.0", "netaddr": "1.3.0"},
        "tempest": {"oslo.utils": "8.0.0", "tempest": "47.0.0"},
    },
    commits={NEUTRON: "3aaf6bb677000d42be6de76c3f9f924e880ffaa1", "a/b": "0" * 40},
    python={"ci": "3.11.7", "openstack": "3.12.1"},
    kernel="6.1.0-43-amd64",
    settings={"gate.shards": "2", "tempest.regex": "^tempest"},
)
NOW = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
SINCE = "since run 20260129T120000Z-1a2b3c, 2 days ago"


def then_but(**different: object) -> Snapshot:
    return dataclasses.replace(THEN, run_id="now", time=NOW, **different)


def test_nothing_moved_between_two_runs_that_are_alike() -> None:
    assert moved(then_but(), THEN) == ()
    assert say((), THEN, NOW) == []


def test_everything_that_moved_is_said_packages_first() -> None:
    openstack = {"oslo.db": "19.0.0", "neutron": LOCAL, "added": "0.1", "netaddr": "1.3.0"}
    now = then_but(
        packages={"openstack": openstack, "tempest": {"oslo.utils": "8.1.0", "tempest": "47.0.0"}},
        commits={NEUTRON: "a69b5dac3a54369eaeab8a9192969e2b3865c813", "a/b": "0" * 40},
        python={"ci": "3.11.7", "openstack": "3.13.0"},
        kernel="6.1.0-44-amd64",
        settings={"gate.shards": "4", "tempest.regex": "^tempest", "gate.hang_seconds": "9"},
    )
    moves = moved(now, THEN)

    assert Moved("package", "oslo.db", "18.1.1", "19.0.0", "openstack") in moves
    assert say(moves, THEN, NOW) == [
        f"added 0.1 is new {SINCE}",
        f"gone 1.0 is gone {SINCE}",
        f"oslo.db 18.1.1 -> 19.0.0 {SINCE}",
        f"oslo.utils 8.0.0 -> 8.1.0 (in tempest) {SINCE}",
        f"openstack/neutron 3aaf6bb677 -> a69b5dac3a {SINCE}",
        f"Python 3.12.1 -> 3.13.0 {SINCE}",
        f"kernel 6.1.0-43-amd64 -> 6.1.0-44-amd64 {SINCE}",
        f"gate.hang_seconds 9 is new {SINCE}",
        f"gate.shards 2 -> 4 {SINCE}",
    ]


def test_a_package_that_moved_in_several_environments_is_said_once() -> None:
    then = dataclasses.replace(THEN, packages={"openstack": {"six": "1"}, "tempest": {"six": "1"}})
    now = then_but(packages={"openstack": {"six": "2"}, "tempest": {"six": "2"}})

    assert [move.environment for move in moved(now, then)] == ["openstack", "tempest"]
    assert say(moved(now, then), then, NOW) == [f"six 1 -> 2 {SINCE}"]


def test_another_spelling_is_the_same_package() -> None:
    now = then_but(packages={"openstack": {"Oslo_DB": "18.1.1", "neutron": LOCAL, "gone": "1.0", "netaddr": "1.3.0"}})
    assert moved(now, THEN) == ()


def test_a_checkout_in_the_place_of_a_release_is_said() -> None:
    openstack = {**THEN.packages["openstack"], "netaddr": LOCAL}
    moves = moved(then_but(packages={"openstack": openstack}), THEN)
    assert say(moves, THEN, NOW) == [f"netaddr 1.3.0 -> (source tree) {SINCE}"]


@pytest.mark.parametrize("unknown", [{}, {"openstack": {}}])
def test_what_an_early_end_left_unknown_did_not_move(unknown: dict[str, dict[str, str]]) -> None:
    ended_early = then_but(packages=unknown, commits={}, python={"ci": "3.11.7"}, kernel=None, settings={})
    assert moved(ended_early, THEN) == ()
    assert moved(THEN, ended_early) == ()


def test_very_much_is_cut() -> None:
    then = dataclasses.replace(THEN, packages={"openstack": {f"p{number}": "1" for number in range(80)}})
    now = then_but(packages={"openstack": {f"p{number}": "2" for number in range(80)}}, settings={"s": "x" * 500})
    lines = say(moved(now, then), then, NOW)

    assert len(lines) == MOST_LINES + 1 and lines[-1] == f"and 33 more {SINCE}"
    assert max(map(len, say(moved(now, then)[-3:], then, NOW))) < 200


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "less than a minute ago"),
        (60, "1 minute ago"),
        (7_199, "1 hour ago"),
        (7_200, "2 hours ago"),
        (86_400, "1 day ago"),
        (-3_600, "at 2026-01-29 12:00 UTC, which is later than now"),
    ],
)
def test_how_long_ago_is_said_in_words(seconds: float, said: str) -> None:
    now = THEN.time + timedelta(seconds=seconds) if THEN.time else NOW
    line = say([Moved("kernel", "kernel", "1", "2")], THEN, now)[0]
    assert line == f"kernel 1 -> 2 since run 20260129T120000Z-1a2b3c, {said}"


def test_a_run_without_a_time_is_named_alone() -> None:
    then = dataclasses.replace(THEN, time=None)
    assert say([Moved("kernel", "kernel", "1", "2")], then, NOW) == ["kernel 1 -> 2 since run 20260129T120000Z-1a2b3c"]
