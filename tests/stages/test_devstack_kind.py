"""The installed commands on the devstack gate, with a stand-in for DevStack (tests/fakes/standin_devstack)."""

from __future__ import annotations

import configparser
import json
from typing import Any

import pytest

from tests.fakes.fake_openstack import CLASS, FakeSite
from tests.fakes.waiting import wait_for
from tests.gates.devstack.devstack_site import DevstackSite


@pytest.fixture
def site(fake_site: FakeSite) -> DevstackSite:
    return DevstackSite(fake_site)


def test_a_whole_run_passes_and_is_proved(site: DevstackSite) -> None:
    site.prepare()
    run = site.site.workspace.read_run()
    assert run["gate"]["devstack"] == {"source": site.devstack.url, "ref": "master", "commit": site.devstack.tip()}
    assert list(run["environments"]) == ["tempest"]

    done = site.site.command("ci-run-gate")

    assert done.exit_code == 0, done.errors
    assert "DevStack: Starting Neutron" in site.site.workspace.console_log.read_text()
    assert site.site.command("ci-summarize-results").exit_code == 0
    verdict = site.site.verdict()
    assert (verdict["outcome"], verdict["blame"]) == ("SUCCESS", "nobody")
    assert verdict["proof"]["complete"], verdict["proof"]
    assert {name: service["state"] for name, service in site.site.services().items()} == {
        "controller": "stopped",
        "keystone": "stopped",
        "neutron": "stopped",
        "neutron-log": "stopped",
    }
    assert site.calls() == ["unstack ", "clean", "unstack --all"]


def test_what_is_recorded_is_what_devstack_installed(site: DevstackSite) -> None:
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        done = site.site.command(name)
        assert done.exit_code == 0, done.errors
    workspace = site.site.workspace
    driver = json.loads(workspace.driver_json.read_text())
    assert (driver["distribution"], driver["version"], driver["mechanism_drivers"]) == ("fake-driver", "1.0", ["fake"])
    assert driver["commit"] == workspace.read_run()["checkouts"]["example/fake-driver"]["commit"]
    packages = workspace.packages_txt.read_text()
    assert "fake-driver==1.0" in packages and "tempest==47.0.0" in packages
    assert "# openstack: Python 3." in packages and "# tempest: Python 3." in packages
    assert site.site.command("ci-stop-gate").exit_code == 0


def test_neutrons_log_grows_with_devstacks(site: DevstackSite) -> None:
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        assert site.site.command(name).exit_code == 0
    with open(site.base / "logs" / "neutron-api.log", "a") as log:
        log.write("a later line, which a vendor's check wants to see\n")

    ours = site.site.workspace.gate_logs / "shard0" / "neutron.log"
    wait_for(lambda: "a later line" in ours.read_text(), "the line in our log")

    assert ours.read_text().count("Loaded mechanism driver names") == 1
    assert site.site.command("ci-stop-gate").exit_code == 0
    assert ours.read_text().count("Loaded mechanism driver names") == 1


def test_options_reach_neutron_and_tempest(site: DevstackSite) -> None:
    site.configure(tempest={"regex": "^tempest", "config": {"network": {"project_network_cidr": "10.1.0.0/16"}}})
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        assert site.site.command(name).exit_code == 0
    workspace = site.site.workspace

    neutron = read_ini(site.base / "etc" / "neutron" / "ml2_conf.ini")
    urls = json.loads((workspace.gate_dir / "service-urls.json").read_text())["urls"]
    assert neutron.get("ml2", "mechanism_drivers") == "logger,fake"
    assert neutron.get("ml2_fake", "url") == urls["all"]["controller"]
    tempest = read_ini(workspace.gate_dir / "shard0" / "tempest" / "etc" / "tempest.conf")
    assert tempest.get("identity", "uri_v3").endswith("/identity/v3")
    assert tempest.get("service_available", "nova") == "False"
    assert tempest.get("network", "project_network_cidr") == "10.1.0.0/16"
    # DevStack's place for locks belongs to its own user.
    assert tempest.get("oslo_concurrency", "lock_path").startswith(str(workspace.root))
    assert site.site.command("ci-stop-gate").exit_code == 0


def read_ini(path: object) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(default_section="none")
    parser.read(str(path))
    return parser


def test_no_password_is_published(site: DevstackSite) -> None:
    site.site.variables["LAB_PASSWORD"] = "lab$secret`x"
    driver = json.loads(site.site.config.read_text())["driver"]
    driver["neutron_config"]["ml2_conf.ini"]["ml2_fake"] = {"password": "{secret.lab}"}
    site.configure(driver=driver, secrets=[{"name": "lab", "environment": "LAB_PASSWORD"}])
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        assert site.site.command(name).exit_code == 0
    passwords = json.loads((site.site.workspace.gate_dir / "devstack-passwords.json").read_text())["passwords"]
    assert read_ini(site.base / "etc/neutron/ml2_conf.ini").get("ml2_fake", "password") == "lab$secret`x"
    assert site.site.command("ci-stop-gate").exit_code == 0

    logs = site.site.workspace.gate_logs
    assert "ADMIN_PASSWORD=***" in (logs / "local.conf").read_text()
    assert "services.py" in (logs / "stack.log").read_text()
    assert "********" in (logs / "stack.log").read_text()
    assert (logs / "shard0" / "devstack" / "neutron-api.log").exists()
    assert site.secrets_in_logs(*passwords.values(), "lab$secret`x", r"lab\$secret\`x", r"lab\\$secret\\`x") == []


def test_the_passwords_are_new_each_time(site: DevstackSite) -> None:
    site.prepare()
    path = site.site.workspace.gate_dir / "devstack-passwords.json"
    seen = []
    for _ in range(2):
        assert site.site.command("ci-install-driver").exit_code == 0
        seen.append(json.loads(path.read_text())["passwords"])
        assert path.stat().st_mode & 0o077 == 0
        assert site.site.command("ci-stop-gate").exit_code == 0
    assert not set(seen[0].values()) & set(seen[1].values())
    assert all(len(value) == 20 and value.isalnum() for value in seen[0].values())


def test_devstack_gets_the_checkout_with_its_local_patch_and_no_borrowed_objects(site: DevstackSite) -> None:
    site.prepare()
    checkout = site.site.workspace.src / "example" / "fake-driver"
    (checkout / "patched.txt").write_text("by a patch of the CI's own\n")

    assert site.site.command("ci-install-driver").exit_code == 0

    tree = site.base / "fake-driver"
    assert (tree / "patched.txt").exists() and (tree / "doc.txt").exists()
    assert not (tree / ".git/objects/info/alternates").exists()
    assert (checkout / ".git/objects/info/alternates").exists()
    assert tree.stat().st_mode & 0o777 == 0o755
    assert site.site.command("ci-stop-gate").exit_code == 0


def test_an_old_devstack_without_clouds_yaml_is_asked_through_openrc(site: DevstackSite) -> None:
    site.configure(devstack={"localrc": {"CLOUDS_YAML": "none"}})
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        done = site.site.command(name)
        assert done.exit_code == 0, done.errors
    access = json.loads((site.site.workspace.gate_dir / "access.json").read_text())["shards"][0]
    assert access["username"] == "admin" and access["keystone_url"].endswith("/identity/v3")
    assert site.site.command("ci-stop-gate").exit_code == 0


def test_failed_tests_are_tried_on_no_second_gate(site: DevstackSite) -> None:
    site.site.tests({f"{CLASS}.test_bad": "fail", f"{CLASS}.test_good": "pass"})
    site.prepare()

    assert site.site.command("ci-run-gate").exit_code == 0

    assert site.site.trials() == []
    assert "the newest scheduled one in the history" in site.site.workspace.console_log.read_text()
    assert site.site.command("ci-summarize-results").exit_code == 3
    assert site.site.verdict()["blame"] == "unknown"


GOOD, OFTEN_BAD = f"{CLASS}.test_good", f"{CLASS}Other.test_often_bad"


def test_a_scheduled_control_run_tells_the_changes_failures_from_the_cis(site: DevstackSite) -> None:
    # Only with green probes may a control run speak against a change.
    probes = [{"name": "controller", "url": "{service.controller.url}/"}]
    site.configure(history={"url": f"sqlite:///{site.site.folder / 'history.sqlite'}"}, probes=probes)
    site.site.tests({GOOD: "driver", OFTEN_BAD: "pass"})
    site.driver.change(2, 1, {"behaviour.json": json.dumps({GOOD: "fail"})})

    control = whole_run(site, "--control-run")
    harmful = whole_run(site, "--change", "2,1", "--project", "example/fake-driver")
    assert (control["outcome"], control["blame"]) == ("SUCCESS", "nobody")
    assert (harmful["rule"], harmful["blame"], harmful["exit_code"]) == ("newest-control-run", "change", 1)
    assert GOOD in " ".join(harmful["reasons"])

    site.site.tests({GOOD: "driver", OFTEN_BAD: "fail"})
    whole_run(site, "--control-run")
    harmless = whole_run(site, *site.site.change_flags()[2:])
    assert (harmless["rule"], harmless["blame"], harmless["exit_code"]) == ("newest-control-run", "ci", 3)


def whole_run(site: DevstackSite, *which: str) -> dict[str, Any]:
    """Prepared, run, judged and kept in the history, as the job does it; the verdict."""
    config = ("--config", str(site.site.config))
    done = site.site.command("ci-prepare-gate", *config, "--job", "devstack-job", *which)
    assert done.exit_code == 0, done.errors
    assert site.site.command("ci-run-gate").exit_code == 0
    site.site.command("ci-summarize-results", *config, "--record")
    assert site.site.verdict()["history"] == ""
    return site.site.verdict()


def test_stopping_twice_does_nothing_the_second_time(site: DevstackSite) -> None:
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate", "ci-stop-gate"):
        assert site.site.command(name).exit_code == 0
    calls = site.calls()

    assert site.site.command("ci-stop-gate").exit_code == 0

    assert site.calls() == calls


def test_two_gates_at_once_are_refused(site: DevstackSite) -> None:
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        assert site.site.command(name).exit_code == 0

    again = site.site.command("ci-start-gate")
    prepare = site.site.command("ci-prepare-gate", *site.site.change_flags())

    assert again.exit_code == 2 and "already running" in again.paragraph("ci-start-gate")
    assert prepare.exit_code == 2 and "ci-stop-gate" in prepare.paragraph("ci-prepare-gate")
    assert site.site.command("ci-stop-gate").exit_code == 0
