"""What is read of a DevStack that is up: its administrator, its services' logs, its files, whether it answers."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import identity, node_files, passwords, service_logs, watch_api
from ci_scripts.gates.devstack.installed import record_installed
from ci_scripts.gates.devstack.stack_user import StackUser
from tests.fakes.gate_context import Reply, http_server
from tests.gates.devstack.made_runs import DRIVER, PASSWORDS, made_context

ME = pwd.getpwuid(os.geteuid()).pw_name
AUTH = "auth_url: http://10.0.0.1/identity, username: admin, password: secret, project_name: admin"
CLOUD = f"clouds: {{devstack-admin: {{region_name: RegionOne, auth: {{{AUTH}, user_domain_id: default}}}}}}"


def context_with(folder: Path, programs: dict[str, str] | None = None) -> GateContext:
    """``programs`` stand before the system's on PATH."""
    context = made_context(
        folder,
        f"gate: {{kind: devstack, devstack: {{user: {ME}}}}}\n{DRIVER}",
        {"example/networking-example": "master"},
    )
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    for name, text in (programs or {}).items():
        (bin_folder / name).write_text(f"#!/usr/bin/env bash\n{text}")
        (bin_folder / name).chmod(0o755)
    return replace(context, env={"PATH": f"{bin_folder}:/usr/bin:/bin"})


def test_the_administrator_of_clouds_yaml() -> None:
    cloud = identity.cloud_of(CLOUD, "clouds.yaml")

    assert cloud.keystone_url == "http://10.0.0.1/identity/v3"
    assert (cloud.username, cloud.password, cloud.project_name) == ("admin", "secret", "admin")
    assert cloud.user_domain == ("id", "default") and cloud.cacert is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("clouds: [", "is no YAML"),
        ("[]", "has no cloud 'devstack-admin'"),
        ("clouds: {devstack: {}}", "has no cloud 'devstack-admin'"),
        (CLOUD.replace("username: admin, ", ""), "has no username"),
        (CLOUD.replace("password: secret", "password: [a]"), "has no password"),
        ("[" * 5000, "clouds.yaml"),
    ],
)
def test_a_clouds_yaml_that_says_nothing_useful(text: str, why: str) -> None:
    with pytest.raises(InfrastructureError, match="clouds.yaml") as caught:
        identity.cloud_of(text, "clouds.yaml")

    assert why in str(caught.value)


def test_openrc_tells_the_same() -> None:
    variables = {
        "OS_AUTH_URL": "http://10.0.0.1:5000",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": "x",
        "OS_PROJECT_NAME": "admin",
    }

    cloud = identity.cloud_of_openrc({**variables, "OS_USER_DOMAIN_NAME": "Default"}, "openrc")

    assert cloud.keystone_url == "http://10.0.0.1:5000/v3"
    assert (cloud.user_domain, cloud.project_domain) == (("name", "Default"), ("id", "default"))
    with pytest.raises(InfrastructureError, match="openrc does not set OS_PASSWORD"):
        identity.cloud_of_openrc({**variables, "OS_PASSWORD": ""}, "openrc")


def token(catalog: object) -> Reply:
    content = {"token": {"user": {"domain": {"name": "Default"}}, "catalog": catalog}}
    return 201, {"X-Subject-Token": "a-token"}, content


def endpoint(interface: str, region: str, url: str) -> dict[str, str]:
    return {"interface": interface, "region": region, "url": url}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (token([]), "no public endpoint of a network service in RegionOne"),
        (
            token([{"type": "network", "endpoints": [endpoint("admin", "RegionOne", "http://x")]}]),
            "no public endpoint",
        ),
        ((201, {}, {"token": {}}), "gave no token"),
        ((401, {}, {"error": "no"}), "answered with 401"),
        ((201, {"X-Subject-Token": "t"}, b"<html>"), "not answered with JSON"),
    ],
)
def test_a_keystone_that_says_nothing_useful(reply: Reply, why: str) -> None:
    with http_server(lambda method, path, body: reply) as url:
        cloud = identity.cloud_of(CLOUD.replace("http://10.0.0.1", url), "clouds.yaml")

        with pytest.raises(InfrastructureError, match=why):
            identity.log_in(cloud)


def test_neutron_is_the_public_endpoint_of_our_region() -> None:
    endpoints = [
        endpoint("internal", "RegionOne", "http://no"),
        endpoint("public", "RegionTwo", "http://no"),
        endpoint("public", "RegionOne", "http://10.0.0.1/networking/"),
    ]
    reply = token([{"type": "identity", "endpoints": []}, {"type": "network", "endpoints": endpoints}])
    with http_server(lambda method, path, body: reply) as url:
        login = identity.log_in(identity.cloud_of(CLOUD.replace("http://10.0.0.1", url), "clouds.yaml"))

    assert login == identity.Login("a-token", "Default", "http://10.0.0.1/networking")


LOADED = "INFO neutron.plugins.ml2.managers [-] Loaded mechanism driver names: ['logger', 'example']"
SYSTEMCTL = """\
echo "devstack@neutron-api.service loaded active running Devstack devstack@neutron-api.service"
echo "devstack@keystone.service    loaded active running Devstack devstack@keystone.service"
"""
JOURNALCTL = f"""\
echo "$@" >> "$(dirname "$0")/asked"
echo "2026-01-31T12:00:00.000001+0000 node devstack@x[1]: {LOADED}"
echo "2026-01-31T12:00:01.000001+0000 node devstack@x[1]: password {PASSWORDS["ADMIN_PASSWORD"]}"
"""


def test_services_of_systemd_are_read_from_its_journal(tmp_path: Path) -> None:
    context = context_with(tmp_path, {"systemctl": SYSTEMCTL, "journalctl": JOURNALCTL, "sudo": 'shift 2; exec "$@"'})
    context = replace(context, run={**context.run, "created": "2026-01-31T11:00:00.000Z"})

    service_logs.collect_all(context, StackUser.of(context), tmp_path / "stack")

    logs = service_logs.shard_logs(context)
    assert LOADED in (logs / "neutron.log").read_text()
    assert {path.name for path in logs.iterdir()} >= {"neutron.log", "keystone.log"}
    assert "password ********" in (logs / "keystone.log").read_text()
    asked = (tmp_path / "bin" / "asked").read_text()
    assert "--unit devstack@neutron-api.service --since 2026-01-31 11:00:00 UTC" in asked


def test_older_releases_have_files_and_links_to_them(tmp_path: Path) -> None:
    context = context_with(tmp_path, {"systemctl": "exit 1"})
    logs = tmp_path / "stack" / "logs"
    logs.mkdir(parents=True)
    (logs / "q-svc.log.2016-01-31-120000").write_text(f"{LOADED}\n")
    (logs / "q-svc.log").symlink_to(logs / "q-svc.log.2016-01-31-120000")

    log = service_logs.collect_neutron_log(context, StackUser.of(context), tmp_path / "stack")

    assert log == context.workspace.gate_logs / "shard0" / "neutron.log"
    assert LOADED in log.read_text()


def test_logs_are_plain_bounded_files_without_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_with(tmp_path, {"systemctl": "exit 1"})
    monkeypatch.setattr(service_logs, "MOST_OF_ONE", 1000)
    logs = tmp_path / "stack" / "logs"
    (logs / "deep" / "er").mkdir(parents=True)
    (logs / "big.log").write_text("old\n" + "x" * 5000 + "\nthe end\n")
    (logs / "deep" / "er" / "error.log").write_text(f"RABBIT_PASSWORD={PASSWORDS['RABBIT_PASSWORD']}\n")
    (logs / "stolen.log").symlink_to("/etc/passwd")
    os.mkfifo(logs / "fifo.log")
    (logs / "core").write_text("not a log")
    (logs / "stack.sh.log.2026-01-31-120000").write_text("what logs/gate/stack.log has already")
    (logs / "stack.sh.log.2026-01-31-120000.summary.2026-01-31-120000").write_text("Starting Neutron")

    service_logs.collect_all(context, StackUser.of(context), tmp_path / "stack")

    target = context.workspace.gate_logs / "shard0" / "devstack"
    assert {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()} == {
        "big.log",
        "deep/er/error.log",
        "stack.sh.log.2026-01-31-120000.summary.2026-01-31-120000",
    }
    assert (target / "deep/er/error.log").read_text() == "RABBIT_PASSWORD=***\n"
    text = (target / "big.log").read_text()
    assert text.startswith("(the first ") and text.endswith("the end\n") and len(text) < 1200


def test_a_configuration_that_is_a_link_or_too_large_is_not_read(tmp_path: Path) -> None:
    context = context_with(tmp_path)
    user = StackUser.of(context)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "large").write_bytes(b"x" * (node_files.SMALL_BYTES + 1))
    os.mkfifo(tmp_path / "fifo")

    for name, why in (("link", "cannot be read"), ("large", "is larger"), ("fifo", "no plain file"), ("no", "cannot")):
        with pytest.raises(InfrastructureError, match=why):
            node_files.read_small(context, user, tmp_path / name)


def test_a_driver_that_is_not_there_is_said(tmp_path: Path) -> None:
    context = context_with(tmp_path)
    tree = tmp_path / "stack" / "networking-example"
    tree.mkdir(parents=True)
    (tree / "setup.cfg").write_text("[metadata]\nname = no-such-driver-anywhere\n")

    with pytest.raises(InfrastructureError, match=r"no distribution 'no-such-driver-anywhere'.*plugin\.sh"):
        record_installed(context, StackUser.of(context), tmp_path / "stack")


def test_a_damaged_file_of_passwords_is_said(tmp_path: Path) -> None:
    context = context_with(tmp_path)
    path = context.workspace.gate_dir / "devstack-passwords.json"
    path.write_text(json.dumps({"schema": 1, "passwords": ["x"]}))

    with pytest.raises(InfrastructureError, match="is damaged"):
        passwords.read_passwords(context)


def test_an_api_behind_apache_is_gone_when_nobody_is_behind_it() -> None:
    with http_server(lambda method, path, body: (401 if path == "/there" else 503, {}, {})) as url:
        assert watch_api.ask(f"{url}/there", True) is None
        assert watch_api.ask(f"{url}/gone", True) == f"GET {url}/gone is answered with 503"
        assert watch_api.watch("neutron", f"{url}/gone", 0.2, True) == 1
    assert "Connection" in (watch_api.ask(f"{url}/there", True) or "")
