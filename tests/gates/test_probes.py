"""Probes: what they say holds no secret, takes no longer than their time, and is kept."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates import probes
from ci_scripts.gates.context import GateContext
from ci_scripts.settings import MASK
from tests.fakes import gate_context
from tests.fakes.gate_context import http_server, lines_of
from tests.fakes.left_behind import processes_about
from tests.fakes.waiting import wait_for


def context_of(tmp_path: Path, *wanted: str) -> GateContext:
    entries = [
        f"  - {{name: {'lab' if index == 0 else f'lab-{index}'}, {probe}}}\n" for index, probe in enumerate(wanted)
    ]
    return gate_context.context_of(tmp_path, "probes:\n" + "".join(entries))


def ask_all(context: GateContext, phase: str = "before") -> None:
    probes.require_green(context, [context.placeholders()], sleep=lambda seconds: None, phase=phase)


def kept(context: GateContext) -> list[dict[str, object]]:
    return lines_of(context.workspace.logs / "probes.jsonl")


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
    context = context_of(tmp_path, probe)
    with pytest.raises(InfrastructureError, match="the probe lab is red") as caught:
        ask_all(context)
    text = str(kept(context)[0]["text"])
    assert "hunter" not in str(caught.value) + text
    assert MASK in str(caught.value) and MASK in text


def test_a_probe_is_asked_again_before_it_is_red(tmp_path: Path) -> None:
    context = context_of(tmp_path, f'command: [sh, -c, "test -e {tmp_path}/up"]')
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        (tmp_path / "up").touch()

    probes.require_green(context, [context.placeholders()], sleep=wait)
    assert waited == [probes.AGAIN_SECONDS]
    assert [entry["state"] for entry in kept(context)] == ["green"]


def test_a_port_beyond_all_ports_is_red(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="127.0.0.1:99999"):
        ask_all(context_of(tmp_path, 'tcp: "127.0.0.1:99999"'))


def test_an_open_port_is_green(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        context = context_of(tmp_path, f'tcp: "127.0.0.1:{server.getsockname()[1]}"')
        ask_all(context)
    assert probes.ask(context, context.settings.probes[0], context.placeholders()) is not None


def test_before_the_tests_the_first_red_one_ends_it_and_after_them_all_are_asked(tmp_path: Path) -> None:
    red = "command: ['false']"
    context = context_of(tmp_path, "command: ['true']", red, red)
    with pytest.raises(InfrastructureError, match="the probe lab-1 is red: false ended with 1"):
        ask_all(context)
    assert [(entry["phase"], entry["probe"], entry["state"]) for entry in kept(context)] == [
        ("before", "lab", "green"),
        ("before", "lab-1", "red"),
    ]
    with pytest.raises(InfrastructureError, match="the probe lab-1 is red"):
        ask_all(context, "after")
    assert [(entry["phase"], entry["state"]) for entry in kept(context)[2:]] == [
        ("after", "green"),
        ("after", "red"),
        ("after", "red"),
    ]


def test_each_shard_that_reads_differently_is_asked(tmp_path: Path) -> None:
    context = context_of(tmp_path, "command: ['true', '{shard}']", "command: ['true']")
    probes.require_green(context, [{"shard": "0"}, {"shard": "1"}])
    assert [(entry["probe"], entry["shard"]) for entry in kept(context)] == [
        ("lab", "0"),
        ("lab", "1"),
        ("lab-1", None),
    ]


def test_a_server_that_sends_a_byte_now_and_then_is_not_waited_for(tmp_path: Path) -> None:
    stop = threading.Event()

    def trickle(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            while not stop.wait(0.1):
                peer.send(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=trickle, args=(server,))
        thread.start()
        try:
            context = context_of(tmp_path, f'url: "http://127.0.0.1:{server.getsockname()[1]}/", timeout_seconds: 1')
            started = time.monotonic()
            said = probes.ask(context, context.settings.probes[0], context.placeholders())
            assert "no answer within 1 s" in (said or "") and time.monotonic() - started < 3
        finally:
            stop.set()
            thread.join()


def test_only_the_status_counts(tmp_path: Path) -> None:
    statuses = {"/good": 204, "/bad": 503}
    with http_server(lambda method, path, body: (statuses[path], {}, b"")) as url:
        context = context_of(tmp_path, f'url: "{url}/good"', f'url: "{url}/bad"')
        said = [probes.ask(context, probe, {}) for probe in context.settings.probes]
    assert said == [None, f"{url}/bad answers 503"]


def test_an_address_that_makes_the_library_stumble_is_red(tmp_path: Path) -> None:
    context = context_of(tmp_path, f'tcp: "{"x" * 70}.example.org:1"')
    assert "x" in (probes.ask(context, context.settings.probes[0], {}) or "")


def test_who_has_given_up_leaves_no_process(tmp_path: Path) -> None:
    context = context_of(tmp_path, f'command: [sh, -c, "cd {tmp_path}; touch begun; sleep 600"]')
    given_up = threading.Event()
    thread = threading.Thread(target=probes.ask, args=(context, context.settings.probes[0], {}, given_up))
    thread.start()
    wait_for((tmp_path / "begun").exists, "command under way")
    given_up.set()
    thread.join(10)
    assert not thread.is_alive() and processes_about(tmp_path) == {}


def test_a_long_answer_is_cut(tmp_path: Path) -> None:
    context = context_of(tmp_path, f'url: "http://127.0.0.1:1/{"x" * 3000}"')
    with pytest.raises(InfrastructureError):
        ask_all(context)
    assert len(str(kept(context)[0]["text"])) == probes.MAX_TEXT
