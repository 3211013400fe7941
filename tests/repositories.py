"""Real git repositories for tests: a server's project with branches and changes, a git daemon, a configuration."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ci_scripts.git import Git, Patience
from ci_scripts.git_cache import GitCache
from ci_scripts.settings import load_settings

DRIVER = "example/networking-example"
NEUTRON = "openstack/neutron"
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
AUTHOR = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "@1700000000 +0000",
    "GIT_COMMITTER_DATE": "@1700000000 +0000",
}


def git(folder: Path, *arguments: str) -> str:
    """Run git as the server's people do; its output."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={**ENVIRONMENT, **AUTHOR},
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout.strip()


class Remote:
    """A project on a server: a repository with a branch, to which commits and changes are added."""

    def __init__(self, folder: Path, branch: str = "master") -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", f"--initial-branch={branch}")
        self.commit({"README": f"{folder.name}\n"}, branch=branch, new=True)

    @property
    def url(self) -> str:
        return self.folder.as_uri()

    def commit(self, files: Mapping[str, str], branch: str = "master", new: bool = False) -> str:
        """Commit files (contents by name) to a branch."""
        if not new:
            git(self.folder, "checkout", "--quiet", branch)
        return self._commit(files, f"change {', '.join(files)}")

    def branch(self, name: str, start: str = "master") -> None:
        git(self.folder, "branch", name, start)

    def change(
        self,
        number: int,
        patchset: int,
        files: Mapping[str, str],
        on: str = "master",
        lag: bool = False,
        message: str = "",
    ) -> str:
        """A patch set on top of ``on``, at its ref in refs/changes/ unless that lags behind; its commit."""
        git(self.folder, "checkout", "--quiet", "--detach", on)
        commit = self._commit(files, message or f"change {number}")
        git(self.folder, "checkout", "--quiet", "master")
        if not lag:
            self.point(change_ref(number, patchset), commit)
        return commit

    def point(self, ref: str, commit: str) -> None:
        git(self.folder, "update-ref", ref, commit)

    def tip(self, name: str = "master") -> str:
        return git(self.folder, "rev-parse", name)

    def _commit(self, files: Mapping[str, str], message: str) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "-m", message)
        return git(self.folder, "rev-parse", "HEAD")


def change_ref(number: int, patchset: int) -> str:
    return f"refs/changes/{number % 100:02}/{number}/{patchset}"


class Daemon:
    """A real git server for the repositories below a folder, to be started and stopped at will."""

    def __init__(self, base: Path) -> None:
        self.base = base
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, remote: Remote) -> str:
        return f"git://127.0.0.1:{self.port}/{remote.folder.relative_to(self.base)}"

    def start(self) -> None:
        listen = ["--listen=127.0.0.1", f"--port={self.port}", "--reuseaddr"]
        self._process = subprocess.Popen(
            ["git", "daemon", "--export-all", f"--base-path={self.base}", *listen, str(self.base)],
            env={
                **ENVIRONMENT,
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
            },
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for _ in range(200):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("git daemon did not start")

    def stop(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


class Waits:
    """A sleep that takes no time: it counts, and may do something once so many seconds have been waited."""

    def __init__(self, after: float = 0.0, then: Callable[[], object] | None = None) -> None:
        self.waited: list[float] = []
        self.after = after
        self.then = then

    def __call__(self, seconds: float) -> None:
        self.waited.append(seconds)
        if self.then is not None and sum(self.waited) >= self.after:
            then, self.then = self.then, None
            then()


def make_cache(
    folder: Path, sleep: Callable[[float], None] | None = None, **patience: Any
) -> tuple[GitCache, list[str]]:
    """A git cache below ``folder``, and what it says."""
    said: list[str] = []
    program = Git(ENVIRONMENT, folder / "logs" / "git.log", Patience(sleep=sleep or Waits(), **patience), said.append)
    return GitCache(folder / "cache" / "git", program), said


def write_config(folder: Path, **sections: Any) -> Path:
    """A ci.yaml (JSON is YAML) for the example driver, with these sections instead of the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ci.yaml"
    content = {
        "name": "Example Networks CI",
        "wiki": "https://wiki.example.org/Example_Networks_CI",
        "cache_dir": str(folder / "cache"),
        "driver": {"project": DRIVER, "package": "networking-example"},
        **sections,
    }
    path.write_text(json.dumps(content, indent=1))
    return path


def make_settings(folder: Path, **sections: Any) -> Any:
    return load_settings(write_config(folder, **sections), environment=ENVIRONMENT)
