"""How far the wrapper came, by its words."""

from __future__ import annotations

import pytest

from ci_scripts.gates.devstack_gate.phases import Phases

UP = ["Setting up the hosts", "Setting up the workspace"]
PRE = ["Job timeout set to: 105 minutes", "Running pre_test_hook"]
GATE = ["Running gate_hook", "Job timeout set to: 104 minutes"]
POST = ["Job timeout set to: 60 minutes", "Running post_test_hook"]
ENDED = ["Cleaning up host", "*** FAILED with status: 1"]
NO_TIME = ["Job timeout set to: 0 minutes", "Already timed out."]
PRE_FAILED = "ERROR: the pre-test setup script run by this job failed - exit code: 9"
GATE_FAILED = "ERROR: the main setup script run by this job failed - exit code: 137"


def after(*lines: str) -> Phases:
    phases = Phases()
    for line in lines:
        phases.read(line)
    return phases


@pytest.mark.parametrize(
    ("lines", "ended_in"),
    [
        ([], "start the wrapper"),
        (UP[:1], "set up the host"),
        (UP, "set up the workspace"),
        ([*UP, *NO_TIME], "pre_test_hook"),
        ([*UP, *PRE, PRE_FAILED, "Running devstack worlddump.py", *ENDED], "pre_test_hook"),
        ([*UP, *PRE, "Running gate_hook", *NO_TIME], "gate_hook"),
        ([*UP, *PRE, *GATE, GATE_FAILED, "Running devstack worlddump.py", *ENDED], "gate_hook"),
        ([*UP, *PRE, *GATE, *NO_TIME], "post_test_hook"),
        ([*UP, *PRE, *GATE, *POST, *ENDED], "post_test_hook"),
    ],
)
def test_what_failed(lines: list[str], ended_in: str) -> None:
    phases = after(*lines)
    assert phases.ended_in() == ended_in
    assert (phases.no_time is not None) == ("Already timed out." in lines)


def test_codes_and_limits() -> None:
    phases = after(*UP, *PRE, *GATE, GATE_FAILED)
    assert phases.codes == {"gate_hook": 137}
    assert phases.limit == 104


def test_a_phase_begins_once_and_in_its_order() -> None:
    phases = after(*UP, *PRE, *GATE)
    assert phases.read("Setting up the hosts") is None
    assert phases.read("Running gate_hook") is None
    assert phases.now == "gate_hook"


@pytest.mark.parametrize(
    "line",
    [
        "12:00:00 | Cleaning up host",
        "Cleaning up host of the change",
        f"12:00:00 | {GATE_FAILED}",
        "ERROR: the main setup script run by this job failed - exit code: 9 or so",
        "Job timeout set to: many minutes",
    ],
)
def test_words_of_a_hook_are_none_of_the_wrapper(line: str) -> None:
    """Hooks before and after DevStack speak with the time before each line."""
    phases = after(*UP, *PRE)
    assert phases.read(line) is None
    assert (phases.now, phases.codes, phases.limit) == ("pre_test_hook", {}, 105)
