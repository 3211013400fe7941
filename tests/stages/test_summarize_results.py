"""ci-summarize-results as a process would run it, on workspaces in every state."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from subunit.v2 import StreamResultToBytes

from ci_scripts import workspace as workspace_module
from ci_scripts.entry_point import call
from ci_scripts.errors import InfrastructureError
from ci_scripts.stages.summarize_results import summarize
from ci_scripts.verdict.tests_file import read_tests
from ci_scripts.workspace import Workspace
from tests.verdict.made_workspaces import rounds_files, trial_files

SHA = "a" * 40
STAGES = ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest", "stop-gate")
MODULE = "ci_scripts.stages.summarize_results"
CLASS = "tempest.api.network.test_networks.NetworksTest"


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def stream(**statuses: str) -> bytes:
    output = io.BytesIO()
    writer = StreamResultToBytes(output)
    for name, status in statuses.items():
        test_id = f"{CLASS}.{name}"
        writer.status(test_id=test_id, test_status="inprogress")
        if status != "inprogress":
            writer.status(test_id=test_id, test_status=status)
    return output.getvalue()


def finished_run(root: Path, **statuses: str) -> Workspace:
    """A workspace as a run leaves it whose tests ended so; everything else is well."""
    statuses = statuses or {"test_a": "success", "test_b": "success", "test_c": "skip"}
    checkout = {"commit": SHA, "contains_revision": True}
    run = {"schema": 1, "run_id": "run-1", "change": {"number": "1", "patchset": "1", "project": "p", "revision": SHA}}
    write(root / "run.json", run | {"driver": {"project": "p"}, "checkouts": {"p": checkout}})
    for minute, name in enumerate(STAGES):
        stage(root, name, minute=minute)
    services = [{"name": name, "shard": 0, "state": "stopped", "exit_status": 0} for name in ("keystone", "neutron")]
    write(root / "logs/gate/gate-status.json", {"schema": 1, "services": services})
    write(root / "logs/gate/shard0/neutron.log", "INFO Loaded mechanism driver names: ['logger', 'example']\n")
    driver = {"distribution": "networking-example", "version": "1", "commit": SHA, "mechanism_drivers": ["example"]}
    write(root / "logs/driver.json", driver)
    write(root / "logs/packages.txt", "# Python 3.11.7\nneutron==29.0.0\n")
    ids = [f"{CLASS}.{name}" for name in statuses]
    write(root / "logs/selected-tests.txt", "\n".join(ids) + "\n")
    write(root / "logs/testrepository.subunit", stream(**statuses))
    return Workspace(root)


def stage(root: Path, name: str, exit_code: int | None = 0, minute: int = 5, **more: Any) -> None:
    begun, ended = f"2026-01-31T12:{minute:02d}:00.000Z", f"2026-01-31T12:{minute:02d}:30.000Z"
    record = {"schema": 1, "name": name, "started": begun, "ended": ended, "exit_code": exit_code, "reason": None}
    write(root / f"stages/{name}.json", record | {"steps": []} | more)


def verdict_of(root: Path) -> tuple[str, str, int]:
    verdict = json.loads((root / "verdict.json").read_text())
    return verdict["outcome"], verdict["blame"], verdict["exit_code"]


def test_a_good_run_passes_and_leaves_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(tmp_path)

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 0
    assert verdict_of(tmp_path) == ("SUCCESS", "nobody", 0)
    for name in ("tests.json", "report/index.html", "report/junit.xml", "logs/testr_results.html"):
        assert (tmp_path / name).stat().st_size > 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"Report: {tmp_path}/report/index.html"
    assert any(line.startswith("Verdict: SUCCESS") for line in lines)
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["schema"] == 1 and verdict["run_id"] == "run-1" and verdict["rule"] == "passed"
    assert verdict["proof"]["complete"] and verdict["seconds"] == 330.0
    assert read_tests(tmp_path / "tests.json").counts["passed"] == 2
    assert json.loads((tmp_path / "stages/summarize-results.json").read_text())["exit_code"] == 0


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ({"test_a": "success", "test_b": "fail"}, ("ERROR", "unknown", 3)),
        ({"test_a": "success", "test_b": "inprogress"}, ("ERROR", "ci", 3)),
        ({"test_a": "skip", "test_b": "skip"}, ("ERROR", "ci", 3)),
    ],
)
def test_the_tests_decide_on_a_healthy_gate(tmp_path: Path, statuses, expected: tuple[str, str, int]) -> None:
    finished_run(tmp_path, **statuses)

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path), "--json"]) == expected[2]
    assert verdict_of(tmp_path) == expected


FAILED, AGAIN = f"{CLASS}.test_b", "alone"


@pytest.mark.parametrize(
    ("without", "with_it", "expected"),
    [
        ("passed", "failed", ("FAILURE", "change", 1)),
        ("failed", None, ("ERROR", "ci", 3)),
        ("passed", "passed", ("ERROR", "unknown", 3)),
        ("passed", None, ("ERROR", "unknown", 3)),
    ],
)
def test_the_trials_decide_whose_a_failed_test_is(
    tmp_path: Path, without: str, with_it: str | None, expected: tuple[str, str, int]
) -> None:
    finished_run(tmp_path, test_a="success", test_b="fail")
    rounds_files(tmp_path, (AGAIN, AGAIN, {FAILED: "failed"}))
    trial_files(tmp_path, "1-control", AGAIN, (AGAIN, AGAIN, {FAILED: without}))
    if with_it is not None:
        trial_files(tmp_path, "2-change", AGAIN, (AGAIN, AGAIN, {FAILED: with_it}))

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == expected[2]
    assert verdict_of(tmp_path) == expected
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert any(entry["file"] == "trials/1-control/run.json" for entry in (*verdict["evidence"], *verdict["context"]))


def test_a_flaky_test_is_listed_and_passes(tmp_path: Path) -> None:
    finished_run(tmp_path, test_a="success", test_b="fail")
    neighbours = [(f"neighbours-{number}", "neighbours", {FAILED: "passed"}) for number in (1, 2, 3)]
    rounds_files(tmp_path, (AGAIN, AGAIN, {FAILED: "passed"}), *neighbours)

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 0
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert (verdict["outcome"], verdict["flaky"]) == ("SUCCESS", [FAILED])


MISSING = [
    ("logs/testrepository.subunit", "no-tests"),
    ("logs/selected-tests.txt", "selection-unknown"),
    ("logs/gate/gate-status.json", "gate-health-unknown"),
    ("logs/gate/shard0/neutron.log", "unproved"),
    ("logs/driver.json", "unproved"),
    ("logs/packages.txt", "unproved"),
    ("run.json", "unproved"),
]


@pytest.mark.parametrize(("name", "rule"), MISSING)
@pytest.mark.parametrize("how", ["missing", "link", "folder", "empty"])
def test_a_missing_or_unusable_file_is_never_a_pass(tmp_path: Path, name: str, rule: str, how: str) -> None:
    root = tmp_path / "run"
    finished_run(root)
    (root / name).rename(tmp_path / "outside")
    if how == "link":
        (root / name).symlink_to(tmp_path / "outside")
    elif how == "folder":
        (root / name).mkdir()
    elif how == "empty":
        (root / name).touch()

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(root)]) == 3
    verdict = json.loads((root / "verdict.json").read_text())
    assert verdict["blame"] != "change" and verdict["outcome"] == "ERROR"
    if how == "missing":
        assert verdict["rule"] == rule


def test_an_empty_workspace_has_a_verdict(tmp_path: Path) -> None:
    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 3
    assert verdict_of(tmp_path) == ("ERROR", "ci", 3)
    assert ElementTree.parse(tmp_path / "report/junit.xml").getroot().tag == "testsuites"


@pytest.mark.parametrize("outcome", ["SKIPPED", "MERGER_FAILURE"])
@pytest.mark.parametrize("where", ["stage", "verdict"])
def test_what_prepare_gate_found_stays(tmp_path: Path, outcome: str, where: str) -> None:
    stage(tmp_path, "prepare-gate", 4, reason="only documentation", outcome=outcome if where == "stage" else None)
    if where == "verdict":
        write(tmp_path / "verdict.json", {"schema": 1, "outcome": outcome, "blame": "nobody", "exit_code": 4})

    for _ in range(2):
        assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 4
        assert verdict_of(tmp_path) == (outcome, "nobody", 4)
    assert json.loads((tmp_path / "verdict.json").read_text())["reasons"] == ["only documentation"]


def test_failed_tests_and_a_failed_stage_without_a_control_run_are_nobodys_known_fault(tmp_path: Path) -> None:
    finished_run(tmp_path, test_a="fail")
    stage(tmp_path, "run-tempest", 3, reason="neutron died", outcome="TIMED_OUT")

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 3
    assert verdict_of(tmp_path) == ("TIMED_OUT", "unknown", 3)


def test_a_stage_that_failed_before_the_change_had_a_part_in_it_is_the_cis(tmp_path: Path) -> None:
    finished_run(tmp_path, test_a="fail")
    stage(tmp_path, "run-gate", 3, reason="the probe controller is red", with_change=False)

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 3
    assert verdict_of(tmp_path) == ("ERROR", "ci", 3)


def test_an_abort_keeps_its_exit_code(tmp_path: Path) -> None:
    finished_run(tmp_path, test_a="fail")
    stage(tmp_path, "run-gate", 143)

    assert call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)]) == 143
    assert verdict_of(tmp_path) == ("ABORTED", "nobody", 143)


def test_the_same_files_give_the_same_verdict(tmp_path: Path) -> None:
    workspace = finished_run(tmp_path, test_a="fail", test_b="success")
    first, second = (
        summarize(workspace, None, environment={}).as_json(),
        summarize(workspace, None, environment={}).as_json(),
    )

    assert {**first, "made": ""} == {**second, "made": ""}


def test_json_on_standard_output_is_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished_run(tmp_path)
    call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path), "--json"])

    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "verdict.json").read_text())


def test_a_full_disk_names_the_file_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = finished_run(tmp_path)
    replace = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target).name == "junit.xml":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(workspace_module.os, "replace", full)
    with pytest.raises(InfrastructureError, match=r"report/junit\.xml could not be written: No space left") as caught:
        summarize(workspace, None, environment={})
    assert caught.value.exit_code == 3 and "free some space" in str(caught.value)
    assert not workspace.verdict_json.exists()
    assert sorted(path.name for path in workspace.report_dir.iterdir()) == ["index.html"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_that_is_full_is_no_bug_of_ours(tmp_path: Path) -> None:
    finished_run(tmp_path)
    code = f"import sys; from ci_scripts.entry_point import call; sys.exit(call({MODULE!r}, 'ci-summarize-results'))"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "WORKSPACE": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 3, done.stderr
    assert "disk is full" in done.stderr and "Traceback" not in done.stderr


def test_a_link_left_by_the_node_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    workspace = finished_run(tmp_path / "run")
    (tmp_path / "run" / "report").symlink_to(outside)

    with pytest.raises(InfrastructureError, match="is a link"):
        summarize(workspace, None, environment={})
    assert list(outside.iterdir()) == []


def test_names_of_tests_cannot_drive_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = finished_run(tmp_path)
    output = io.BytesIO()
    writer = StreamResultToBytes(output)
    writer.status(test_id="a.b\x1b]0;owned\x07\r.test", test_status="fail")
    write(workspace.stream, output.getvalue())
    call(MODULE, "ci-summarize-results", ["--workspace", str(tmp_path)])
    text = capsys.readouterr().out

    assert "\x1b" not in text and "\r" not in text and "a.b\\x1b]0;owned\\x07\\x0d.test" in text


def test_help_loads_no_module_of_the_domain() -> None:
    code = (
        f"import sys; from ci_scripts.entry_point import call; call({MODULE!r}, 'x', ['--help']); "
        "print([m for m in ('jinja2', 'subunit', 'rich', 'git', 'pydantic', 'ci_scripts.verdict') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines()[-1] == "[]"
    assert "--workspace" in done.stdout and "--json" in done.stdout
