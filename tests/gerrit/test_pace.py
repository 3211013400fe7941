"""When a request is made again, and how many in a minute."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ci_scripts.gerrit.pace import Pace, Patience, Trouble, persist
from tests.fakes.fake_time import FakeTime


def patience_of(time: FakeTime, **more: float) -> Patience:
    return Patience(sleep=time.sleep, clock=time.clock, **more)  # type: ignore[arg-type]


def failing(times: int, **more: object) -> Callable[[float], str]:
    """Fails so often, then gives "done"; counts in ``calls``."""

    def once(seconds: float) -> str:
        once.calls += 1  # type: ignore[attr-defined]
        if once.calls <= times:  # type: ignore[attr-defined]
            raise Trouble("down", **{"begun": True, **more})  # type: ignore[arg-type]
        return "done"

    once.calls = 0  # type: ignore[attr-defined]
    return once


def run(once: Callable[[float], str], time: FakeTime, *, repeatable: bool = True, **more: float) -> str:
    patience = patience_of(time, **more)
    return persist(once, patience, Pace(None, patience), repeatable=repeatable)


def test_waits_double() -> None:
    time = FakeTime()
    assert run(failing(3), time) == "done"
    assert time.slept == [1.0, 2.0, 4.0]


def test_the_last_trouble_is_raised_when_all_attempts_failed() -> None:
    time = FakeTime()
    with pytest.raises(Trouble) as raised:
        run(failing(9), time)
    assert raised.value.attempts == 4 and time.slept == [1.0, 2.0, 4.0]


def test_what_writes_is_repeated_only_if_it_has_not_begun() -> None:
    time = FakeTime()
    assert run(failing(2, begun=False), time, repeatable=False) == "done"
    with pytest.raises(Trouble) as raised:
        run(failing(1, begun=True), time, repeatable=False)
    assert raised.value.attempts == 1


def test_what_does_not_pass_is_not_repeated() -> None:
    time = FakeTime()
    with pytest.raises(Trouble):
        run(failing(1, passing=False), time)
    assert time.slept == []


def test_the_server_says_how_long() -> None:
    time = FakeTime()
    assert run(failing(1, after=17.0), time) == "done"
    assert time.slept == [17.0]


@pytest.mark.parametrize("after", [61.0, 3600.0])
def test_a_wait_that_is_too_long_is_not_waited(after: float) -> None:
    time = FakeTime()
    with pytest.raises(Trouble):
        run(failing(1, after=after), time)
    assert time.slept == []


def test_all_attempts_together_have_a_limit() -> None:
    time = FakeTime()
    with pytest.raises(Trouble):
        run(failing(3), time, total=2.5)
    assert time.slept == [1.0]


def test_so_many_requests_in_a_minute() -> None:
    time = FakeTime()
    pace = Pace(3, patience_of(time))
    moments = []
    for _ in range(7):
        pace.wait()
        moments.append(time.now - 1000.0)
    assert moments == [0.0, 0.0, 0.0, 60.0, 60.0, 60.0, 120.0]


def test_waiting_for_the_pace_is_no_part_of_the_limit() -> None:
    time = FakeTime()
    patience = patience_of(time, total=5.0)
    pace = Pace(1, patience)
    given: list[float] = []

    def once(seconds: float) -> None:
        given.append(seconds)
        if len(given) == 1:
            raise Trouble("down", begun=False)

    persist(once, patience, pace, repeatable=True)
    assert given == [5.0, 4.0] and time.slept == [1.0, 59.0]
