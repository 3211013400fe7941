"""The gate does not come up, breaks, or has nothing to run: exit codes 2 and 3, the cause named, nothing left."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.fakes.fake_openstack import CLASS, FakeSite, driver_files
from tests.fakes.waiting import wait_for

EXIT_AT_ONCE = ["{python}", "-c", "import sys; sys.exit('the licence has expired')"]


HARMLESS = {"doc.txt": "harmless\n"}


def require_ci_failure(site: FakeSite, *words: str) -> str:
    """ci-run-job ends with exit code 3 and one paragraph with these words; the change is not blamed."""
    done = site.command("ci-run-job", *site.change_flags())
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-run-job")
    for word in (*words, "Next: "):
        assert word in said, said
    verdict = json.loads(site.workspace.verdict_json.read_text())
    assert (verdict["exit_code"], verdict["blame"] in ("ci", "unknown")) == (3, True)
    assert site.left() == []
    return said


def test_a_driver_that_does_not_install(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(requires=["there-is-no-such-library>=1"]), HARMLESS)
    require_ci_failure(fake_site, "could not be installed", "there-is-no-such-library", "install-driver.log")
    assert fake_site.stage("install-driver")["exit_code"] == 3
    assert not (fake_site.workspace.stages_dir / "start-gate.json").exists()
    assert not fake_site.workspace.driver_json.exists()


def test_a_driver_that_raises_on_import(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(module="raise RuntimeError('no firmware')\n"), HARMLESS)
    require_ci_failure(fake_site, "neutron of shard 0 did not start", "no firmware", "neutron.out")
    neutron = fake_site.services()["neutron"]
    assert (neutron["state"], neutron["exit_status"]) == ("died", 22)


def test_a_driver_whose_entry_point_neutron_does_not_load(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(entry_points={"fake_renamed": "fake_driver:FakeDriver"}), HARMLESS)
    require_ci_failure(fake_site, "mechanism drivers were not found: {'fake'}")


def test_a_neutron_that_starts_without_the_driver(fake_site: FakeSite) -> None:
    fake_site.behave("neutron", loads=["logger"])
    require_ci_failure(fake_site, "Neutron did not load the mechanism driver fake; it loaded logger", "entry points")


def test_a_controller_that_is_down(fake_site: FakeSite) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/health"
        fake_site.write_config(probes=[{"name": "controller", "url": url}])
        require_ci_failure(fake_site, "the probe controller is red", url, "refused")
    assert not (fake_site.workspace.stages_dir / "install-driver.json").exists()


def test_a_controller_that_ends_at_once(fake_site: FakeSite) -> None:
    service = {"name": "controller", "command": EXIT_AT_ONCE, "ready_url": "{service.controller.url}/"}
    fake_site.write_config(services=[service])
    require_ci_failure(fake_site, "the service controller", "the licence has expired", "exit code 1")


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_the_port_of_the_controller_is_taken(fake_site: FakeSite, taken_port: int) -> None:
    url = f"http://127.0.0.1:{taken_port}"
    fake_site.write_config(services=[{"name": "controller", "command": EXIT_AT_ONCE, "url": url}])
    require_ci_failure(fake_site, f"port {taken_port} of 127.0.0.1 is taken", "ss -ltnp")


def test_somebody_takes_the_port_of_keystone(fake_site: FakeSite) -> None:
    said = "probably another instance of uWSGI is running on the same address. bind(): Address already in use"
    fake_site.behave("keystone", says=said, exits=1)
    require_ci_failure(fake_site, "keystone of shard 0 did not start", "Address already in use", "exit code 1")


def test_keystone_is_killed_in_the_middle(prepared_site: FakeSite) -> None:
    prepared_site.tests({f"{CLASS}.test_before": "pass", f"{CLASS}.test_under_way": "wait then pass"})
    running = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    os.kill(prepared_site.services()["keystone"]["pid"], signal.SIGKILL)
    done = prepared_site.end(running)
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-run-gate")
    assert "the gate broke while the tests ran: keystone (shard 0) ended by itself, killed by SIGKILL" in said
    assert "keystone.out" in said
    assert "Next: " in said
    keystone = prepared_site.services()["keystone"]
    assert (keystone["state"], keystone["exit_status"]) == ("died", -9)
    stage = prepared_site.stage("run-tempest")
    assert stage["exit_code"] == 3
    noticed = datetime.fromisoformat(stage["ended"]) - datetime.fromisoformat(keystone["ended"])
    assert 0 <= noticed.total_seconds() < 5
    summary = prepared_site.command("ci-summarize-results")
    assert summary.exit_code == 3
    verdict = json.loads(prepared_site.workspace.verdict_json.read_text())
    assert (verdict["rule"], verdict["blame"], verdict["outcome"]) == ("not-reproduced", "ci", "NODE_FAILURE")
    assert verdict["counts"]["passed"] == 1
    assert prepared_site.trials() == ["1-control", "2-change"]


def test_keystone_is_killed_while_tests_are_run_by_hand(prepared_site: FakeSite) -> None:
    prepared_site.tests({f"{CLASS}.test_under_way": "wait"})
    assert prepared_site.command("ci-start-gate").exit_code == 0
    running = prepared_site.begin("ci-run-tempest")
    prepared_site.wait_for_file("waiting")
    os.kill(prepared_site.services()["keystone"]["pid"], signal.SIGKILL)
    done = prepared_site.end(running, seconds=15)
    assert done.exit_code == 3
    again = prepared_site.command("ci-run-tempest")
    assert again.exit_code == 3
    assert "the gate is not healthy" in again.paragraph("ci-run-tempest")
    stopped = prepared_site.command("ci-stop-gate")
    assert stopped.exit_code == 0, stopped.errors


def test_a_supervisor_that_is_killed_is_noticed(prepared_site: FakeSite) -> None:
    prepared_site.tests({f"{CLASS}.test_under_way": "wait then pass"})
    running = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    os.kill(json.loads(prepared_site.workspace.gate_status.read_text())["supervisor_pid"], signal.SIGKILL)
    done = prepared_site.end(running)
    assert done.exit_code == 3
    assert "the gate's supervisor is gone" in done.paragraph("ci-run-gate")
    assert prepared_site.processes() == []
    assert prepared_site.command("ci-summarize-results").exit_code == 3
    assert prepared_site.verdict()["blame"] != "change"
    # Nobody was there to write that the services were stopped.
    prepared_site.workspace.gate_status.unlink()


@pytest.mark.parametrize("command", ["ci-run-tempest", "ci-run-gate"])
def test_a_regex_that_matches_nothing(prepared_site: FakeSite, command: str) -> None:
    prepared_site.write_config(tempest={"regex": "no_such_test"})
    if command == "ci-run-tempest":
        assert prepared_site.command("ci-start-gate").exit_code == 0
    done = prepared_site.command(command)
    assert done.exit_code == 2, done.errors
    assert "no test matches tempest.regex 'no_such_test'" in done.paragraph(command)
    assert "Next: " in done.paragraph(command)
    assert prepared_site.command("ci-stop-gate").exit_code == 0
    assert prepared_site.command("ci-summarize-results").exit_code in (2, 3)


def test_the_whole_job_with_a_regex_that_matches_nothing(fake_site: FakeSite) -> None:
    done = fake_site.command("ci-run-job", *fake_site.change_flags(), "--regex", "no_such_test")
    assert done.exit_code == 2, done.errors
    assert "'no_such_test'" in done.paragraph("ci-run-job")
    verdict = json.loads(fake_site.workspace.verdict_json.read_text())
    assert verdict["outcome"] != "SUCCESS"


def test_a_tempest_that_cannot_be_loaded(fake_site: FakeSite) -> None:
    fake_site.tests({"import errors": "No module named 'tempest_plugin_that_is_declared_only'"})
    require_ci_failure(fake_site, "could not load its tests", "tempest_plugin_that_is_declared_only")


def test_a_second_run_while_one_is_active(prepared_site: FakeSite) -> None:
    prepared_site.tests({f"{CLASS}.test_under_way": "wait"})
    first = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    before = prepared_site.workspace.run_json.read_bytes()
    for command, flags in [
        ("ci-prepare-gate", prepared_site.change_flags()),
        ("ci-run-job", prepared_site.change_flags()),
        ("ci-run-gate", []),
        ("ci-start-gate", []),
        ("ci-stop-gate", []),
        ("ci-install-driver", []),
        ("ci-run-tempest", []),
    ]:
        done = prepared_site.command(command, *flags)
        assert done.exit_code == 2, (command, done.errors)
        said = done.paragraph(command)
        assert f"another run is active in {prepared_site.workspace.root} (process {first.pid})" in said
        assert "--workspace" in said
    assert prepared_site.workspace.run_json.read_bytes() == before
    (prepared_site.control / "go").touch()
    done_first = prepared_site.end(first)
    assert done_first.exit_code == 0, done_first.errors
    assert prepared_site.command("ci-summarize-results").exit_code == 0


def test_a_gate_that_runs_already(prepared_site: FakeSite) -> None:
    assert prepared_site.command("ci-start-gate").exit_code == 0
    pids = {name: service["pid"] for name, service in prepared_site.services().items()}
    of_the_change = prepared_site.change_flags()
    for command, flags in [("ci-start-gate", []), ("ci-run-gate", []), ("ci-prepare-gate", of_the_change)]:
        done = prepared_site.command(command, *flags)
        assert done.exit_code == 2, (command, done.errors)
        assert "running" in done.paragraph(command)
        assert "ci-stop-gate" in done.paragraph(command)
    # The gate that is up is not harmed by those who were turned away.
    assert {name: service["pid"] for name, service in prepared_site.services().items()} == pids
    assert prepared_site.command("ci-run-tempest").exit_code == 0
    assert prepared_site.command("ci-stop-gate").exit_code == 0


def test_a_run_whose_owner_is_killed_leaves_no_gate(prepared_site: FakeSite) -> None:
    prepared_site.tests({f"{CLASS}.test_under_way": "wait"})
    first = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    first.kill()
    first.communicate()
    wait_for(lambda: not prepared_site.processes(), "end of all processes of a killed run")
    stopped = prepared_site.command("ci-stop-gate")
    assert stopped.exit_code == 0, stopped.errors
    for fifo in prepared_site.workspace.logs.glob("tempest/*.tests"):
        fifo.unlink()
