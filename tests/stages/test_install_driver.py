"""ci-install-driver as it is installed, with real uv and a driver that is built from its checkout."""

from __future__ import annotations

import configparser
import json

from tests.fakes.fake_openstack import PROJECT, FakeSite, driver_files
from tests.fakes.wheels import write_wheel


def test_what_is_recorded(prepared_site: FakeSite) -> None:
    prepared_site.workspace.driver_json.unlink()
    prepared_site.workspace.packages_txt.unlink()
    done = prepared_site.command("ci-install-driver")
    assert done.exit_code == 0, done.errors
    driver = json.loads(prepared_site.workspace.driver_json.read_text())
    run = json.loads(prepared_site.workspace.run_json.read_text())
    assert (driver["distribution"], driver["version"], driver["mechanism_drivers"]) == ("fake-driver", "1.0", ["fake"])
    assert driver["commit"] == run["checkouts"][PROJECT]["commit"]
    assert f"driver: fake-driver 1.0 {driver['commit']}" in done.errors
    packages = prepared_site.workspace.packages_txt.read_text()
    assert packages.index("# openstack: Python 3") < packages.index("neutron==29.0.0") < packages.index("# tempest:")
    assert "tempest==47.0.0" in packages


def test_neutron_config_is_rendered(prepared_site: FakeSite) -> None:
    config = {"ml2_conf.ini": {"ml2": {"mechanism_drivers": "fake"}, "ml2_fake": {"url": "{neutron.url}/x"}}}
    driver = {"project": PROJECT, "source": prepared_site.index.driver.url, "neutron_config": config}
    prepared_site.write_config(driver=driver)
    assert prepared_site.command("ci-install-driver").exit_code == 0
    assert prepared_site.command("ci-start-gate").exit_code == 0
    written = configparser.ConfigParser(interpolation=None)
    shard = prepared_site.workspace.gate_dir / "shard0"
    assert written.read(shard / "neutron" / "driver-ml2_conf.ini")
    access = json.loads((prepared_site.workspace.gate_dir / "access.json").read_text())
    assert written.get("ml2_fake", "url") == f"{access['shards'][0]['neutron_url']}/x"
    assert prepared_site.command("ci-stop-gate").exit_code == 0


def test_a_driver_that_is_changed_is_installed_anew(prepared_site: FakeSite) -> None:
    source = prepared_site.workspace.src / PROJECT
    (source / "fake_driver.py").write_text("class FakeDriver: changed = True\n")
    assert prepared_site.command("ci-install-driver").exit_code == 0
    (found,) = prepared_site.workspace.environments_dir.glob("openstack/lib/python3*/site-packages/fake_driver.py")
    assert "changed" in found.read_text()


def test_openstack_does_not_change_for_its_sake(prepared_site: FakeSite) -> None:
    write_wheel(prepared_site.index.wheels, "neutron", "28.0.0", {})
    source = prepared_site.workspace.src / PROJECT
    for name, text in driver_files(requires=["neutron<29"]).items():
        (source / name).write_text(text)
    done = prepared_site.command("ci-install-driver")
    assert done.exit_code == 3
    assert "could not be installed" in done.paragraph("ci-install-driver")
    assert "neutron" in done.paragraph("ci-install-driver")
    # An old record must not pass for that of this attempt.
    assert not prepared_site.workspace.driver_json.exists()
