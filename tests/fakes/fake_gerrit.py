"""A Gerrit in memory over real HTTP on loopback: the endpoints that we use, their answers, and faults on demand.

    with FakeGerrit() as gerrit:
        number = gerrit.push("openstack/networking-demo", files=["driver.py"])
        gerrit.say(number, "jane", "recheck")

Accounts that are there: admin (owns what is pushed), demo-ci and zuul (may vote Verified), jane (a person).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci_scripts.settings_model import Settings
from tests.fakes.gerrit_http import Handler, Server
from tests.fakes.gerrit_state import FakeAccount, FakeChange, State

PROJECT = "openstack/networking-demo"
CI_USER = "demo-ci"
VERIFIED = {"Verified": (-1, 1), "Code-Review": (-1, 1)}
PERSON = {"Code-Review": (-1, 1)}


@dataclass(frozen=True)
class FakeRequest:
    """A request that arrived. ``status`` is 0 where no answer was given; ``body`` the JSON that was sent."""

    method: str
    path: str
    user: str
    body: Any
    status: int


@dataclass
class Fault:
    """What happens instead of the next ``left`` requests that fit; see FakeGerrit.fail_next."""

    left: int
    method: str
    path: str
    status: int = 0
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = ""
    seconds: float = 0.0


class FakeGerrit:
    """``changes`` is the state, by number; ``now`` may be replaced to say what time it is on the server."""

    def __init__(self) -> None:
        self.state = State()
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.requests: list[FakeRequest] = []
        self.query_limit = 500
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC).replace(microsecond=0)
        self._faults: list[Fault] = []
        self.add_account("admin", "Administrator", may_vote={"Code-Review": (-2, 2)})
        self.add_account(CI_USER, "Demo CI", may_vote=VERIFIED)
        self.add_account("zuul", "Zuul", may_vote=VERIFIED)
        self.add_account("jane", "Jane Person")
        self.add_project(PROJECT)
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.gerrit = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeGerrit:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def changes(self) -> dict[int, FakeChange]:
        return self.state.changes

    def add_account(
        self, username: str, name: str, *, email: str = "", may_vote: Mapping[str, tuple[int, int]] = PERSON
    ) -> FakeAccount:
        number = 1000000 + len(self.state.accounts)
        email = email or f"{username}@example.org"
        account = FakeAccount(number, username, name, email, f"p@ss w:rd of {username} é", dict(may_vote))
        self.state.accounts[username] = account
        return account

    def password(self, username: str) -> str:
        return self.state.accounts[username].password

    def number_of(self, username: str) -> int:
        return self.state.accounts[username].number

    def new_project(self) -> str:
        """The name of another project."""
        name = f"{PROJECT}-{len(self.state.projects)}"
        self.add_project(name)
        return name

    def add_project(self, name: str) -> None:
        self.state.projects.add(name)

    def push(
        self,
        project: str = PROJECT,
        *,
        branch: str = "master",
        subject: str = "A change",
        files: Iterable[str] = ("driver.py",),
        wip: bool = False,
    ) -> int:
        """A new change of admin's; its number."""
        with self.lock:
            change = self.state.push(self.now(), self.state.accounts["admin"], project, branch, subject)
            change.work_in_progress = wip
            self.state.add_patch_set(self.now(), change, {path: {"status": "A"} for path in files})
            return change.number

    def new_patch_set(
        self, number: int, *, files: Iterable[str] = ("driver.py",), renamed: tuple[str, str] = ("", "")
    ) -> None:
        """The next patch set; ``renamed``: from, to."""
        about: dict[str, dict[str, Any]] = {path: {"status": "A"} for path in files}
        if renamed[0]:
            about[renamed[1]] = {"status": "R", "old_path": renamed[0]}
        with self.lock:
            self.state.add_patch_set(self.now(), self.changes[number], about)

    def abandon(self, number: int) -> None:
        with self.lock:
            self.state.close(self.now(), self.changes[number], "ABANDONED")

    def merge(self, number: int) -> None:
        with self.lock:
            self.state.close(self.now(), self.changes[number], "MERGED")

    def say(self, number: int, username: str, text: str, tag: str = "", patch_set_level: bool = False) -> None:
        """A message on the current patch set, or a comment of it as Gerrit's own page writes them."""
        said = {"comments": {"/PATCHSET_LEVEL": [{"message": text}]}} if patch_set_level else {"message": text}
        self.review(number, username, {**said, "tag": tag})

    def vote(self, number: int, username: str, label: str, value: int, message: str = "", tag: str = "") -> None:
        self.review(number, username, {"message": message, "labels": {label: value}, "tag": tag})

    def review(self, number: int, username: str, review: Mapping[str, Any]) -> None:
        """Any ReviewInput, on the current patch set."""
        with self.lock:
            change = self.changes[number]
            self.state.review(self.now(), change, change.current.number, self.state.accounts[username], review)

    def fail_next(
        self,
        count: int = 1,
        *,
        status: int = 0,
        kind: str = "",
        method: str = "",
        path: str = "",
        **more: Any,
    ) -> None:
        """Instead of the next ``count`` requests (of ``method``, whose path contains ``path``) there is a fault.

        ``status`` with ``body`` and ``headers`` is answered; or ``kind``: "html" (a login page), "garbage" (broken
        JSON), "slow" (as always, after ``seconds``), "drip" (an answer that comes byte by byte and never ends),
        "drop" (the connection is cut, nothing is done), "lost" (it is done, and the connection cut before an answer).
        """
        with self.lock:
            self._faults.append(Fault(count, method, path, status, kind=kind, **more))

    def fault_for(self, method: str, path: str) -> Fault | None:
        """The fault that is due; it counts as used."""
        with self.lock:
            for fault in self._faults:
                if fault.left > 0 and fault.method in ("", method) and fault.path in path:
                    fault.left -= 1
                    return fault
        return None

    def posted(self) -> list[FakeRequest]:
        """The reviews that arrived."""
        return [each for each in self.requests if each.method == "POST" and each.path.endswith("/review")]


def settings_for(server: Any, folder: Path, username: str = CI_USER, **more: Any) -> dict[str, Any]:
    """The ``gerrit`` section of a ci.yaml for the fake or a real server; the password is a file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"password-of-{username}"
    file.write_text(f"{server.password(username)}\n", encoding="utf-8")
    with contextlib.suppress(OSError):
        file.chmod(0o600)
    return {"url": server.url, "user": username, "password_file": str(file), "timeout_seconds": 10, **more}


def settings_with(section: dict[str, Any]) -> Settings:
    """Settings that hold nothing but what must be there and this ``gerrit`` section."""
    return Settings.model_validate(
        {
            "name": "Demo CI",
            "wiki": "https://wiki.example.org/Demo_CI",
            "cache_dir": "/nonexistent",
            "driver": {"project": "example/driver", "package": "driver"},
            "gerrit": section,
        }
    )
