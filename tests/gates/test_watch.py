"""Probes and resources beside the tests: asked at their time whatever hangs, noted, and ended promptly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.gates import probes, watch
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.watch import Watch
from ci_scripts.settings import MASK
from tests.fakes.gate_context import context_of, http_server, lines_of
from tests.fakes.left_behind import processes_about
from tests.fakes.waiting import wait_for


@pytest.fixture(autouse=True)
def again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "AGAIN_SECONDS", 0.05)


@pytest.fixture
def hanging() -> Iterator[str]:
    """A URL that is answered when the test is over."""
    over = threading.Event()

    def hang(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], object]:
        over.wait(60)
        return 200, {}, b""

    with http_server(hang) as url:
        yield url
        over.set()


def answers(context: GateContext, name: str = "", shard: str | None = None) -> list[dict[str, Any]]:
    found = lines_of(context.workspace.logs / "probes.jsonl")
    return [entry for entry in found if name in ("", entry["probe"]) and shard in (None, entry["shard"])]


def states(context: GateContext) -> list[str]:
    """Without repetitions."""
    found = [entry["state"] for entry in answers(context)]
    return [state for number, state in enumerate(found) if number == 0 or found[number - 1] != state]


def test_a_controller_that_comes_and_goes_is_seen(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = [200]
    with http_server(lambda method, path, body: (status[0], {}, b"")) as url:
        context = context_of(tmp_path, f'probes: [{{name: lab, url: "{url}/{{secret.lab}}"}}]')
        with Watch(context, [context.placeholders()], interval=0.05):
            wait_for(lambda: states(context) == ["green"], "green answer")
            status[0] = 503
            wait_for(lambda: states(context) == ["green", "red"], "red answer")
            status[0] = 200
            wait_for(lambda: states(context) == ["green", "red", "green"], "green answer again")
    red = next(entry for entry in answers(context) if entry["state"] == "red")
    assert (red["phase"], red["shard"], red["text"]) == ("during", None, f"{url}/{MASK} answers 503")
    assert red["seconds"] >= 0.05 and red["time"].endswith("Z")
    said = capfd.readouterr().err
    assert said.count("the probe lab is red: ") == said.count("the probe lab is green again") == 1


def test_one_that_hangs_does_not_delay_the_others(tmp_path: Path, hanging: str) -> None:
    slow = f"{{name: slow, url: '{hanging}/{{shard}}', timeout_seconds: 60}}"
    context = context_of(tmp_path, f"probes: [{slow}, {{name: quick, command: ['true', '{{shard}}']}}]")
    shards = [{**context.placeholders(), "shard": str(number)} for number in range(2)]
    started = time.monotonic()
    with Watch(context, shards, interval=0.1):
        wait_for(lambda: min(len(answers(context, "quick", shard)) for shard in "01") >= 5, "five answers of each")
        assert answers(context, "slow") == []
        ending = time.monotonic()
    assert time.monotonic() - ending < watch.LAST_ANSWER_SECONDS + 2.0
    assert ending - started < 20.0
    assert answers(context, "slow") == []


def test_its_own_time_out_holds_for_one_that_hangs(tmp_path: Path, hanging: str) -> None:
    context = context_of(tmp_path, f"probes: [{{name: lab, url: '{hanging}', timeout_seconds: 1}}]")
    with Watch(context, [context.placeholders()], interval=0.1):
        wait_for(lambda: answers(context), "answer")
    first = answers(context)[0]
    # The library's own time-out and ours are over at the same moment: either may speak.
    assert first["state"] == "red" and first["text"].startswith(f"{hanging}: ")
    assert 2.0 <= first["seconds"] < 6.0


def test_the_interval_is_counted_from_start_to_start(tmp_path: Path) -> None:
    asked: list[float] = []

    def slowly(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], object]:
        asked.append(time.monotonic())
        time.sleep(0.3)
        return 200, {}, b""

    with http_server(slowly) as url:
        context = context_of(tmp_path, f"probes: [{{name: lab, url: '{url}'}}]")
        with Watch(context, [context.placeholders()], interval=0.4):
            wait_for(lambda: len(asked) >= 6, "six questions")
    # From end to start it would be 3.5 s.
    assert 1.9 < asked[5] - asked[0] < 3.2


def test_one_that_takes_longer_than_an_interval_is_asked_at_the_next_whole_one(tmp_path: Path) -> None:
    asked: list[float] = []

    def slowly(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], object]:
        asked.append(time.monotonic())
        time.sleep(0.35)
        return 200, {}, b""

    with http_server(slowly) as url:
        context = context_of(tmp_path, f"probes: [{{name: lab, url: '{url}'}}]")
        with Watch(context, [context.placeholders()], interval=0.3):
            wait_for(lambda: len(asked) >= 3, "three questions")
    assert asked[2] - asked[0] > 1.1


def test_one_that_has_just_failed_is_asked_again_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "AGAIN_SECONDS", 0.5)
    script = f"test -e {tmp_path}/failed; touch {tmp_path}/failed; exit 1"
    context = context_of(tmp_path, f"probes: [{{name: lab, command: [sh, -c, '{script}']}}]")
    with Watch(context, [context.placeholders()]):
        wait_for((tmp_path / "failed").exists, "first failure")
    assert [entry["state"] for entry in answers(context)] == ["red"]


def test_a_command_that_hangs_at_the_end_is_stopped_and_not_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LAST_ANSWER_SECONDS", 0.1)
    script = f"cd {tmp_path}; touch begun; sleep 600"
    context = context_of(tmp_path, f"probes: [{{name: lab, command: [sh, -c, '{script}'], timeout_seconds: 60}}]")
    with Watch(context, [context.placeholders()]):
        wait_for((tmp_path / "begun").exists, "command under way")
        ending = time.monotonic()
    assert time.monotonic() - ending < 5.0
    assert processes_about(tmp_path) == {} and answers(context) == []


def test_resources_are_sampled_at_the_start_and_at_the_end(tmp_path: Path) -> None:
    context = context_of(tmp_path, "")
    file = context.workspace.logs / "resources.jsonl"
    with Watch(context, [], interval=60.0):
        wait_for(lambda: lines_of(file), "first sample")
        assert len(lines_of(file)) == 1
    samples = lines_of(file)
    assert len(samples) == 2
    assert set(samples[0]) == {"time", "disk_free", "memory_available", "memory_total", "oom_kills", "load"}


def test_what_cannot_be_asked_is_red_and_nothing_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(probes, "ask", stumble)
    context = context_of(tmp_path, "probes: [{name: lab, command: ['true']}]")
    with Watch(context, [context.placeholders()], interval=0.05):
        wait_for(lambda: len(answers(context)) > 1, "two answers")
    assert answers(context)[0]["text"] == "it could not be asked: RuntimeError: can't start new thread"


def test_an_error_of_the_tests_comes_through(tmp_path: Path) -> None:
    context = context_of(tmp_path, "probes: [{name: lab, command: ['true']}]")
    with pytest.raises(ZeroDivisionError), Watch(context, [context.placeholders()]):
        raise ZeroDivisionError
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("watch ")]


@pytest.mark.parametrize("name", ["probes.jsonl", "resources.jsonl"])
def test_a_link_is_not_followed(tmp_path: Path, name: str) -> None:
    context = context_of(tmp_path, "probes: [{name: lab, command: ['true']}]")
    (tmp_path / "precious").write_text("untouched")
    (context.workspace.logs / name).symlink_to(tmp_path / "precious")
    with Watch(context, [context.placeholders()]):
        wait_for(lambda: any(context.workspace.logs.glob("*.jsonl")), "file")
    assert (tmp_path / "precious").read_text() == "untouched"


ABORTED = """
import sys, time
from pathlib import Path
from ci_scripts import aborts
from ci_scripts.errors import CIError
from ci_scripts.gates.watch import Watch
from tests.fakes.gate_context import context_of
folder = Path(sys.argv[1])
aborts.install()
context = context_of(folder, (folder / "more.yaml").read_text())
try:
    with Watch(context, [context.placeholders()], interval=0.05):
        print("watching", flush=True)
        while True:
            time.sleep(0.01)
except CIError as error:
    print(error.exit_code, flush=True)
"""


@pytest.mark.parametrize("script", ["cd {}; touch begun; sleep 600", "cd {}; touch begun; exit 0"])
def test_an_abort_ends_it_at_once(tmp_path: Path, script: str) -> None:
    command = script.format(tmp_path)
    probe = f"probes: [{{name: lab, command: [sh, -c, '{command}'], timeout_seconds: 60}}]"
    (tmp_path / "more.yaml").write_text(probe)
    root = str(Path(__file__).resolve().parents[2])
    argv = [sys.executable, "-c", ABORTED, str(tmp_path)]
    with subprocess.Popen(argv, cwd=root, env={**os.environ, "PYTHONPATH": root}, stdout=subprocess.PIPE) as child:
        try:
            wait_for((tmp_path / "begun").exists, "command under way")
            asked = time.monotonic()
            child.send_signal(signal.SIGTERM)
            said, _ = child.communicate(timeout=20)
        finally:
            child.kill()
    assert said.split() == [b"watching", b"143"] and child.returncode == 0
    assert time.monotonic() - asked < 10.0 and processes_about(tmp_path) == {}
