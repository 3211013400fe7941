"""ci-stop-gate as it is installed, on a fake OpenStack."""

from __future__ import annotations

import os
import signal

from tests.fakes.fake_openstack import FakeSite


def test_it_is_safe_to_run_again_and_where_nothing_runs(prepared_site: FakeSite) -> None:
    assert prepared_site.command("ci-stop-gate").exit_code == 0
    assert prepared_site.command("ci-start-gate").exit_code == 0
    for _ in range(2):
        done = prepared_site.command("ci-stop-gate")
        assert done.exit_code == 0, done.errors
        assert prepared_site.left() == []
    assert prepared_site.stage("stop-gate")["exit_code"] == 0


def test_a_gate_can_be_started_again(prepared_site: FakeSite) -> None:
    pids = []
    for _ in range(2):
        assert prepared_site.command("ci-start-gate").exit_code == 0
        pids.append(prepared_site.services()["neutron"]["pid"])
        assert prepared_site.command("ci-stop-gate").exit_code == 0
    assert pids[0] != pids[1]


def test_services_that_hang_are_ended(prepared_site: FakeSite) -> None:
    assert prepared_site.command("ci-start-gate").exit_code == 0
    for service in prepared_site.services().values():
        os.kill(service["pid"], signal.SIGSTOP)
    done = prepared_site.command("ci-stop-gate")
    assert done.exit_code == 0, done.errors
    assert prepared_site.left() == []


def test_a_bad_ci_yaml_does_not_hide_the_reason(prepared_site: FakeSite) -> None:
    assert prepared_site.command("ci-start-gate").exit_code == 0
    good = prepared_site.config.read_text()
    prepared_site.config.write_text("gaet: 1\n")
    assert prepared_site.command("ci-stop-gate").exit_code == 2
    prepared_site.config.write_text(good)
    assert prepared_site.command("ci-stop-gate").exit_code == 0
