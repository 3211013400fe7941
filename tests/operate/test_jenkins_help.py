"""ci-operate jenkins: help that loads nothing, and what is asked at a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_jenkins import FakeJenkins
from tests.jenkins.jenkins_site import OPERATE, JenkinsSite

VERBS = ("builds", "check", "pause", "resume", "run", "update")


@pytest.fixture
def jenkins() -> Iterator[FakeJenkins]:
    with FakeJenkins(job="there") as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, jenkins: FakeJenkins) -> JenkinsSite:
    return JenkinsSite(tmp_path / "site", jenkins.url, "test", jenkins)


def at_a_terminal(site: JenkinsSite, answer: bytes, *words: str) -> tuple[int, bytes]:
    """Exit code and output; a person types ``answer``."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    argv = [str(OPERATE), "jenkins", *words, "--config", "ci.yaml"]
    process = subprocess.Popen(argv, cwd=site.root, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    os.write(ours, answer)
    output = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(ours)
    return process.wait(60), output


@pytest.mark.parametrize("verb", VERBS)
def test_help_loads_no_domain_module(verb: str) -> None:
    code = (
        f"import sys, ci_scripts.operate.jenkins, ci_scripts.operate.jenkins_{verb} as verb\n"
        "slow = ('pydantic', 'requests', 'rich', 'yaml', 'jenkins', 'ci_scripts.jenkins', 'ci_scripts.settings')\n"
        "assert not [name for name in sys.modules if name.startswith(slow)]\n"
        "verb.command.main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "Exit code 0" in done.stdout and "Example:" in done.stdout, done.stderr


def test_the_verbs_are_listed() -> None:
    done = subprocess.run([str(OPERATE), "jenkins", "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and all(f"\n  {verb}  " in done.stdout for verb in VERBS)
    done = subprocess.run([str(OPERATE), "jenkins", "no-such"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(("answer", "exit_code"), [(b"y\n", 0), (b"n\n", 2)])
def test_deleting_is_confirmed(site: JenkinsSite, jenkins: FakeJenkins, answer: bytes, exit_code: int) -> None:
    site.define("test", "old")
    site.good("update")
    site.define("test", shell="changed")
    code, output = at_a_terminal(site, answer, "update", "--delete-old")
    assert code == exit_code and b"to be deleted, with its builds: old" in output and b"Delete 1 jobs?" in output
    assert ("old" in jenkins.jobs) == bool(exit_code) and ("changed" in jenkins.jobs["test"].xml) != bool(exit_code)


def test_builds_at_a_terminal(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    jenkins.looks = 1
    site.write(job="there")
    site.good("run", "--change", "12,3", "--project", "openstack/neutron", "--wait", "--poll-seconds", "0.1")
    code, output = at_a_terminal(site, b"", "builds")
    assert code == 0 and b"12,3" in output and b"SUCCESS" in output and b"\x1b[" in output


def test_a_pattern_that_fits_nothing(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.define("test")
    done = site.operate("update", "--only", "tset*")
    assert done.returncode == 2 and "they are: test" in done.stderr and jenkins.changed() == []


def test_two_at_the_same_time(site: JenkinsSite, jenkins: FakeJenkins) -> None:
    site.define("test")
    jenkins.misbehaves["/job/test/config.xml"] = "hang"
    argv = [str(OPERATE), "jenkins", "update", "--config", "ci.yaml"]
    first = subprocess.Popen(argv, cwd=site.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not any("config.xml" in path for _, path in jenkins.requests) and first.poll() is None:
        jenkins.over.wait(0.05)
    second = site.operate("update")
    first.terminate()
    assert first.wait(60) == 143
    assert second.returncode == 2 and "under way" in second.stderr and jenkins.changed() == []
