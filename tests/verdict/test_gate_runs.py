"""A run with its trials, read from real files, and what a gate run says of itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.verdict.gate_runs import MAX_TRIALS, read_case
from ci_scripts.verdict.trial_plan import judge, next_trial
from tests.verdict.made_cases import END, START, A, B, change, control, left, red, service, stage, the_run, with_stages
from tests.verdict.made_workspaces import gate_files, rounds_files, stage_file, stream_files, trial_files, write


def failed_run(root: Path) -> None:
    """A failed test that failed again alone."""
    gate_files(root)
    stream_files(root, {A: "failed", B: "passed"})
    rounds_files(root, ("alone", "alone", {A: "failed"}))


def test_a_run_with_its_trials_is_read_in_the_order_in_which_they_were_made(tmp_path: Path) -> None:
    failed_run(tmp_path)
    trial_files(tmp_path, "10-control", "all", ("all", "all", {A: "passed"}))
    trial_files(tmp_path, "2-change", "alone", ("alone", "alone", {A: "failed"}))
    trial_files(tmp_path, "1-control", "alone", ("alone", "alone", {A: "passed"}))
    case = read_case(tmp_path)

    assert (case.run.role, case.run.folder, case.run.label, case.run.shards) == ("run", ".", "the run", 2)
    assert case.run.tests.counts["failed"] == 1 and len(case.run.rounds) == 1
    assert [(trial.folder, trial.role, trial.mode) for trial in case.trials] == [
        ("trials/1-control", "control", "alone"),
        ("trials/2-change", "change", "alone"),
        ("trials/10-control", "control", "all"),
    ]
    assert [trial.label for trial in case.trials] == ["control run 1", "trial 2 with the change", "control run 10"]
    assert all(trial.finished() for trial in case.trials)
    assert case.of("control", "alone") == case.trials[:1]
    assert [judgement.whose for judgement in judge(case)] == ["change"]
    assert read_case(tmp_path) == case


def test_an_empty_workspace_is_a_case_without_anything(tmp_path: Path) -> None:
    case = read_case(tmp_path)
    assert case.trials == () and case.run.tests.tests == () and not case.run.finished()


@pytest.mark.parametrize(
    "name",
    ["0-control", "01-control", "100-control", "1-Control", "1-control ", "1-other", "control", "-1-change", "1"],
)
def test_folders_of_another_name_are_no_trials(tmp_path: Path, name: str) -> None:
    failed_run(tmp_path)
    place = trial_files(tmp_path, "1-control", "alone", ("alone", "alone", {A: "failed"}))
    place.rename(tmp_path / "trials" / name)
    assert read_case(tmp_path).trials == ()


@pytest.mark.parametrize("mode", [None, "sideways", "", 7, ["alone"]])
def test_a_trial_of_which_nobody_knows_what_it_was_for_proves_nothing(tmp_path: Path, mode) -> None:
    failed_run(tmp_path)
    trial_files(tmp_path, "1-control", mode, ("alone", "alone", {A: "failed"}))
    assert read_case(tmp_path).trials == ()
    write(tmp_path / "trials/1-control/run.json", {"schema": 1, "trial": "alone"})
    assert read_case(tmp_path).trials == ()


@pytest.mark.parametrize("where", ["trials", "trials/1-control"])
def test_no_link_is_followed_to_a_trial(tmp_path: Path, where: str) -> None:
    root = tmp_path / "run"
    failed_run(root)
    trial_files(tmp_path / "elsewhere", "1-control", "alone", ("alone", "alone", {A: "passed"}))
    (root / where).parent.mkdir(exist_ok=True)
    (root / where).symlink_to(tmp_path / "elsewhere" / where)
    assert read_case(root).trials == ()


def test_trials_may_be_a_file(tmp_path: Path) -> None:
    failed_run(tmp_path)
    write(tmp_path / "trials", "nothing")
    assert read_case(tmp_path).trials == ()


def test_a_link_in_a_trial_is_a_problem_of_that_trial(tmp_path: Path) -> None:
    root = tmp_path / "run"
    failed_run(root)
    place = trial_files(root, "1-control", "alone", ("alone", "alone", {A: "passed"}))
    (place / "logs/reruns/reruns.json").rename(tmp_path / "reruns.json")
    (place / "logs/reruns/reruns.json").symlink_to(tmp_path / "reruns.json")
    (trial,) = read_case(root).trials
    assert trial.rounds == () and any("reruns.json" in problem for problem in trial.problems)


def test_there_is_a_bound_to_trials(tmp_path: Path) -> None:
    gate_files(tmp_path)
    for number in range(1, MAX_TRIALS + 3):
        trial_files(tmp_path, f"{number}-control", "start")
    assert len(read_case(tmp_path).trials) == MAX_TRIALS


def test_two_trials_of_one_number_are_read_in_the_same_order_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder is listed in any order; a node may leave both, and the same files give the same verdict."""
    gate_files(tmp_path)
    for name in ("1-change", "1-control", "2-control"):
        trial_files(tmp_path, name, "start")
    with os.scandir(tmp_path / "trials") as found:
        entries = list(found)
    orders = set()
    for listed in (entries, entries[::-1]):
        with monkeypatch.context() as patched:
            patched.setattr(os, "scandir", _listing(tmp_path / "trials", listed))
            orders.add(tuple(trial.folder for trial in read_case(tmp_path).trials))
    assert len(orders) == 1


def _listing(folder: Path, entries: list[os.DirEntry[str]]) -> Callable[[Any], Any]:
    usual = os.scandir
    return lambda path: contextlib.nullcontext(entries) if Path(path) == folder else usual(path)


def test_trials_of_another_run_in_the_same_folder_are_not_of_this_one(tmp_path: Path) -> None:
    """A workspace is used again, by Jenkins for the next change: its run has another name."""
    failed_run(tmp_path)
    alone = ("alone", "alone", {A: "passed"})
    trial_files(tmp_path, "1-control", "alone", alone, run_id="run-0-1")
    trial_files(tmp_path, "2-change", "alone", ("alone", "alone", {A: "failed"}), run_id="run-0-2")
    assert all(judgement.whose != "change" for judgement in judge(read_case(tmp_path)))


def test_damaged_files_of_a_run_are_its_problems(tmp_path: Path) -> None:
    failed_run(tmp_path)
    write(tmp_path / "logs/probes.jsonl", "not json\n")
    write(tmp_path / "logs/leftovers.json", "[]")
    write(tmp_path / "logs/reruns/reruns.json", "[]")
    write(tmp_path / "stages/run-gate.json", "{")
    run = read_case(tmp_path).run
    assert len(run.problems) == 3 and len(run.facts.problems) == 1


def test_probes_and_leftovers_are_read(tmp_path: Path) -> None:
    failed_run(tmp_path)
    line = '{"time": "2026-01-31T12:05:00Z", "phase": "during", "probe": "p", "shard": 1, "state": "%s", "text": "t"}\n'
    write(tmp_path / "logs/probes.jsonl", line % "red" + line % "green")
    entry = {"name": "neutron", "shard": "0", "before": 1, "after": 3, "left_count": 2, "left": ["a", "b"]}
    write(
        tmp_path / "logs/leftovers.json",
        {"schema": 1, "inventories": [entry, {**entry, "shard": "1"}], "problems": ["asked in vain"]},
    )
    run = read_case(tmp_path).run
    assert [(fact.probe, fact.line) for fact in run.red_probes()] == [("p", 1)]
    assert run.left_in("neutron") == 4 and run.left_in("controller") == 0
    assert run.problems == ("logs/leftovers.json: asked in vain",)


def test_next_trial_of_files_is_that_of_the_case(tmp_path: Path) -> None:
    failed_run(tmp_path)
    wanted = next_trial(read_case(tmp_path))
    assert wanted is not None and (wanted.number, wanted.role, wanted.mode) == (1, "control", "alone")
    stage_file(trial_files(tmp_path, "1-control", "alone"), "start-gate", 3)
    assert next_trial(read_case(tmp_path)) is None


def test_the_innermost_failed_stage_comes_first() -> None:
    outer = stage("run-gate", 3)
    for name in ("prepare-gate", "install-driver", "start-gate", "run-tempest"):
        found = the_run(stages=with_stages(stage(name, 3), outer)).failed_stage()
        assert found is not None and found.name == name
    found = the_run(stages=with_stages(outer)).failed_stage()
    assert found is not None and found.name == "run-gate"


@pytest.mark.parametrize("code", [0, 1])
def test_failed_tests_are_no_failure_of_the_stage(code: int) -> None:
    run = the_run(stages=with_stages(stage("run-tempest", code)))
    assert run.failed_stage() is None and run.finished()


def test_a_gate_that_was_never_run_to_the_end_is_not_finished() -> None:
    assert control("start").finished()
    assert not control("start", stages=with_stages(stage("run-gate", None))).finished()
    assert not control("start", stages=[stage("run-tempest")]).finished()
    assert not control("start", stages=[]).finished()


def test_shards_are_counted_by_their_neutron() -> None:
    services = [service("neutron", shard=str(number)) for number in range(3)] + [service("controller", shard="7")]
    assert the_run(services=services).shards == 3
    assert the_run(services=[]).shards == the_run(services=None).shards == 1


@pytest.mark.parametrize(
    ("seconds", "counts"), [(-16.0, False), (-14.0, True), (0.0, True), (600.0, True), (614.0, True), (616.0, False)]
)
def test_probes_count_while_the_gate_was_up_and_an_interval_around_it(seconds: float, counts: bool) -> None:
    run = the_run(probes=[red(moment=START + timedelta(seconds=seconds))])
    assert bool(run.red_probes()) is counts
    assert run.times() == (START, END)


def test_without_times_every_red_answer_counts() -> None:
    long_ago = red(moment=START - timedelta(days=1))
    assert change("all", stages=with_stages(stage("run-gate", None)), probes=[long_ago]).red_probes() == (long_ago,)
    assert change("all", stages=[], probes=[long_ago]).red_probes() == (long_ago,)


def test_what_is_left_is_summed_over_the_shards() -> None:
    run = the_run(leftovers=[left("neutron", 2, "0"), left("neutron", 3, "1"), left("controller", 1, None)])
    assert (run.left_in("neutron"), run.left_in("controller"), run.left_in("other")) == (5, 1, 0)
