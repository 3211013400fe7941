"""The installed commands on the kind devstack-gate, with stand-ins for the wrapper and for DevStack."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_openstack import CLASS, PROJECT, FakeIndex
from tests.fakes.standin_devstack_gate.site import GateSite
from tests.repositories import NEUTRON, Remote, git

SERVER = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]))"
CONTROLLER = {
    "name": "controller",
    "command": ["{python}", "-c", SERVER, "{port}"],
    "ready_url": "{service.controller.url}/",
}


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[GateSite]:
    """Nothing may be left when a test ends."""
    site = GateSite(tmp_path / "site", fake_index)
    try:
        yield site
        assert site.left() == []
    finally:
        site.clear()


def test_a_whole_run_passes_and_is_proved(site: GateSite) -> None:
    site.write_config(services=[CONTROLLER], probes=[{"name": "controller", "url": "{service.controller.url}/"}])
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert site.steps() == dict.fromkeys(
        [
            "start the services",
            "ask the probes",
            "start the wrapper",
            "set up the host",
            "set up the workspace",
            "pre_test_hook",
            "gate_hook",
            "post_test_hook",
            "clean up the host",
            "collect the wrapper's logs",
            "ask the probes again",
            "stop the gate",
        ],
        "done",
    )
    assert site.stage("run-gate")["wrapper"] == {"exit_code": 0, "ended_in": "clean up the host"}
    # The change is in what was tested, and devstack-gate itself is the pinned one there, too.
    assert (site.layout.dest / "fake-driver" / "doc.txt").exists()
    assert (site.layout.dest / "devstack-gate" / "devstack-vm-gate.sh").exists()
    assert site.command("ci-summarize-results").exit_code == 0
    verdict = site.verdict()
    assert (verdict["outcome"], verdict["blame"]) == ("SUCCESS", "nobody")
    assert verdict["proof"]["complete"], verdict["proof"]
    assert {service["state"] for service in site.services().values()} == {"stopped"}


def test_failed_tests_are_no_failure_of_the_gate(site: GateSite) -> None:
    site.tests({f"{CLASS}.test_bad": "fail"})
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert "*** FAILED with status: 1" in site.console()
    assert site.stage("run-tempest")["exit_code"] == 1
    assert site.trials() == []


def test_our_logs_survive_the_wrapper_and_its_own_come_as_plain_files(site: GateSite) -> None:
    """It deletes logs/ of its WORKSPACE, moves it to BASE and leaves a link."""
    site.prepare()
    before = (site.workspace.logs / "git.log").read_text()
    assert site.command("ci-run-gate").exit_code == 0
    assert (site.workspace.logs / "git.log").read_text().startswith(before)
    assert "prepare the environment tempest" in site.workspace.console_log.read_text()
    assert site.layout.logs.is_symlink()
    collected = site.layout.collected
    names = {str(path.relative_to(collected)) for path in collected.rglob("*")}
    assert names >= {
        "devstack-gate-setup-host.txt",
        "devstack-gate-setup-workspace-new.txt",
        "devstack-gate-pre_test_hook.txt",
        "devstack-gate-post_test_hook.txt",
        "devstack-gate-cleanup-host.txt",
        "devstack-early.txt",
        "reproduce.sh",
    }
    assert not any(path.is_symlink() for path in site.workspace.logs.rglob("*"))


def test_neutron_gets_the_options_and_the_services_address(site: GateSite) -> None:
    options = {"ml2": {"mechanism_drivers": "logger,fake"}, "ml2_fake": {"url": "{service.controller.url}"}}
    driver = {"project": PROJECT, "source": site.driver.url, "neutron_config": {"ml2_conf.ini": options}}
    site.write_config(services=[CONTROLLER], driver=driver)
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    parser = configparser.RawConfigParser(default_section="none")
    parser.read(site.layout.dest / "etc" / "neutron" / "ml2_conf.ini")
    urls = json.loads((site.workspace.gate_dir / "service-urls.json").read_text())["urls"]
    assert parser.get("ml2_fake", "url") == urls["all"]["controller"]
    assert "enable_plugin fake-driver" in (site.layout.dest / "devstack" / "local.conf").read_text()


def test_lab_credentials_are_in_no_log_and_not_in_the_wrappers_environment(site: GateSite) -> None:
    secret = "hunter-2-of-the-lab"
    site.variables["LAB_PASSWORD"] = secret
    options = {"ml2": {"mechanism_drivers": "logger,fake"}, "ml2_fake": {"password": "{secret.lab}"}}
    driver = {"project": PROJECT, "source": site.driver.url, "neutron_config": {"ml2_conf.ini": options}}
    site.write_config(driver=driver, secrets=[{"name": "lab", "environment": "LAB_PASSWORD"}])
    site.prepare()
    assert site.command("ci-run-gate").exit_code == 0
    assert secret in (site.layout.dest / "etc" / "neutron" / "ml2_conf.ini").read_text()
    for path in [*site.workspace.logs.rglob("*"), *site.workspace.root.glob("*.sh"), *site.layout.root.glob("*")]:
        if path.is_file() and path not in (site.layout.post_config, site.layout.localrc):
            assert secret.encode() not in path.read_bytes(), path
    assert "***" in (site.layout.collected / "local.conf.txt").read_text()
    assert site.layout.post_config.stat().st_mode & 0o077 == 0


def test_a_shell_can_run_the_wrapper_by_hand(site: GateSite) -> None:
    site.write_config(services=[CONTROLLER])
    site.prepare()
    # A log-in shell has more, and less.
    env = {**site.environment(), "PWD": "/"}
    del env["WORKSPACE"]
    words = 'set -e; . "$1"; "$WORKSPACE/safe-devstack-vm-gate-wrap.sh"; ci-stop-gate --workspace "$CI_WORKSPACE"'
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    argv = ["bash", "-c", words, "by-hand", str(site.workspace.environment_sh)]
    done = subprocess.run(argv, env=env, cwd=site.folder, capture_output=True, text=True, timeout=120)
    site.clear()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESSFULLY FINISHED" in done.stdout
    assert site.stage("run-tempest")["exit_code"] == 0
    assert {service["state"] for service in site.services().values()} == {"stopped"}


def test_a_stage_of_the_hooks_alone_says_that_it_belongs_into_the_wrapper(site: GateSite) -> None:
    site.prepare()
    for name in ("ci-install-driver", "ci-start-gate"):
        done = site.command(name)
        assert done.exit_code == 2
        assert "on this kind of gate the hooks run inside of it" in done.paragraph(name)
        assert "run ci-run-gate" in done.paragraph(name)


def test_the_cis_own_patch_is_in_what_is_tested(site: GateSite) -> None:
    patch = site.folder / "ours.patch"
    patch.write_text(
        "--- a/fake_driver.py\n+++ b/fake_driver.py\n@@ -1 +1,2 @@\n class FakeDriver: pass\n+PATCHED = 1\n"
    )
    site.write_config(projects={PROJECT: {"url": site.driver.url, "patches": [str(patch)]}})
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert "PATCHED" in (site.layout.dest / "fake-driver" / "fake_driver.py").read_text()


def test_a_control_run_has_the_branches_alone(site: GateSite) -> None:
    done = site.command("ci-prepare-gate", "--config", str(site.config), "--control-run", "--project", PROJECT)
    assert done.exit_code == 0, done.errors
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    tree = site.layout.dest / "fake-driver"
    assert git(tree, "rev-parse", "HEAD") == site.driver.tip()
    assert site.stage("run-tempest")["exit_code"] == 0


def test_a_real_zuul_merged_the_change_itself(site: GateSite) -> None:
    """Its refs are used as they are; a dependency and the branch are in them."""
    ref = "refs/zuul/master/Z" + "0123456789abcdef" * 2
    zuul = Remote(site.folder / "zuul" / PROJECT)
    git(zuul.folder, "fetch", "--quiet", str(site.driver.folder), "refs/changes/01/1/1")
    git(zuul.folder, "update-ref", ref, "FETCH_HEAD")
    site.variables |= {
        "ZUUL_PROJECT": PROJECT,
        "ZUUL_BRANCH": "master",
        "ZUUL_CHANGE": "1",
        "ZUUL_PATCHSET": "1",
        "ZUUL_REF": ref,
        "ZUUL_URL": (site.folder / "zuul").as_uri(),
        "ZUUL_COMMIT": git(zuul.folder, "rev-parse", "FETCH_HEAD"),
        "ZUUL_CHANGES": f"{PROJECT}:master:refs/changes/01/1/1",
        "ZUUL_PIPELINE": "check",
        "ZUUL_UUID": "0123456789abcdef" * 2,
    }
    done = site.command("ci-prepare-gate", "--config", str(site.config))
    assert done.exit_code == 0, done.errors
    script = site.workspace.environment_sh.read_text()
    assert f"export ZUUL_REF={ref}" in script and f"export ZUUL_URL={site.variables['ZUUL_URL']}" in script
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert (site.layout.dest / "fake-driver" / "doc.txt").exists()


def test_again_in_the_same_workspace_on_the_same_node(site: GateSite) -> None:
    site.prepare()
    assert site.command("ci-run-gate").exit_code == 0
    site.prepare()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert not site.layout.logs.is_symlink()
    assert site.workspace.read_run()["run_id"] in (site.layout.collected / "reproduce.sh").read_text()


def test_a_change_of_neutron_is_tested_with_the_driver_held(site: GateSite) -> None:
    neutron = Remote(site.server / NEUTRON)
    neutron.branch("stable/1")
    neutron.change(2, 1, {"changed.txt": "x\n"}, on="stable/1")
    # The driver has no such branch: it is taken from its own.
    site.write_config(projects={NEUTRON: {"url": neutron.url}})
    words = ["--config", str(site.config), "--change", "2,1", "--project", NEUTRON, "--branch", "stable/1"]
    done = site.command("ci-prepare-gate", *words, "--url", neutron.url)
    assert done.exit_code == 0, done.errors
    script = site.workspace.environment_sh.read_text()
    assert "export OVERRIDE_FAKE_DRIVER_PROJECT_BRANCH=master" in script
    assert "OVERRIDE_NEUTRON_PROJECT_BRANCH" not in script
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert (site.layout.dest / "neutron" / "changed.txt").exists()
    assert git(site.layout.dest / "fake-driver", "rev-parse", "HEAD") == site.driver.tip()
    known = dict(line.split() for line in (site.workspace.logs / "devstack-gate-projects.txt").read_text().splitlines())
    assert set(known) == {"devstack", "devstack-gate", "fake-driver", "neutron"}
    assert known["devstack-gate"] == site.good
