"""The devstack gate with a real Keystone, Neutron and Tempest: the stand-in's stack.sh brings the local gate's up.

So local.conf, the hooks, access, Tempest's configuration, checks and the proof are tried on real services; only how
they were installed is not DevStack's. The driver in Neutron talks to the controller that local.conf names.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gates.devstack.devstack_site import STANDIN
from tests.integration.gate_runs import NETWORKS, Run, configuration
from tests.repositories import Remote

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate

# Called by the stand-in's stack.sh with DEST, the place of clouds.yaml and the (unused) password.
START = """\
import json, shutil, subprocess, sys
from pathlib import Path

DEST, CLOUDS = Path(sys.argv[1]), Path(sys.argv[2])
INNER, COMMAND, ENVIRONMENT = {inner!r}, {command!r}, {environment!r}
inner = Path(INNER)
# What DevStack's way through local.conf made of neutron_config is what Neutron gets.
shutil.copy(DEST / "etc/neutron/ml2_conf.ini", inner / "gate/neutron_config/ml2_conf.ini")
started = subprocess.run([COMMAND, "--workspace", INNER], env=ENVIRONMENT, stdin=subprocess.DEVNULL)
if started.returncode:
    sys.exit("the local gate did not start")
shard = json.loads((inner / "gate/access.json").read_text())["shards"][0]
auth = {{"auth_url": shard["keystone_url"], "username": shard["username"], "password": shard["password"]}}
auth |= {{"project_name": shard["project_name"], "user_domain_id": "default", "project_domain_id": "default"}}
CLOUDS.parent.mkdir(parents=True, exist_ok=True)
CLOUDS.write_text(json.dumps({{"clouds": {{"devstack-admin": {{"auth": auth, "region_name": shard["region"]}}}}}}))
(DEST / "tempest/etc").mkdir(parents=True, exist_ok=True)
shutil.copy(Path(shard["tempest_dir"]) / "etc/tempest.conf", DEST / "tempest/etc/tempest.conf")
(DEST / "logs/neutron-api.log").symlink_to(inner / "logs/gate/shard0/neutron.log")
pid = json.loads((inner / "logs/gate/gate-status.json").read_text())["supervisor_pid"]
(DEST / "status/gate.pid").write_text(str(pid))
"""


@pytest.fixture
def inner(prepared_run: Run) -> Iterator[Run]:
    """A local gate, prepared, whose services play DevStack's; as it was afterwards."""
    rendered = prepared_run.workspace.gate_dir / "neutron_config" / "ml2_conf.ini"
    before = rendered.read_text()
    try:
        yield prepared_run
    finally:
        prepared_run.command("ci-stop-gate")
        rendered.write_text(before)


def devstack_repository(folder: Path) -> str:
    remote = Remote(folder / "openstack" / "devstack")
    shutil.copytree(STANDIN, remote.folder, dirs_exist_ok=True)
    remote.commit({})
    return remote.url


@pytest.mark.timeout(1200)
def test_real_tempest_and_the_real_proof_through_the_devstack_kind(
    inner: Run, driver_repository: Path, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    start = tmp_path / "start.py"
    command = str(Path(sys.executable).with_name("ci-start-gate"))
    start.write_text(
        START.format(inner=str(inner.workspace.root), command=command, environment=dict(inner.environment))
    )

    def change(content: dict[str, Any]) -> None:
        clouds = tmp_path / "etc" / "clouds.yaml"
        content["gate"] = {
            "kind": "devstack",
            "constraints": content["gate"]["constraints"],
            "devstack": {
                "source": devstack_repository(tmp_path / "server"),
                "base": str(tmp_path / "stack"),
                "user": pwd.getpwuid(os.geteuid()).pw_name,
                "clouds_file": str(clouds),
                "localrc": {"CLOUDS_YAML": str(clouds), "STANDIN_START": str(start)},
            },
        }
        content["tempest"] = {"regex": NETWORKS}

    run = make_run(tmp_path / "run", configuration(tmp_path, change))
    run.prepare(driver_repository, "refs/changes/01/1/1")

    run.good("ci-run-gate")
    run.good("ci-summarize-results")

    verdict = run.read("verdict.json")
    assert (verdict["outcome"], verdict["blame"]) == ("SUCCESS", "nobody")
    assert verdict["proof"]["complete"], verdict["proof"]
    tests = run.tests()
    assert len([name for name in tests if name.startswith("tempest.api.network.test_networks.")]) >= 10
    assert set(tests.values()) <= {"passed", "skipped"}
    assert tests["checks.controller-holds-what-neutron-holds"] == "passed"
    loaded = (run.workspace.gate_logs / "shard0" / "neutron.log").read_text()
    assert "Loaded mechanism driver names: ['logger', 'example']" in loaded
    driver = json.loads(run.workspace.driver_json.read_text())
    assert driver["commit"] == run.read("run.json")["checkouts"]["example/networking-example"]["commit"]
