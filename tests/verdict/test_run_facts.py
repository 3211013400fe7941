"""Stage files and the gate's status, as a hostile node may leave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ci_scripts.verdict.run_facts import read_run_facts, seconds_of_run


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_an_empty_workspace_has_no_facts(tmp_path: Path) -> None:
    facts = read_run_facts(tmp_path)

    assert (facts.run, facts.stages, facts.services, facts.problems) == ({}, (), None, ())
    assert seconds_of_run(facts) is None


def test_stages_come_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    for name, minute in (("run-gate", 1), ("prepare-gate", 0), ("summarize-results", 9)):
        begun, ended = f"2026-01-31T12:{minute:02d}:00.000Z", f"2026-01-31T12:{minute:02d}:30.000Z"
        entry = {"schema": 1, "name": name, "started": begun, "ended": ended, "exit_code": 0, "steps": [{"name": "x"}]}
        write(tmp_path / "stages" / f"{name}.json", entry)
    facts = read_run_facts(tmp_path)

    assert [stage.name for stage in facts.stages] == ["prepare-gate", "run-gate", "summarize-results"]
    assert facts.stages[0].steps == (("x", None, None),)
    assert seconds_of_run(facts) == 90.0


def test_a_dead_service_comes_with_the_end_of_its_log(tmp_path: Path) -> None:
    write(tmp_path / "logs/gate/shard0/neutron.log", "x" * 10_000 + "\nSegmentation fault\n")
    status = {"name": "neutron", "shard": 0, "state": "died", "exit_status": -11, "log": "logs/gate/shard0/neutron.log"}
    outside = {"name": "other", "shard": 1, "state": "died", "log": "/etc/passwd"}
    climbing = {"name": "climbing", "shard": 1, "state": "hung", "log": "logs/../../secret"}
    write(tmp_path / "logs/gate/gate-status.json", {"schema": 1, "services": [status, outside, climbing, "nonsense"]})
    services = read_run_facts(tmp_path).services or ()

    assert [(service.state, service.exit_status, service.shard) for service in services][0] == ("died", -11, "0")
    assert (services[0].tail or "").endswith("Segmentation fault\n") and len(services[0].tail or "") == 4000
    assert services[1].tail is None and services[2].tail is None and len(services) == 3


def test_an_unknown_state_is_no_sign_of_health(tmp_path: Path) -> None:
    write(tmp_path / "logs/gate/gate-status.json", {"schema": 1, "services": [{"name": "neutron", "state": ["ready"]}]})

    assert [service.state for service in read_run_facts(tmp_path).services or ()] == ["starting"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": 2}', "[" * 50_000, '{"schema": "1"}'])
def test_what_cannot_be_read_is_said(tmp_path: Path, content: str) -> None:
    write(tmp_path / "run.json", content)
    write(tmp_path / "stages/run-gate.json", content)
    facts = read_run_facts(tmp_path)

    assert len(facts.problems) == 2 and facts.stages == ()


def test_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    write(outside, {"schema": 1, "run_id": "stolen"})
    root = tmp_path / "workspace"
    root.mkdir()
    (root / "run.json").symlink_to(outside)
    facts = read_run_facts(root)

    assert facts.run == {} and len(facts.problems) == 1


def test_values_of_a_wrong_type_become_nothing(tmp_path: Path) -> None:
    entry = {"schema": 1, "name": 3, "started": {}, "ended": 5, "exit_code": "0", "reason": ["x"], "steps": "many"}
    write(tmp_path / "stages/run-gate.json", entry)
    stage = read_run_facts(tmp_path).stages[0]

    assert (stage.name, stage.started, stage.ended, stage.exit_code, stage.steps) == ("run-gate", None, None, None, ())


@pytest.mark.parametrize("outcome", ["SKIPPED", "MERGER_FAILURE"])
def test_the_early_end_is_known_from_the_stage_or_from_the_verdict(tmp_path: Path, outcome: str) -> None:
    write(tmp_path / "verdict.json", {"schema": 1, "outcome": outcome})
    assert read_run_facts(tmp_path).early_outcome == outcome
    write(tmp_path / "stages/prepare-gate.json", {"schema": 1, "exit_code": 4, "outcome": outcome})
    (tmp_path / "verdict.json").unlink()
    assert read_run_facts(tmp_path).early_outcome == outcome
    write(tmp_path / "stages/run-gate.json", {"schema": 1, "exit_code": 0})
    assert read_run_facts(tmp_path).early_outcome is None


@pytest.mark.parametrize("run_id", ["../x", "a b", "", "x/y", "-rf", "a..b", "x" * 101, 7, None, ["x"]])
def test_a_run_id_that_is_no_plain_word_is_left_out_and_said(tmp_path: Path, run_id: object) -> None:
    write(tmp_path / "run.json", {"schema": 1, "run_id": run_id, "gate": {"kind": "local"}})
    facts = read_run_facts(tmp_path)
    assert facts.run.get("run_id") is None and facts.run["gate"] == {"kind": "local"}
    assert len(facts.problems) == (run_id is not None)
