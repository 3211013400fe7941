"""Which trials are begun and when no other one is, on a workspace whose trials cannot be prepared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import CIError
from ci_scripts.gates.context import GateContext
from ci_scripts.stage_log import stage
from ci_scripts.trials import run as module
from ci_scripts.trials.run import run_trials
from ci_scripts.verdict.gate_runs import read_case
from ci_scripts.verdict.trial_plan import next_trial
from ci_scripts.workspace import Workspace
from tests.repositories import DRIVER, ENVIRONMENT, write_config
from tests.verdict.made_cases import A, B
from tests.verdict.made_workspaces import gate_files, rounds_files, stream_files, trial_files

MOST_QUESTIONS = 6
CHANGE = {"project": DRIVER, "number": "1", "patchset": "1", "branch": "master", "ref": "refs/changes/01/1/1"}


class Place:
    """A run in which a test failed twice, and what its trials said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = Workspace(folder / "run")
        self.failed = True
        self.trigger = "flags"

    def trials(self, by_hand: bool = False, **verdict: Any) -> int:
        """run_trials, with ``verdict`` of ci.yaml; the number of trials."""
        server = (self.folder / "server").as_uri()
        driver = {"project": DRIVER, "source": server}
        config = write_config(self.folder / "config", driver=driver, verdict=verdict)
        change = {**CHANGE, "revision": "a" * 40, "url": server, "also": []}
        gate_files(self.workspace.root, config=str(config), change=change, checkouts={}, also=[], trigger=self.trigger)
        stream_files(self.workspace.root, {A: "failed" if self.failed else "passed", B: "passed"})
        if self.failed:
            rounds_files(self.workspace.root, ("alone", "alone", {A: "failed"}))
        with stage(self.workspace, "control-runs") as record:
            context = GateContext.of_run(self.workspace, record, ENVIRONMENT)
            return run_trials(context, ENVIRONMENT, {}, by_hand=by_hand)

    def said(self) -> str:
        return self.workspace.console_log.read_text()

    def folders(self) -> list[str]:
        return sorted(path.name for path in self.workspace.trials.glob("*"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every question for the next trial; nobody may ask for ever."""
    found: list[object] = []

    def counted(*words: Any, **more: Any) -> Any:
        found.append(words)
        assert len(found) <= MOST_QUESTIONS, "trials do not come to an end"
        return next_trial(*words, **more)

    monkeypatch.setattr(module, "next_trial", counted)
    return found


def test_a_trial_that_cannot_be_prepared_is_evidence_and_no_other_is_begun(place: Place, asked: list[object]) -> None:
    assert place.trials() == 1
    assert len(asked) == 2
    assert place.folders() == ["1-control"]
    assert f"trial 1 failed: run.json does not say which commits of {DRIVER} the run had." in place.said()
    (trial,) = read_case(place.workspace.root).trials
    failed = trial.failed_stage()
    assert failed is not None and (failed.name, failed.exit_code, failed.with_change) == ("prepare-gate", 3, False)
    record = json.loads((place.workspace.trials / "1-control/run.json").read_text())
    assert record["run_id"] == "run-1-1"
    assert record["trial"] == {
        "number": 1,
        "role": "control",
        "mode": "alone",
        "why": "is it there without the change?",
        "suspects": [A],
        "rounds": 1,
    }


def test_never_means_none_but_by_hand(place: Place) -> None:
    assert place.trials(control_run="never") == 0
    assert place.folders() == []
    with pytest.raises(CIError, match="does not say which commits"):
        place.trials(by_hand=True, control_run="never")
    assert place.folders() == ["1-control"]


def test_a_run_that_passed_has_a_control_always_or_by_hand(place: Place) -> None:
    place.failed = False
    assert place.trials(control_run="on-failure") == 0
    assert place.trials(control_run="always") == 1
    assert place.folders() == ["1-control"]
    assert "control runs are asked for always" in place.said()


def test_no_trial_is_begun_when_the_time_is_over(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SECONDS", 61.0)
    assert place.trials(timeout_minutes=1) == 0
    assert place.folders() == []
    assert "no time is left for trial 1: verdict.timeout_minutes is over" in place.said()


def test_what_an_interrupted_trial_left_is_made_anew(place: Place) -> None:
    half = place.workspace.trials / "1-control"
    (half / "logs").mkdir(parents=True)
    (half / "logs/testrepository.subunit").write_text("of another time")
    assert place.trials() == 1
    assert not (half / "logs/testrepository.subunit").exists()


def test_by_hand_a_trial_that_could_not_tell_is_set_aside_for_another_one(place: Place) -> None:
    assert place.trials() == 1
    assert place.trials() == 0
    with pytest.raises(CIError, match="does not say which commits"):
        place.trials(by_hand=True)
    aside = [name for name in place.folders() if name.startswith("aside-1-control")]
    assert len(aside) == 1 and "1-control" in place.folders()
    assert len(read_case(place.workspace.root).trials) == 1


def test_by_hand_a_trial_that_told_is_kept(place: Place) -> None:
    trial_files(place.workspace.root, "1-control", "alone", ("alone", "alone", {A: "failed"}))
    assert place.trials(by_hand=True) == 0
    assert place.folders() == ["1-control"]


@pytest.mark.parametrize("what", ["trials", "trials/1-control"])
def test_a_link_that_the_change_left_is_not_written_through(place: Place, what: str, tmp_path: Path) -> None:
    """Code of the change ran in this workspace; its link leads where the CI may write and delete."""
    outside = tmp_path / "outside"
    (outside / "1-control/precious").mkdir(parents=True)
    link = place.workspace.root / what
    link.parent.mkdir(parents=True)
    link.symlink_to(outside if what == "trials" else outside / "1-control")
    try:
        place.trials()
    except CIError as error:
        assert error.exit_code == 3 and "link" in str(error)
    assert [path.name for path in outside.rglob("*")] == ["1-control", "precious"]


def test_trials_that_leave_nothing_to_be_read_come_to_an_end(place: Place) -> None:
    """One that failed before it could say what it was for is not there for the plan: it is not asked for ever."""
    place.trigger = "nobody"
    assert place.trials() <= 2
    assert "run.json names no change or no trigger" in place.said()
