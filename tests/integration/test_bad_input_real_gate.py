"""What a fake cannot prove: how the real Neutron and the real Keystone fail, and that it is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.fakes.waiting import wait_for
from tests.integration.gate_runs import BIN, PORTS, Run

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("refs/changes/07/7/1", "cannot import name 'settings'"),
        ("refs/changes/09/9/1", "mechanism drivers were not found: {'example'}"),
    ],
    ids=["raises on import", "entry point is not loaded"],
)
def test_a_driver_that_neutron_does_not_load(
    make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path, ref: str, words: str
) -> None:
    run = make_run(tmp_path, CI_GATE_SHARDS="1")
    done = run.job(driver_repository, ref)
    assert done.exit_code == 1, done.output
    said = next(line for line in done.output.splitlines() if line.startswith("ci-run-job: "))
    assert "neutron of shard 0 did not start" in said
    assert words in said
    assert "Next: " in said
    neutron = next(service for service in run.services() if service["name"] == "neutron")
    assert neutron["state"] == "died"
    assert neutron["exit_status"] not in (None, 0)
    assert run.read("verdict.json")["rule"] == "fails-only-with-the-change"
    assert not run.workspace.stream.exists()


def test_keystone_is_killed_in_the_middle(
    make_run: Callable[..., Run], driver_repository: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, CI_GATE_SHARDS="1", CI_TEMPEST_REGEX=PORTS)
    run.prepare(driver_repository, "refs/changes/01/1/1")
    argv = [str(BIN / "ci-run-gate"), "--workspace", str(run.workspace.root)]
    gate = subprocess.Popen(argv, env=run.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    stream = run.workspace.stream
    wait_for(lambda: stream.exists() and stream.stat().st_size > 0, "first test under way", 120)
    os.kill(next(s["pid"] for s in run.services() if s["name"] == "keystone"), signal.SIGKILL)
    output, _ = gate.communicate(timeout=400)
    assert gate.returncode == 3, output
    assert "keystone (shard 0) ended by itself, killed by SIGKILL" in output
    keystone = next(service for service in run.services() if service["name"] == "keystone")
    assert (keystone["state"], keystone["exit_status"]) == ("died", -9)
    ended = datetime.fromisoformat(run.read("stages/run-tempest.json")["ended"])
    assert 0 <= (ended - datetime.fromisoformat(keystone["ended"])).total_seconds() < 5
    assert run.command("ci-summarize-results").exit_code == 3
    assert run.read("verdict.json")["blame"] == "ci"
