"""What the wrapper left and we may not signal is ended by sudo."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from ci_scripts.errors import CIError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack_gate import left_behind
from tests.fakes.gate_context import context_of


@pytest.fixture
def context(tmp_path: Path) -> GateContext:
    """A sudo that writes down what it is called with."""
    program = tmp_path / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {tmp_path}/sudo\n')
    program.chmod(0o755)
    found = context_of(tmp_path, "")
    return replace(found, env={"PATH": f"{program.parent}:/usr/bin:/bin"})


class Processes:
    """Two of root's, which end when sudo is asked."""

    def __init__(self, asked: Path, stubborn: bool = False) -> None:
        self.asked, self.stubborn = asked, stubborn

    def left(self, spare: Collection[int] = ()) -> list[int]:
        return [] if self.asked.exists() and not self.stubborn else [101, 102]

    def stop(self, grace: float, spare: Collection[int] = ()) -> list[int]:
        if self.left():
            raise CIError("processes [101, 102] could not be ended")
        return []


@pytest.mark.parametrize("stubborn", [False, True])
def test_sudo_is_asked(context: GateContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stubborn: bool) -> None:
    processes = Processes(tmp_path / "sudo", stubborn)
    monkeypatch.setattr(left_behind, "left_below_us", processes.left)
    monkeypatch.setattr(left_behind, "stop_orphans", processes.stop)
    if stubborn:
        with pytest.raises(CIError):
            left_behind.end_left_behind(context)
    else:
        assert left_behind.end_left_behind(context) == 2
    assert (tmp_path / "sudo").read_text() == "-n kill -s KILL -- 101 102 "


def test_where_there_is_no_sudo_the_error_stays(
    context: GateContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = Processes(tmp_path / "sudo")
    monkeypatch.setattr(left_behind, "left_below_us", processes.left)
    monkeypatch.setattr(left_behind, "stop_orphans", processes.stop)
    with pytest.raises(CIError):
        left_behind.end_left_behind(replace(context, env={"PATH": "/nonexistent"}))


def test_nothing_left_is_nothing_done(context: GateContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(left_behind, "left_below_us", lambda spare: [])
    assert left_behind.end_left_behind(context) == 0
    assert not (tmp_path / "sudo").exists()
