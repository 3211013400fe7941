"""A real Gerrit: the war that GERRIT_WAR names, with a site of its own in a temporary folder, on loopback.

It has the verbs of tests.fakes.fake_gerrit.FakeGerrit, so that one test can use either. A test gets ``real_gerrit`` by
naming this in ``pytest_plugins``; it is started once for all tests of a process, and only if one asks for it. Tests
share it, so each makes a project of its own (``new_project``).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from ci_scripts.gates.local.ports import HOST, free_ports
from ci_scripts.run_command import Background, run, start
from tests.fakes.fake_gerrit import CI_USER, PERSON, PROJECT, VERIFIED
from tests.fakes.waiting import wait_for
from tests.repositories import git

SECONDS = 180.0
JAVA = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
BASE_FILE = "base.txt"


def missing() -> str | None:
    """Why no Gerrit can be started here; None when one can."""
    war = os.environ.get("GERRIT_WAR", "")
    if not war:
        return "GERRIT_WAR names no war file of a Gerrit"
    if not Path(war).is_file():
        return f"GERRIT_WAR names {war}, which is not there"
    return None if shutil.which("java") else "there is no java program for GERRIT_WAR"


@pytest.fixture(scope="session")
def real_gerrit() -> Iterator[RealGerrit]:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    server = RealGerrit()
    try:
        yield server
    finally:
        server.stop()


class RealGerrit:
    """Started when made; ``stop`` ends it and deletes what it stored."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ci-gerrit-server-"))
        self.site = self.folder / "site"
        self.port, self.ssh_port = free_ports(2)
        self._process: Background | None = None
        self._numbers = itertools.count(1)
        self._passwords = {"admin": "secret"}
        self._ids: dict[str, int] = {}
        self._changes: dict[int, tuple[str, str, str, str]] = {}
        try:
            self._make()
            self._start()
            self._fill()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def password(self, username: str) -> str:
        return self._passwords[username]

    def number_of(self, username: str) -> int:
        return self._ids[username]

    def ssh_section(self, known_hosts: Path | None = None) -> dict[str, Any]:
        """The ``ssh`` part of a ``gerrit`` section: every account has the same key."""
        return {
            "host": HOST,
            "port": self.ssh_port,
            "key_file": str(self.folder / "key"),
            "known_hosts": str(known_hosts or self.folder / "known_hosts"),
        }

    def ask(self, method: str, path: str, body: object = None, username: str = "admin") -> Any:
        """One REST request; the answer's JSON, None where it is empty."""
        answer = requests.request(
            method,
            f"{self.url}/a{path}",
            json=body,
            auth=(username.encode(), self.password(username).encode()),  # type: ignore[arg-type]
            timeout=SECONDS,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return json.loads(answer.text.removeprefix(")]}'")) if answer.text.strip() else None

    def add_account(
        self, username: str, name: str, *, email: str = "", may_vote: Mapping[str, tuple[int, int]] = PERSON
    ) -> None:
        """``may_vote`` is either of VERIFIED and PERSON."""
        password = f"p@ss w:rd of {username} é"
        key = (self.folder / "key.pub").read_text().strip()
        body = {"name": name, "email": email or f"{username}@example.org", "http_password": password, "ssh_key": key}
        self._passwords[username] = password
        self._ids[username] = self.ask("PUT", f"/accounts/{username}", body)["_account_id"]
        if "Verified" in may_vote:
            self.ask("PUT", f"/groups/thirdparty-ci/members/{username}")

    def new_project(self) -> str:
        """The name of a project that only this test knows."""
        name = f"openstack/networking-{os.getpid()}-{next(self._numbers)}"
        self.add_project(name)
        return name

    def add_project(self, name: str) -> None:
        """With one commit on master that holds BASE_FILE."""
        self.ask("PUT", f"/projects/{quote(name, safe='')}", {"create_empty_commit": True})
        clone = self._clone(name)
        git(self.folder, "clone", "--quiet", self._address(name), str(clone))
        self._commit(clone, {BASE_FILE: "".join(f"line {n}\n" for n in range(50))}, "Base")
        git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/master")

    def push(
        self,
        project: str = PROJECT,
        *,
        branch: str = "master",
        subject: str = "A change",
        files: Iterable[str] = ("driver.py",),
        wip: bool = False,
    ) -> int:
        """Commit and push a new change of admin's by git; its number."""
        change_id = f"I{os.urandom(20).hex()}"
        clone = self._clone(project)
        git(clone, "checkout", "--quiet", "--detach", f"origin/{branch}")
        self._commit(clone, {path: f"{change_id}\n" for path in files}, f"{subject}\n\nChange-Id: {change_id}")
        said = git(clone, "push", "origin", f"HEAD:refs/for/{branch}{'%wip' if wip else ''}")
        match = re.search(r"/\+/([0-9]+)", said)
        assert match is not None, said
        number = int(match.group(1))
        self._changes[number] = (project, branch, subject, change_id)
        return number

    def new_patch_set(
        self, number: int, *, files: Iterable[str] = ("driver.py",), renamed: tuple[str, str] = ("", "")
    ) -> None:
        """Push another commit of a change; ``renamed``: from, to, of a file that the branch has."""
        project, branch, subject, change_id = self._changes[number]
        clone, text = self._clone(project), f"{change_id} {next(self._numbers)}\n"
        git(clone, "checkout", "--quiet", "--detach", f"origin/{branch}")
        if renamed[0]:
            git(clone, "mv", *renamed)
        self._commit(clone, dict.fromkeys(files, text), f"{subject}\n\nChange-Id: {change_id}")
        git(clone, "push", "--quiet", "origin", f"HEAD:refs/for/{branch}")

    def push_many(self, count: int, project: str) -> list[int]:
        """New changes without git, for tests that need a lot of them."""
        body = {"project": project, "branch": "master"}
        found = [self.ask("POST", "/changes/", {**body, "subject": f"Change {n}"})["_number"] for n in range(count)]
        return [int(number) for number in found]

    def abandon(self, number: int) -> None:
        self.ask("POST", f"/changes/{number}/abandon", {})

    def merge(self, number: int) -> None:
        self.review(number, "admin", {"labels": {"Code-Review": 2}})
        self.ask("POST", f"/changes/{number}/submit", {})

    def say(self, number: int, username: str, text: str, tag: str = "", patch_set_level: bool = False) -> None:
        """A message on the current patch set, or a comment of it as Gerrit's own page writes them."""
        said = {"comments": {"/PATCHSET_LEVEL": [{"message": text}]}} if patch_set_level else {"message": text}
        self.review(number, username, {**said, "tag": tag})

    def vote(self, number: int, username: str, label: str, value: int, message: str = "", tag: str = "") -> None:
        self.review(number, username, {"message": message, "labels": {label: value}, "tag": tag})

    def review(self, number: int, username: str, review: Mapping[str, Any]) -> None:
        """Any ReviewInput, on the current patch set."""
        body = {key: value for key, value in review.items() if value}
        self.ask("POST", f"/changes/{number}/revisions/current/review", body, username)

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        self._java("init", "--batch", "--dev", "--no-auto-start", "-d", str(self.site))
        run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "key")],
            cwd=self.folder,
            env=self._environment(),
            timeout=SECONDS,
        )
        options = {
            "httpd.listenUrl": f"{self.url}/",
            "httpd.maxThreads": "8",
            "gerrit.canonicalWebUrl": f"{self.url}/",
            "sshd.listenAddress": f"{HOST}:{self.ssh_port}",
            "sendemail.enable": "false",
        }
        for name, value in options.items():
            git(self.folder, "config", "-f", str(self.site / "etc" / "gerrit.config"), name, value)
        keys = sorted(self.site.glob("etc/ssh_host_*_key.pub"))
        lines = [f"[{HOST}]:{self.ssh_port} {' '.join(key.read_text().split()[:2])}\n" for key in keys]
        (self.folder / "known_hosts").write_text("".join(lines))

    def _start(self) -> None:
        argv = ["java", *JAVA, "-jar", os.environ["GERRIT_WAR"], "daemon", "-d", str(self.site)]
        log = self.folder / "gerrit.log"
        argv += ["--headless", "--console-log"]
        self._process = process = start(argv, cwd=self.folder, env=self._environment(), log=log)

        def answers() -> bool:
            assert process.exit_code() is None, log.read_text()[-4000:]
            with contextlib.suppress(requests.RequestException):
                return requests.get(f"{self.url}/config/server/version", timeout=SECONDS).ok
            return False

        wait_for(answers, f"answer of Gerrit: {log}", SECONDS)

    def _fill(self) -> None:
        """Accounts, a project, the label, and who may vote."""
        self._ids["admin"] = self.ask("GET", "/accounts/self")["_account_id"]
        group = self.ask("PUT", "/groups/thirdparty-ci", {})["id"]
        self.add_account(CI_USER, "Demo CI", may_vote=VERIFIED)
        self.add_account("zuul", "Zuul", may_vote=VERIFIED)
        self.add_account("jane", "Jane Person")
        values = {"-2": "Fails", "-1": "Fails", " 0": "No score", "+1": "Works", "+2": "Verified"}
        label = {"values": values, "default_value": 0, "function": "NoBlock"}
        self.ask("PUT", "/projects/All-Projects/labels/Verified", label)
        rule = {group: {"action": "ALLOW", "min": -1, "max": 1}}
        vote = {"label-Verified": {"label": "Verified", "rules": rule}}
        self.ask("POST", "/projects/All-Projects/access", {"add": {"refs/heads/*": {"permissions": vote}}})
        self.add_project(PROJECT)

    def _java(self, *arguments: str) -> None:
        argv = ["java", *JAVA, "-jar", os.environ["GERRIT_WAR"], *arguments]
        run(argv, cwd=self.folder, env=self._environment(), timeout=SECONDS, log=self.folder / "init.log")

    def _environment(self) -> dict[str, str]:
        # It unpacks its libraries below HOME or the folder for temporary files.
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "GERRIT_TMP": str(self.folder / "tmp"),
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def _address(self, project: str) -> str:
        return f"http://admin:{self.password('admin')}@{HOST}:{self.port}/a/{project}"

    def _clone(self, project: str) -> Path:
        return self.folder / "clones" / project

    def _commit(self, clone: Path, files: Mapping[str, str], message: str) -> None:
        for name, text in files.items():
            path = clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "-m", message)
