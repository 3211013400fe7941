"""ci-summarize-results --record: what the history adds to a verdict, and that it never changes an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.verdict.made_workspaces import gate_files, stream_files, write

SUMMARIZE = Path(sys.executable).with_name("ci-summarize-results")
SHA = "a" * 40
TEST = "m.First.test_a"
CONFIG = """\
name: Example CI
wiki: https://wiki.example.org/Example
driver: {project: p, package: networking-example}
"""
PACKAGES = "# openstack: Python 3.11.7\nneutron==29.0.0\noslo.db==%s\n# tempest: Python 3.11.7\ntempest==47.0.0\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ci.yaml"
    write(path, f"{CONFIG}cache_dir: {tmp_path / 'cache'}\n")
    return path


def run_of(root: Path, number: str, status: str, *, oslo_db: str = "18.1.1", kernel: str = "6.1.0") -> Path:
    """A run of change ``number`` in which the only test ended so, with everything proved."""
    change = {"number": number, "patchset": "1", "project": "p", "branch": "master", "revision": SHA}
    gate_files(
        root,
        run_id=f"run-{number}",
        created=f"2026-01-{int(number):02d}T12:00:00.000Z",
        job="example",
        change=change,
        driver={"project": "p"},
        checkouts={"p": {"commit": SHA, "tip": SHA, "contains_revision": True}},
        machine={"kernel": kernel},
    )
    stream_files(root, {TEST: status})
    for shard in (0, 1):
        write(root / f"logs/gate/shard{shard}/neutron.log", "Loaded mechanism driver names: ['logger', 'example']\n")
    driver = {"distribution": "networking-example", "version": "1", "commit": SHA, "mechanism_drivers": ["example"]}
    write(root / "logs/driver.json", driver)
    write(root / "logs/packages.txt", PACKAGES % oslo_db)
    return root


def summarize(root: Path, config: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    argv = [str(SUMMARIZE), "--workspace", str(root), "--config", str(config), *more]
    done = subprocess.run(argv, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    return done, json.loads((root / "verdict.json").read_text())


def test_a_failing_report_starts_with_what_moved_since_the_last_green_run(tmp_path: Path, config: Path) -> None:
    green, first = summarize(run_of(tmp_path / "1", "1", "passed"), config, "--record")
    assert green.returncode == 0 and first["history"] == ""
    failed, verdict = summarize(run_of(tmp_path / "2", "2", "failed", oslo_db="19.0.0", kernel="6.6.1"), config)
    assert failed.returncode == 3
    assert verdict["moved"][0].startswith("oslo.db 18.1.1 -> 19.0.0 since run run-1")
    assert any("6.1.0 -> 6.6.1" in line for line in verdict["moved"])
    assert failed.stdout.index("oslo.db 18.1.1 -> 19.0.0") < failed.stdout.index("Verdict: ")


def test_nothing_is_recorded_unless_asked(tmp_path: Path, config: Path) -> None:
    summarize(run_of(tmp_path / "1", "1", "passed"), config)
    _, verdict = summarize(run_of(tmp_path / "2", "2", "failed", oslo_db="19.0.0"), config)
    assert not (tmp_path / "cache").exists() and verdict["moved"] == []


def test_a_test_that_fails_on_two_other_changes_is_the_ci_s(tmp_path: Path, config: Path) -> None:
    verdicts = [
        summarize(run_of(tmp_path / number, number, "failed"), config, "--record")[1] for number in ("1", "2", "3")
    ]
    assert [(verdict["rule"], verdict["blame"]) for verdict in verdicts] == [
        ("nobody-knows", "unknown"),
        ("nobody-knows", "unknown"),
        ("fails-on-other-changes-too", "ci"),
    ]
    assert {entry["kind"] for entry in verdicts[2]["evidence"]} == {"history"}


@pytest.mark.parametrize(("status", "code"), [("passed", 0), ("failed", 3)])
def test_a_history_that_cannot_be_reached_changes_no_exit_code(
    tmp_path: Path, config: Path, status: str, code: int
) -> None:
    write(config, f"{CONFIG}history: {{url: 'postgresql://nobody@127.0.0.1:1/history', timeout_seconds: 2}}\n")
    done, verdict = summarize(run_of(tmp_path / "1", "1", status), config, "--record")
    assert done.returncode == code
    assert "history was not" in verdict["history"] and "history was not" in done.stderr
    assert "history was not" in done.stdout


def test_a_password_of_the_history_is_not_shown(tmp_path: Path, config: Path) -> None:
    write(tmp_path / "password", "hunter2\n")
    history = "{url: 'postgresql://nobody@127.0.0.1:1/history', password_file: password, timeout_seconds: 2}"
    write(config, f"{CONFIG}history: {history}\n")
    done, _ = summarize(run_of(tmp_path / "1", "1", "passed"), config, "--record")
    written = "".join(path.read_text(errors="replace") for path in (tmp_path / "1").rglob("*") if path.is_file())
    assert "hunter2" not in done.stdout + done.stderr + written
