"""What goes wrong on the devstack gate: each ends with its reason, everything stopped, and blames no change."""

from __future__ import annotations

import os
import signal

import pytest

from tests.fakes.fake_openstack import CLASS, FakeSite
from tests.fakes.waiting import wait_for
from tests.gates.devstack.devstack_site import DevstackSite


@pytest.fixture
def site(fake_site: FakeSite) -> DevstackSite:
    return DevstackSite(fake_site)


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("die", "git call failed: [git clone https://git.example.org/openstack/requirements] in ./stack.sh:"),
        ("pip", "ERROR: Could not find a version that satisfies the requirement oslo.thing>=1"),
        ("async", "RuntimeError: no table networks in init_neutron, after 'Configuring Neutron'"),
        ("kill", "stack.sh was killed by signal 9."),
    ],
)
def test_the_first_cause_of_a_stack_that_fails_is_told(site: DevstackSite, fault: str, cause: str) -> None:
    site.configure(fault)
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-run-gate")
    assert "gate_hook: stack.sh " in said and cause in said
    assert "logs/gate/stack.log" in said
    assert list((site.site.workspace.gate_logs / "shard0" / "devstack").glob("worlddump-*.txt"))
    assert site.calls() == ["unstack ", "clean", "unstack --all"]
    assert site.site.command("ci-summarize-results").exit_code == 3
    assert site.site.verdict()["blame"] in ("ci", "unknown")


def test_a_driver_that_was_not_loaded_is_no_gate(site: DevstackSite) -> None:
    site.configure("unloaded")
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert "did not load the mechanism driver fake; it loaded logger" in done.paragraph("ci-run-gate")


def test_a_tree_that_devstack_moved_is_not_what_is_tested(site: DevstackSite) -> None:
    site.configure("moved")
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert "DevStack installed example/fake-driver at" in done.paragraph("ci-run-gate")


def test_a_plugin_that_does_not_install_the_driver(site: DevstackSite) -> None:
    site.driver.commit({"devstack/plugin.sh": "true\n"})
    site.driver.change(2, 1, {"doc.txt": "x\n"})
    assert site.site.command("ci-prepare-gate", *site.site.change_flags("2,1")).exit_code == 0

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert "has no distribution 'fake-driver': the driver's plug-in did not install it" in done.paragraph("ci-run-gate")


def test_a_driver_without_a_plugin_is_refused_before_stack_sh(site: DevstackSite) -> None:
    (site.driver.folder / "devstack" / "plugin.sh").unlink()
    site.driver.commit({})
    site.driver.change(3, 1, {"doc.txt": "y\n"})
    assert site.site.command("ci-prepare-gate", *site.site.change_flags("3,1")).exit_code == 0

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert "has no devstack/plugin.sh" in done.paragraph("ci-run-gate")
    assert site.calls() == []


@pytest.mark.parametrize("command", ["ci-run-gate", "ci-start-gate"])
def test_sigterm_while_stack_sh_runs(site: DevstackSite, command: str) -> None:
    site.configure("hang")
    site.prepare()
    if command == "ci-start-gate":
        assert site.site.command("ci-install-driver").exit_code == 0
    process = site.site.begin(command)
    wait_for((site.base / "status" / "hangs").exists, "stack.sh hangs")

    os.kill(process.pid, signal.SIGTERM)
    done = site.site.end(process)

    assert done.exit_code == 143, done.errors
    # There is no time for clean.sh in an abort, and both sleeps are gone (the fixture looks for what is left).
    assert site.calls() == ["unstack "]
    assert site.site.left() == []


def test_the_first_cause_is_kept_when_unstack_fails_too(site: DevstackSite) -> None:
    site.configure("pip unstack")
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert "Could not find a version" in done.paragraph("ci-run-gate")
    assert "while stopping the gate: unstack.sh ended with exit code 1. ovs-vsctl: no such bridge" in done.errors
    # It can be tried again: what is not undone is not forgotten.
    again = site.site.command("ci-stop-gate")
    assert again.exit_code == 3 and "unstack.sh ended with exit code 1" in again.paragraph("ci-stop-gate")


def test_unstack_that_fails_alone_is_said(site: DevstackSite) -> None:
    site.configure("unstack")
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert "unstack.sh ended with exit code 1" in done.paragraph("ci-run-gate")


def test_a_neutron_that_dies_under_the_tests_ends_them(site: DevstackSite) -> None:
    site.site.tests({f"{CLASS}.test_a": "kill", f"{CLASS}.test_b": "wait", f"{CLASS}.test_c": "wait"})
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3, done.errors
    assert "has not answered for 4 s" in done.paragraph("ci-run-gate")
    assert "died" in {service["state"] for service in site.site.services().values()}
    assert site.site.command("ci-summarize-results").exit_code == 3


def test_what_is_no_devstack_is_refused(site: DevstackSite) -> None:
    (site.devstack.folder / "stack.sh").unlink()
    site.devstack.commit({})

    done = site.site.command("ci-prepare-gate", *site.site.change_flags())

    assert done.exit_code == 2
    said = done.paragraph("ci-prepare-gate")
    assert "is no DevStack: it has no stack.sh" in said and "gate.devstack" in said


def test_a_branch_that_devstack_has_not(site: DevstackSite) -> None:
    site.configure(devstack={"ref": "stable/of-long-ago"})

    done = site.site.command("ci-prepare-gate", *site.site.change_flags())

    assert done.exit_code == 3
    assert "openstack/devstack" in done.paragraph("ci-prepare-gate")
    assert "stable/of-long-ago" in done.paragraph("ci-prepare-gate")


def test_a_node_without_the_user(site: DevstackSite) -> None:
    site.configure(devstack={"user": "nobody-of-this-name"})

    done = site.site.command("ci-prepare-gate", *site.site.change_flags())

    assert done.exit_code == 2
    assert "create-stack-user.sh" in done.paragraph("ci-prepare-gate")


def test_a_node_on_which_another_runs_devstack_is_up(site: DevstackSite) -> None:
    other = site.site.folder / "other"
    (other / "gate").mkdir(parents=True)
    site.base.mkdir(parents=True)
    (site.base / ".ci-workspace").write_text(f"{other}\n")
    site.prepare()

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 3
    assert f"belongs to another run, in {other}" in done.paragraph("ci-run-gate")
    assert not (site.base / "devstack").exists()


def test_start_before_install(site: DevstackSite) -> None:
    site.prepare()

    done = site.site.command("ci-start-gate")

    assert done.exit_code == 2
    assert "run ci-install-driver first" in done.paragraph("ci-start-gate")


def test_an_option_that_devstack_cannot_take_leaves_nothing_behind(site: DevstackSite) -> None:
    options = {"ml2": {"mechanism_drivers": "logger,fake"}, "ml2_type_flat": {"flat_networks": "*"}}
    driver = {"project": "example/fake-driver", "source": site.driver.url, "neutron_config": {"ml2_conf.ini": options}}
    site.configure(driver=driver)
    site.prepare()

    done = site.site.command("ci-install-driver")

    assert done.exit_code == 2
    assert "[ml2_type_flat] flat_networks" in done.paragraph("ci-install-driver")
    # The services that it had started by hand are ended again.
    assert site.site.services()["controller"]["state"] == "stopped"
    assert site.site.left() == []
