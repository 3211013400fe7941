"""Probes, and that what they say holds no secret."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates import probes
from ci_scripts.gates.context import GateContext
from ci_scripts.settings import MASK, load_settings, secret_values
from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver: {project: example/networking-example, package: networking-example}
secrets: [{name: lab, environment: LAB_PASSWORD}]
probes:
"""
PASSWORD = "hunter 2/x"


def context_of(tmp_path: Path, probe: str) -> GateContext:
    (tmp_path / "ci.yaml").write_text(f"{CONFIG}  - {{name: lab, {probe}}}\n")
    workspace = Workspace(tmp_path / "run")
    workspace.make_folders()
    environment = {"HOME": str(tmp_path), "LAB_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    settings = load_settings(tmp_path / "ci.yaml", environment=environment)
    env = {"PATH": environment["PATH"]}
    secrets = secret_values(settings, environment)
    return GateContext(settings, workspace, {}, env, {}, secrets, StageRecord(workspace, "run-gate"))


def ask_all(context: GateContext) -> None:
    probes.require_green(context, [context.placeholders()], sleep=lambda seconds: None)


@pytest.mark.parametrize(
    "probe",
    [
        'url: "http://127.0.0.1:1/?key={secret.lab}", timeout_seconds: 2',
        'command: [sh, -c, "echo no $0 >&2; exit 4", "{secret.lab}"]',
        'command: ["/no/such/{secret.lab}"]',
        'tcp: "{secret.lab}:1", timeout_seconds: 2',
    ],
)
def test_a_red_probe_shows_no_secret(tmp_path: Path, probe: str) -> None:
    with pytest.raises(InfrastructureError, match="the probe lab is red") as caught:
        ask_all(context_of(tmp_path, probe))
    assert "hunter" not in str(caught.value)
    assert MASK in str(caught.value)


def test_a_probe_is_asked_again_before_it_is_red(tmp_path: Path) -> None:
    context = context_of(tmp_path, f'command: [sh, -c, "test -e {tmp_path}/up"]')
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        (tmp_path / "up").touch()

    probes.require_green(context, [context.placeholders()], sleep=wait)
    assert waited == [probes.AGAIN_SECONDS]


def test_a_port_beyond_all_ports_is_red(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="127.0.0.1:99999"):
        ask_all(context_of(tmp_path, 'tcp: "127.0.0.1:99999"'))


def test_an_open_port_is_green(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        context = context_of(tmp_path, f'tcp: "127.0.0.1:{server.getsockname()[1]}"')
        ask_all(context)
    assert probes.ask(context, context.settings.probes[0], context.placeholders()) is not None
