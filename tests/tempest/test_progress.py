"""Lines of progress where nobody watches, and where somebody does."""

from __future__ import annotations

import pytest

from ci_scripts.tempest import progress
from ci_scripts.tempest.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(("watched", "seconds"), [(False, 60.0), (True, 5.0)])
def test_a_line_from_time_to_time(clock: list[float], watched: bool, seconds: float) -> None:
    said: list[str] = []
    with Progress(10, said.append, watched=watched) as shown:
        shown.ended("a", "passed")
        shown.ended("b", "skipped")
        clock[0] += seconds - 0.1
        shown.tick()
        assert said == []
        clock[0] += 0.1
        shown.tick()
        shown.tick()
        assert said == [f"tests: 1 passed, 0 failed, 1 skipped, 8 remaining, about {seconds * 4:.0f} s"]
    assert len(said) == 2


def test_a_failure_is_told_at_once(clock: list[float]) -> None:
    said: list[str] = []
    with Progress(2, said.append, watched=False) as shown:
        shown.ended("m.C.test_bad", "failed")
        assert said == ["FAILED m.C.test_bad"]
        shown.ended("m.C.test_good", "passed")
    assert said[1:] == ["tests: 1 passed, 1 failed, 0 skipped, 0 remaining"]


def test_more_tests_than_expected(clock: list[float]) -> None:
    shown = Progress(1, lambda line: None, watched=False)
    for name in "abc":
        shown.ended(name, "passed")
    assert shown.line() == "tests: 3 passed, 0 failed, 0 skipped, 0 remaining"


def test_a_live_line_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    said: list[str] = []
    with Progress(2, said.append, watched=False) as shown:
        shown.ended("a", "passed")
        shown.tick()
    assert len(said) == 1 and said[0].startswith("tests: 1 passed, 0 failed, 0 skipped, 1 remaining, about ")
