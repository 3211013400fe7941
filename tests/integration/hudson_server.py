"""A real Hudson, Jenkins' sibling: what HUDSON_START names is started on a free port with a home of its own.

A test gets ``real_hudson`` by naming this in ``pytest_plugins``; it is started once for all tests of a process, and
only if one asks for it. It listens on every interface with no security switched on, so it is stopped whatever happens.

It has Jenkins' job XML, remote API and executor, and no plug-ins: triggers, wrappers and publishers of plug-ins are
dropped from what it is given, and Pipeline jobs do not exist.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

from ci_scripts.gates.local.ports import HOST, free_ports
from ci_scripts.run_command import Background, start
from tests.fakes.left_behind import kill_all
from tests.fakes.waiting import wait_for
from tests.integration.gate_runs import environment_of_user

START_SECONDS = 120.0
# Its one machine answers to the labels of both sides. In production no machine may have both.
NODE, TRUSTED = "ci-single-use", "ci-trusted"
CONFIG = f"<hudson><numExecutors>1</numExecutors><mode>NORMAL</mode><label>{NODE} {TRUSTED}</label></hudson>\n"
SECONDS = 30.0


def missing() -> str | None:
    """Why no Hudson can be started here; None when one can."""
    program = os.environ.get("HUDSON_START", "")
    if not program:
        return "HUDSON_START names no Hudson"
    if not os.access(program, os.X_OK):
        return f"HUDSON_START names {program}, which is no program"
    return None if shutil.which("java") else "there is no java program for HUDSON_START"


@pytest.fixture(scope="session")
def real_hudson() -> Iterator[RealHudson]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    server = RealHudson()
    try:
        yield server
    finally:
        server.stop()


class RealHudson:
    """Started when made; ``stop`` ends it and deletes what it stored."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ci-hudson-"))
        self.port = free_ports(1)[0]
        self._process: Background | None = None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def workspaces(self, *below: str) -> list[Path]:
        """What fits one of these patterns in the workspace of any job."""
        return [path for one in below for path in (self.folder / "home" / "jobs").glob(f"*/workspace/{one}")]

    def ask(self, path: str) -> Any:
        """What the remote API says at ``path``, as JSON; None where there is nothing (yet)."""
        answer = requests.get(f"{self.url}/{path}/api/json", timeout=SECONDS)
        return answer.json() if answer.ok else None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def build(self, job: str, parameters: Mapping[str, str], seconds: float) -> Build:
        """Ask for a build and wait for its end, at most ``seconds``."""
        number = int(self.ask(f"job/{job}")["nextBuildNumber"])
        address = f"{self.url}/job/{job}/buildWithParameters"
        # No redirect is followed: the answer has nothing that is needed.
        answer = requests.post(address, params=dict(parameters), timeout=SECONDS, allow_redirects=False)
        assert answer.status_code < 400, f"{address}: {answer.status_code}"

        def ended() -> bool:
            found = self.ask(f"job/{job}/{number}")
            return found is not None and not found["building"]

        wait_for(ended, f"end of build {number} of {job}: {self.folder}/home/jobs/{job}", seconds)
        return Build(self, job, number)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
        # A gate of a build that was under way would go on without its server.
        kill_all(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        home, log = self.folder / "home", self.folder / "hudson.log"
        home.mkdir()
        (home / "config.xml").write_text(CONFIG)
        argv = [os.environ["HUDSON_START"], str(self.port), str(home)]
        # Builds get it, too, beside their own variables.
        self._process = process = start(argv, cwd=self.folder, env=environment_of_user(), log=log)

        def answers() -> bool:
            assert process.exit_code() is None, log.read_text()[-4000:]
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{self.url}/api/json", timeout=SECONDS).ok
            return False

        wait_for(answers, f"answer of Hudson: {log}", START_SECONDS)


class Build:
    """A build that has ended."""

    def __init__(self, server: RealHudson, job: str, number: int) -> None:
        self.job, self.number = job, number
        self._server = server
        self._about = server.ask(f"job/{job}/{number}")

    @property
    def result(self) -> str:
        return str(self._about["result"])

    @property
    def artifacts(self) -> set[str]:
        return {entry["relativePath"] for entry in self._about["artifacts"]}

    @property
    def console(self) -> str:
        return self._get("consoleText")

    def artifact(self, path: str) -> str:
        return self._get(f"artifact/{path}")

    def _get(self, path: str) -> str:
        answer = requests.get(f"{self._server.url}/job/{self.job}/{self.number}/{path}", timeout=SECONDS)
        assert answer.ok, f"{path}: {answer.status_code}"
        return answer.text
