"""SIGTERM (Jenkins) and Ctrl-C in each stage: 143 and 130, children gone, what was collected is readable."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from ci_scripts.verdict.read_stream import read_stream
from tests.fakes.fake_openstack import CLASS, PROJECT, Ended, FakeSite
from tests.fakes.left_behind import processes_about
from tests.fakes.waiting import wait_for

BEFORE, UNDER_WAY = f"{CLASS}.test_before", f"{CLASS}.test_under_way"
SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]
both_signals = pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGTERM", "SIGINT"])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


def stop(site: FakeSite, process: subprocess.Popen[str], number: signal.Signals, code: int) -> Ended:
    """Send the signal as Jenkins and a terminal do; the command ends soon, says so, and leaves nothing."""
    name = os.path.basename(process.args[0])  # type: ignore[index]
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = site.end(process, seconds=20)
    assert done.exit_code == code, done.errors
    assert f"{name}: stopped by {number.name}. Next: " in done.errors
    assert "Traceback" not in done.errors
    return done


def require_record(site: FakeSite, stage: str, number: signal.Signals, code: int) -> None:
    record = site.stage(stage)
    assert record["exit_code"] == code
    assert f"stopped by {number.name}" in record["reason"]
    assert record["ended"] is not None


def wait_for_program(site: FakeSite, word: str) -> None:
    def runs() -> bool:
        return any(word in words for words in processes_about(site.folder).values())

    wait_for(runs, f"process with {word!r}")


@both_signals
@pytest.mark.parametrize("command", ["ci-prepare-gate", "ci-run-job"])
def test_while_git_fetches(
    fake_site: FakeSite, silent_port: int, command: str, number: signal.Signals, code: int
) -> None:
    url = f"git://127.0.0.1:{silent_port}/{PROJECT}"
    process = fake_site.begin(command, *fake_site.change_flags(), "--url", url)
    wait_for(lambda: has_connection(silent_port), "connection to the git server")
    stop(fake_site, process, number, code)
    require_record(fake_site, "prepare-gate", number, code)
    assert fake_site.left() == []


@both_signals
def test_install_driver(prepared_site: FakeSite, number: signal.Signals, code: int) -> None:
    prepared_site.control.joinpath("build").touch()
    process = prepared_site.begin("ci-install-driver")
    prepared_site.wait_for_file("building")
    stop(prepared_site, process, number, code)
    require_record(prepared_site, "install-driver", number, code)
    assert prepared_site.left() == []
    assert not prepared_site.workspace.driver_json.exists()


@both_signals
def test_start_gate(prepared_site: FakeSite, number: signal.Signals, code: int) -> None:
    prepared_site.behave("neutron", listens_after=600)
    process = prepared_site.begin("ci-start-gate")
    prepared_site.wait_for_words("==> start Keystone and Neutron")
    wait_for_program(prepared_site, "neutron_app")
    stop(prepared_site, process, number, code)
    require_record(prepared_site, "start-gate", number, code)
    assert prepared_site.left() == []


@both_signals
def test_stop_gate(prepared_site: FakeSite, number: signal.Signals, code: int) -> None:
    prepared_site.behave("keystone", ends_after=0.9)
    assert prepared_site.command("ci-start-gate").exit_code == 0
    process = prepared_site.begin("ci-stop-gate")
    prepared_site.wait_for_words("==> stop the gate")
    stop(prepared_site, process, number, code)
    require_record(prepared_site, "stop-gate", number, code)
    # What it asked for goes on without it; stopping again waits for it.
    assert prepared_site.command("ci-stop-gate").exit_code == 0
    assert prepared_site.left() == []


@both_signals
@pytest.mark.parametrize("when", ["listing", "running"])
def test_run_tempest(prepared_site: FakeSite, when: str, number: signal.Signals, code: int) -> None:
    prepared_site.tests({BEFORE: "pass", UNDER_WAY: "wait"})
    assert prepared_site.command("ci-start-gate").exit_code == 0
    gate = set(prepared_site.processes())
    if when == "listing":
        prepared_site.control.joinpath("list").touch()
    process = prepared_site.begin("ci-run-tempest", "--concurrency", "1")
    if when == "listing":
        wait_for_program(prepared_site, "--list")
    else:
        prepared_site.wait_for_file("waiting")
    stop(prepared_site, process, number, code)
    require_record(prepared_site, "run-tempest", number, code)
    assert set(prepared_site.processes()) == gate
    if when == "running":
        require_collected(prepared_site)
    assert prepared_site.command("ci-stop-gate").exit_code == 0


def require_collected(site: FakeSite) -> None:
    content = read_stream(site.workspace.stream)
    assert {test.id: test.status for test in content.tests} == {BEFORE: "passed", UNDER_WAY: "incomplete"}


def in_the_first_hook(site: FakeSite) -> Callable[[], None]:
    site.control.joinpath("build").touch()
    return lambda: site.wait_for_file("building")


def in_the_second_hook(site: FakeSite) -> Callable[[], None]:
    site.behave("neutron", listens_after=600)
    return lambda: wait_for_program(site, "neutron_app")


def in_the_third_hook(site: FakeSite) -> Callable[[], None]:
    site.tests({BEFORE: "pass", UNDER_WAY: "wait"})
    site.write_config(tempest={"regex": "^tempest", "concurrency": 1})
    return lambda: site.wait_for_file("waiting")


HOOKS = [
    (in_the_first_hook, "install-driver"),
    (in_the_second_hook, "start-gate"),
    (in_the_third_hook, "run-tempest"),
]


@both_signals
@pytest.mark.parametrize(("hold", "stage"), HOOKS, ids=[stage for _, stage in HOOKS])
def test_run_gate(
    prepared_site: FakeSite,
    hold: Callable[[FakeSite], Callable[[], None]],
    stage: str,
    number: signal.Signals,
    code: int,
) -> None:
    wait = hold(prepared_site)
    process = prepared_site.begin("ci-run-gate")
    wait()
    stop(prepared_site, process, number, code)
    require_record(prepared_site, "run-gate", number, code)
    # Whatever stopped us, the stages in the hooks are ended by SIGTERM.
    require_record(prepared_site, stage, signal.SIGTERM, 143)
    assert prepared_site.left() == []
    if stage == "run-tempest":
        require_collected(prepared_site)
    summary = prepared_site.command("ci-summarize-results")
    assert summary.exit_code in (130, 143)
    assert "ABORTED" in summary.output


@both_signals
def test_run_job(fake_site: FakeSite, number: signal.Signals, code: int) -> None:
    wait = in_the_third_hook(fake_site)
    process = fake_site.begin("ci-run-job", *fake_site.change_flags())
    wait()
    done = stop(fake_site, process, number, code)
    assert fake_site.left() == []
    require_record(fake_site, "run-gate", number, code)
    require_collected(fake_site)
    assert "ABORTED" in done.output
    assert fake_site.workspace.verdict_json.exists()


@both_signals
def test_summarize_results(prepared_site: FakeSite, number: signal.Signals, code: int) -> None:
    assert prepared_site.command("ci-run-gate").exit_code == 0
    with open(prepared_site.workspace.stream, "ab") as stream:
        stream.truncate(300_000_000)
    process = prepared_site.begin("ci-summarize-results")
    wait_for((prepared_site.workspace.stages_dir / "summarize-results.json").exists, "record of the stage")
    stop(prepared_site, process, number, code)
    require_record(prepared_site, "summarize-results", number, code)
    assert not prepared_site.workspace.verdict_json.exists()


@both_signals
def test_doctor(fake_site: FakeSite, silent_port: int, number: signal.Signals, code: int) -> None:
    driver = {"project": PROJECT, "source": f"git://127.0.0.1:{silent_port}/{PROJECT}"}
    fake_site.write_config(driver=driver)
    process = fake_site.begin("ci-operate", "doctor", "--config", str(fake_site.config))
    wait_for(lambda: has_connection(silent_port), "connection to the git server")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = fake_site.end(process, seconds=20)
    assert done.exit_code == code, done.errors
    assert "Traceback" not in done.errors


def has_connection(port: int) -> bool:
    with open("/proc/net/tcp") as table:
        return any(f":{port:04X}" in line.split()[2] and line.split()[3] == "01" for line in table.readlines()[1:])


def test_a_second_signal_does_not_cut_the_cleaning_short(prepared_site: FakeSite) -> None:
    prepared_site.tests({BEFORE: "pass", UNDER_WAY: "wait"})
    prepared_site.behave("keystone", ends_after=0.5)
    process = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    process.send_signal(signal.SIGTERM)
    prepared_site.wait_for_words("==> stop the gate")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process.send_signal(number)
    done = prepared_site.end(process)
    assert done.exit_code == 143, done.errors
    assert prepared_site.left() == []


def test_a_process_that_left_its_group_is_ended_too(prepared_site: FakeSite) -> None:
    prepared_site.tests({BEFORE: "leave", UNDER_WAY: "wait"})
    process = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    wait_for_program(prepared_site, "sleep 600")
    stop(prepared_site, process, signal.SIGTERM, 143)
    assert prepared_site.left() == []
