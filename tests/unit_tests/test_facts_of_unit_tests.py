"""What the verdict reads of a run of unit tests: its stage, its workers, the services it may not need, the proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci_scripts.stages.opening import forget_later_stages
from ci_scripts.verdict.gate_runs import GateRun, read_case
from ci_scripts.verdict.proof import ProofItem, gather_proof
from ci_scripts.verdict.run_facts import UNIT_TESTS, read_run_facts
from ci_scripts.verdict.symptoms import symptoms_of
from ci_scripts.workspace import Workspace
from tests.verdict.made_workspaces import stage_file, stream_files, write

DRIVER = "example/networking-example"
NEUTRON = "openstack/neutron"
LINE = "2026-01-31T12:00:00.000+00:00 17 neutron.plugins.ml2.managers Loaded mechanism driver names: {}\n"
WITH, WITHOUT = LINE.format("['logger', 'example']"), LINE.format("['openvswitch']")


def workspace(root: Path, exit_code: int | None = 0, statuses: dict[str, str] | None = None, **more: Any) -> GateRun:
    run = {"schema": 1, "run_id": "run-1", "change": {"project": NEUTRON}, "driver": {"project": DRIVER}}
    write(root / "run.json", {**run, **more.pop("run", {})})
    stage_file(root, "prepare-gate")
    stage_file(root, UNIT_TESTS, exit_code, **more)
    stream_files(root, statuses or {"a.A.test_a": "passed", "a.A.test_b": "passed"})
    return read_case(root).run


def loaded(root: Path) -> ProofItem:
    (item,) = [
        item for item in gather_proof(root, read_run_facts(root)).items if item.name == "driver loaded by Neutron"
    ]
    return item


@pytest.mark.parametrize("exit_code", [0, 1])
def test_it_came_to_its_end_with_failed_tests_too(tmp_path: Path, exit_code: int) -> None:
    run = workspace(tmp_path, exit_code)
    assert run.finished()
    assert run.failed_stage() is None
    assert None not in run.times()


@pytest.mark.parametrize(
    ("exit_code", "with_change", "kinds"), [(3, True, ["stage"]), (3, False, []), (None, True, ["stage"])]
)
def test_a_stage_that_failed_is_a_symptom_once_the_change_had_a_part(
    tmp_path: Path, exit_code: int | None, with_change: bool, kinds: list[str]
) -> None:
    run = workspace(tmp_path, exit_code, with_change=with_change)
    assert not run.finished()
    assert [symptom.kind for symptom in symptoms_of(run)] == kinds


def test_a_time_out_is_one_of_all_tests(tmp_path: Path) -> None:
    run = workspace(tmp_path, 3, outcome="TIMED_OUT")
    assert [symptom.kind for symptom in symptoms_of(run)] == ["time-out"]


def test_a_worker_takes_the_place_of_a_shard(tmp_path: Path) -> None:
    # Two workers have run them; a trial needs the services of both.
    assert workspace(tmp_path).shards == 2
    assert workspace(tmp_path / "one", statuses={"a.A.test_a": "passed"}).shards == 1


def test_a_gate_in_the_same_workspace_begins_anew(tmp_path: Path) -> None:
    workspace(tmp_path)
    forget_later_stages(Workspace(tmp_path), "run-gate")
    run = read_case(tmp_path).run
    assert run.facts.stage(UNIT_TESTS) is None
    assert run.tests.tests == ()


def test_loaded_in_some_starts(tmp_path: Path) -> None:
    workspace(tmp_path)
    write(tmp_path / "logs/driver.json", {"schema": 1, "mechanism_drivers": ["example"]})
    write(tmp_path / "logs/unit-tests/neutron-0.log", WITH + WITH + WITHOUT)
    write(tmp_path / "logs/unit-tests/neutron-1.log", WITH)
    item = loaded(tmp_path)
    assert item.ok
    assert "example in 3 of 4 starts of ML2 in the tests, by 2 logs" in item.text


@pytest.mark.parametrize(
    ("log", "drivers"),
    [("", ["example"]), (WITHOUT, ["example"]), (LINE.format("['exam"), ["example"]), (WITH, []), (WITH, None)],
)
def test_not_proved(tmp_path: Path, log: str, drivers: object) -> None:
    workspace(tmp_path)
    write(tmp_path / "logs/driver.json", {"schema": 1, "mechanism_drivers": drivers})
    write(tmp_path / "logs/unit-tests/neutron-0.log", log)
    assert not loaded(tmp_path).ok


def test_links_prove_nothing(tmp_path: Path) -> None:
    workspace(tmp_path)
    write(tmp_path / "logs/driver.json", {"schema": 1, "mechanism_drivers": ["example"]})
    write(tmp_path / "elsewhere/neutron-0.log", WITH)
    (tmp_path / "logs/unit-tests").symlink_to(tmp_path / "elsewhere")
    assert not loaded(tmp_path).ok


@pytest.mark.parametrize(
    ("project", "configured", "needed"),
    [
        (DRIVER, None, False),
        (DRIVER, "null", False),
        (DRIVER, NEUTRON, True),
        (NEUTRON, DRIVER, False),
        (NEUTRON, None, True),
    ],
)
def test_the_drivers_own_tests_need_no_neutron(
    tmp_path: Path, project: str, configured: str | None, needed: bool
) -> None:
    settings = {} if configured is None else {"unit_tests.project": configured}
    workspace(tmp_path, run={"change": {"project": project}, "settings": settings})
    assert loaded(tmp_path).ok is not needed
