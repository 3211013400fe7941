"""A folder with a ci.yaml and job definitions, in which the installed ci-operate works against a Jenkins or Hudson."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.fakes.fake_jenkins import TOKEN, USER, FakeJenkins

OPERATE = Path(sys.executable).with_name("ci-operate")
NEEDED = ("GERRIT_CHANGE_NUMBER", "GERRIT_PATCHSET_NUMBER", "GERRIT_PROJECT", "GERRIT_BRANCH", "GERRIT_REFSPEC")
CHANGE = ("--change", "12,3", "--project", "openstack/neutron")
FAST = ("--wait", "--poll-seconds", "0.1")
HAND_MADE = "<project><description>made by hand</description><builders/></project>"


class JenkinsSite:
    """``fake`` is None where the server is a Hudson. ``job`` is the test job's whole name."""

    def __init__(self, root: Path, url: str, job: str, fake: FakeJenkins | None = None) -> None:
        self.root, self.url, self.job, self.fake = root, url, job, fake
        self.cache = root / "cache"
        (root / "jobs").mkdir(parents=True)
        token = root / "token"
        token.write_text(f"{TOKEN}\n")
        self.settings: dict[str, Any] = {
            "name": "Demo CI",
            "wiki": "https://wiki.example.org/Demo_CI",
            "cache_dir": str(self.cache),
            "driver": {"project": "openstack/networking-demo", "source": "https://git.example.org/networking-demo"},
            "jenkins": {
                "url": url,
                "user": USER,
                "password_file": str(token),
                "job": job,
                "definitions": ["jobs"],
                "timeout_seconds": 30,
                "restart_seconds": 0,
            },
        }
        self.write()

    def write(self, **jenkins: Any) -> None:
        """ci.yaml as the settings are now, with these of the jenkins section."""
        self.settings["jenkins"] |= jenkins
        (self.root / "ci.yaml").write_text(yaml.safe_dump(self.settings))

    def define(self, *names: str, shell: str = "exit 0", **more: Any) -> None:
        """The definitions are these jobs, each with the parameters of a change; none of earlier definitions stays."""
        names = names or (self.job,)
        parameters = [{"string": {"name": name, "default": ""}} for name in NEEDED]
        jobs = [
            {"job": {"name": name, "parameters": parameters, "builders": [{"shell": shell}], "quiet-period": 0, **more}}
            for name in names
        ]
        (self.root / "jobs/jobs.yaml").write_text(yaml.safe_dump(jobs))

    def operate(self, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """ci-operate jenkins with these words; the token is never shown."""
        argv = [str(OPERATE), "jenkins", *words, "--config", "ci.yaml"]
        done = subprocess.run(
            argv, cwd=self.root, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
        assert TOKEN not in done.stdout + done.stderr and "Traceback" not in done.stderr
        return done

    def good(self, *words: str) -> str:
        """What it prints; its exit code is 0."""
        done = self.operate(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def as_json(self, *words: str, exit_code: int = 0) -> Any:
        done = self.operate(*words, "--json")
        assert done.returncode == exit_code, done.stdout + done.stderr
        return json.loads(done.stdout)

    def states(self, exit_code: int) -> dict[str, str]:
        """What check says of each job."""
        return {job["name"]: job["state"] for job in self.as_json("check", exit_code=exit_code)["jobs"]}

    # What a person does on the server's pages.

    def config(self, name: str) -> str | None:
        answer = requests.get(f"{self._job(name)}/config.xml", auth=(USER, TOKEN), timeout=60)
        return answer.text if answer.ok else None

    def configure(self, name: str, xml: str) -> None:
        self._post(f"{self._job(name)}/config.xml", xml)

    def make(self, name: str, xml: str = HAND_MADE) -> None:
        self._post(f"{self.url}/createItem?name={name}", xml)

    def switch(self, name: str, verb: str) -> None:
        self._post(f"{self._job(name)}/{verb}", "")

    def is_disabled(self, name: str) -> bool:
        return "<disabled>true</disabled>" in (self.config(name) or "")

    def _job(self, name: str) -> str:
        return f"{self.url}/job/{name.replace('/', '/job/')}"

    def _post(self, address: str, text: str) -> None:
        headers = {"Content-Type": "text/xml; charset=utf-8"}
        if self.fake is not None:
            headers["Jenkins-Crumb"] = self.fake.crumb
        answer = requests.post(
            address, text.encode(), headers=headers, auth=(USER, TOKEN), timeout=60, allow_redirects=False
        )
        assert answer.status_code < 400, f"{address}: {answer.status_code}"
