"""ci-run-gate on the kind devstack-gate, as it is installed: the ways in which the wrapper and the hooks fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_openstack import Ended, FakeIndex
from tests.fakes.left_behind import processes_about
from tests.fakes.standin_devstack_gate.site import GateSite

SLEEPER = "sleep 601"
HANGS = 'touch "$BUILD_FAKE_OPENSTACK/hangs"; exec sleep 600\n'


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[GateSite]:
    """Prepared; nothing may be left when a test ends."""
    site = GateSite(tmp_path / "site", fake_index)
    try:
        site.prepare()
        yield site
        assert site.left() == []
    finally:
        site.clear()


def run_gate(site: GateSite, code: int = 3) -> Ended:
    done = site.command("ci-run-gate")
    assert done.exit_code == code, done.errors
    return done


def require_verdict(site: GateSite, outcome: str, rule: str) -> None:
    done = site.command("ci-summarize-results")
    assert done.exit_code == 3, done.errors
    verdict = site.verdict()
    assert (verdict["outcome"], verdict["blame"], verdict["rule"]) == (outcome, "ci", rule)


def test_the_host_cannot_be_set_up(site: GateSite) -> None:
    site.at("setup_host", "echo 'fatal: [localhost]: FAILED! no space on /opt'; return 4\n")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "devstack-gate could not set up the host (exit code 4)" in reason
    assert "no space on /opt" in reason
    log = site.layout.collected / "devstack-gate-setup-host.txt"
    assert str(log) in reason
    assert "no space on /opt" in log.read_text()
    assert site.stage("run-gate").get("with_change") is not True
    assert site.steps()["set up the host"] == "failed"
    require_verdict(site, "ERROR", "failed-before-the-change")


def test_the_workspace_cannot_be_set_up(site: GateSite) -> None:
    site.at("setup_workspace", "git clone --quiet file:///nonexistent/repository\n")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "devstack-gate could not set up the workspace (exit code " in reason
    assert "/nonexistent/repository" in reason
    assert list(site.steps())[-3:] == ["set up the workspace", "collect the wrapper's logs", "stop the gate"]
    require_verdict(site, "ERROR", "failed-before-the-change")


def test_a_wrapper_that_does_not_even_start(site: GateSite) -> None:
    (site.layout.checkout / "functions.sh").write_text("echo 'no ntp here'; exit 1\n")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "devstack-gate could not start (exit code 1): no ntp here" in reason


def test_a_ref_that_cannot_be_fetched_is_no_pass_of_the_branch(site: GateSite) -> None:
    """The wrapper falls back to the branch without a word."""
    shutil.rmtree(site.workspace.root / "zuul-refs")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "pre_test_hook: the wrapper checked example/fake-driver out at" in reason
    assert "which lacks" in reason
    assert site.stage("install-driver")["exit_code"] == 3


@pytest.mark.parametrize("hook", ["pre_test_hook", "gate_hook", "post_test_hook"])
def test_a_hook_that_fails(site: GateSite, hook: str) -> None:
    site.hooks(**{hook: "echo 'this is why'; exit 9\n"})
    reason = run_gate(site).paragraph("ci-run-gate")
    assert f"{hook} ended with exit code 9. Log: {site.layout.console}" in reason
    assert site.steps()[hook] == "done" if hook != "post_test_hook" else True
    assert "this is why" in site.console()
    assert site.stage("run-gate")["with_change"] is True


@pytest.mark.parametrize("hook", ["pre_test_hook", "gate_hook", "post_test_hook"])
def test_a_hook_that_hangs_is_killed_and_its_children_too(site: GateSite, hook: str) -> None:
    site.at("minutes-are-seconds")
    # In a group of its own, as the stages' own children are: the wrapper's kill does not reach it.
    site.hooks(**{hook: f"setsid {SLEEPER} &\nexec sleep 600\n"})
    reason = run_gate(site).paragraph("ci-run-gate")
    assert f"{hook} was killed (SIGKILL) by the wrapper's time limit of " in reason
    record = site.stage("run-gate")
    assert record["outcome"] == "TIMED_OUT"
    assert record["wrapper"]["exit_code"] == 137
    assert "processes, which were ended" in site.workspace.console_log.read_text()
    assert not any(SLEEPER in words for words in processes_about(site.folder).values())
    assert site.command("ci-summarize-results").exit_code == 3
    assert site.verdict()["outcome"] == "TIMED_OUT"
    assert site.verdict()["blame"] != "change"


def test_no_time_is_left_for_a_hook(site: GateSite) -> None:
    site.at("started-minutes-ago", "60")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "devstack-gate had no time left for pre_test_hook" in reason
    assert site.stage("run-gate")["outcome"] == "TIMED_OUT"


@pytest.mark.parametrize("hook", ["pre_test_hook", "gate_hook"])
def test_megabytes_without_an_end_of_line(site: GateSite, hook: str) -> None:
    site.hooks(**{hook: "head -c 6000000 /dev/zero | tr '\\0' x; echo; echo 'and on'; exit 9\n"})
    reason = run_gate(site).paragraph("ci-run-gate")
    assert f"{hook} ended with exit code 9" in reason
    assert "and on" in site.console()
    assert site.layout.console.stat().st_size > 6_000_000


def test_hooks_that_never_ran_are_no_pass(site: GateSite) -> None:
    with open(site.workspace.environment_sh, "a") as script:
        script.write("unset -f pre_test_hook post_test_hook\nfunction gate_hook { true; }\nexport -f gate_hook\n")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "devstack-gate ended well without having called pre_test_hook, gate_hook, post_test_hook" in reason


def test_exit_code_1_of_the_tests_hook_without_tests_is_a_failure(site: GateSite) -> None:
    site.hooks(post_test_hook="exit 1\n")
    assert "post_test_hook ended with exit code 1" in run_gate(site).paragraph("ci-run-gate")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("hook", ["pre_test_hook", "gate_hook"])
def test_an_abort_while_the_wrapper_runs(site: GateSite, hook: str, number: signal.Signals) -> None:
    site.hooks(**{hook: f"setsid {SLEEPER} &\n{HANGS}"})
    process = site.begin("ci-run-gate")
    site.wait_for_file("hangs")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    done = site.end(process)
    assert done.exit_code == (143 if number == signal.SIGTERM else 130), done.errors
    assert f"stopped by {number.name}" in site.stage("run-gate")["reason"]
    assert site.left() == []
    assert not site.layout.hook_environment.exists()
    # What it had said until then is kept.
    assert "Running pre_test_hook" in site.console()
    assert (site.layout.collected / "devstack-gate-setup-host.txt").exists()


def test_the_stage_in_a_hook_ends_itself_when_aborted(site: GateSite) -> None:
    site.at("stack", HANGS)
    process = site.begin("ci-run-gate")
    site.wait_for_file("hangs")
    process.send_signal(signal.SIGTERM)
    assert site.end(process).exit_code == 143
    assert site.stage("start-gate")["exit_code"] == 143
    assert site.command("ci-summarize-results").exit_code == 143


def test_a_service_that_dies_stops_the_wrapper(site: GateSite) -> None:
    die = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)"
    service = {"name": "controller", "command": ["{python}", "-c", die, str(site.control / "hangs")]}
    site.write_config(services=[service])
    site.hooks(gate_hook=HANGS)
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "devstack-gate was stopped in 'gate_hook': " in reason
    assert "controller" in reason


def test_stack_sh_that_fails_is_named(site: GateSite) -> None:
    text = "#!/bin/bash\necho 'ERROR: No matching distribution found for nova==99'\nexit 1\n"
    site.at("stack", f"cat > stack.sh <<'END'\n{text}END\n")
    reason = run_gate(site).paragraph("ci-run-gate")
    assert "gate_hook: devstack-vm-gate.sh ended with exit code 1: ERROR: No matching distribution found" in reason
    assert (site.layout.collected / "worlddump.txt").exists()
    assert (site.layout.collected / "devstack-early.txt").exists()
    assert site.stage("start-gate")["exit_code"] == 3


RUN = """
import os, sys
from pathlib import Path
from ci_scripts.gates.devstack_gate import gate, wrapper_run
from ci_scripts.process_tree import become_subreaper
from ci_scripts.stages.opening import open_stage

become_subreaper()
with open_stage("run-gate", Path(sys.argv[1])) as context:
    gate.start_services(context, os.getpid())
    try:
        wrapper_run.run_wrapper(context, wrapper_run.COLLECT_SECONDS + 1.0, lambda: None)
    finally:
        gate.stop(context)
"""


def test_the_time_of_the_gate_is_over(site: GateSite) -> None:
    """ci-run-gate's own limit is minutes: a part of it is called with a second."""
    site.at("setup_host", f"setsid {SLEEPER} & sleep 600\n")
    argv = [sys.executable, "-c", RUN, str(site.workspace.root)]
    done = subprocess.run(argv, env=site.environment(), cwd=site.folder, capture_output=True, text=True, timeout=120)
    assert "devstack-gate was stopped in '" in done.stderr
    assert "gate.timeout_minutes (13) is over" in done.stderr
    assert site.stage("run-gate")["outcome"] == "TIMED_OUT"
    assert site.left() == []
