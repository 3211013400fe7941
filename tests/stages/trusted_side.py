"""What a trusted side is given in tests: runs as their nodes left them, copied in every way, and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.verdict.made_workspaces import gate_files, rounds_files, stage_file, stream_files, trial_files, write

SUMMARIZE = Path(sys.executable).with_name("ci-summarize-results")
OPERATE = Path(sys.executable).with_name("ci-operate")
SHA, OTHER = "a" * 40, "b" * 40
A, B = "m.First.test_a", "m.First.test_b"
CHANGE = {"number": "7", "patchset": "2", "project": "p", "branch": "master", "revision": SHA}
ASKED = ("--change", "7,2", "--project", "p")
CONFIG = """\
name: Example CI
wiki: https://wiki.example.org/Example
driver: {project: p, package: networking-example}
"""
GERRIT = {
    "GERRIT_CHANGE_NUMBER": "7",
    "GERRIT_PATCHSET_NUMBER": "2",
    "GERRIT_PROJECT": "p",
    "GERRIT_BRANCH": "master",
    "GERRIT_REFSPEC": "refs/changes/07/7/2",
    "GERRIT_PATCHSET_REVISION": SHA,
    "GERRIT_EVENT_TYPE": "patchset-created",
    "GERRIT_SCHEME": "https",
    "GERRIT_HOST": "review.example.org",
    "GERRIT_PORT": "443",
}


def node_run(root: Path, statuses: Mapping[str, str] | None = None, **run: Any) -> Path:
    """A finished run as its node left it, everything proved, with what is never taken beside it."""
    checkout = {"commit": SHA, "tip": SHA, "contains_revision": True}
    more = {"change": CHANGE, "trigger": "flags", "driver": {"project": "p"}, "checkouts": {"p": checkout}, **run}
    gate_files(root, **{"job": "of-the-node", **more})
    stream_files(root, statuses or {A: "passed", B: "passed"})
    for shard in (0, 1):
        write(root / f"logs/gate/shard{shard}/neutron.log", "Loaded mechanism driver names: ['logger', 'example']\n")
    driver = {"distribution": "networking-example", "version": "1", "commit": SHA, "mechanism_drivers": ["example"]}
    write(root / "logs/driver.json", driver)
    write(root / "logs/packages.txt", "# openstack: Python 3.11.7\nneutron==29.0.0\n")
    write(root / "logs/console.log", "12:00:00 the node's own words\n")
    write(root / "src/p/setup.py", "raise SystemExit('never executed')\n")
    write(root / "report/index.html", "<script>alert(1)</script>")
    write(root / "environment.sh", "exit 0\n")
    return root


def as_folder(run: Path, root: Path) -> Path:
    return run


def as_tar(run: Path, root: Path) -> Path:
    with tarfile.open(root / "copied.tar.gz", "w:gz") as archive:
        archive.add(run, ".")
    return root / "copied.tar.gz"


def as_zip(run: Path, root: Path) -> Path:
    with zipfile.ZipFile(root / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(run.rglob("*")):
            archive.write(path, Path("archive") / path.relative_to(run))
    return root / "archive.zip"


Way = Callable[[Path, Path], Path]
ways = pytest.mark.parametrize("way", [as_folder, as_tar, as_zip])


class Trusted:
    """The trusted side: a workspace, and the command with an environment of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root / "trusted"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root), "LANG": "C.UTF-8"}
        self.cwd = root / "cwd"
        self.cwd.mkdir()

    def argv(self, source: Path | str, *more: str) -> list[str]:
        return [str(SUMMARIZE), "--workspace", str(self.root), "--from", str(source), *more]

    def run(self, argv: list[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        env = {**self.environment, **(environment or {})}
        return subprocess.run(argv, cwd=self.cwd, env=env, capture_output=True, text=True, timeout=120, check=False)

    def summarize(self, source: Path | str, *more: str) -> subprocess.CompletedProcess[str]:
        return self.run(self.argv(source, *(more or ASKED)))

    def json(self, name: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.root / name).read_text())
        return data

    def verdict(self) -> tuple[str, str, str, int]:
        found = self.json("verdict.json")
        return found["rule"], found["outcome"], found["blame"], found["exit_code"]


def blamed(root: Path) -> Path:
    run = node_run(root, {A: "passed", B: "failed"})
    rounds_files(run, ("alone", "alone", {B: "failed"}))
    trial_files(run, "1-control", "alone", ("alone", "alone", {B: "passed"}))
    trial_files(run, "2-change", "alone", ("alone", "alone", {B: "failed"}))
    return run


def unknown(root: Path) -> Path:
    return node_run(root, {A: "passed", B: "failed"})


def skipped(root: Path) -> Path:
    write(root / "run.json", {"schema": 1, "run_id": "run-1", "trigger": "flags", "change": CHANGE})
    stage_file(root, "prepare-gate", 4, reason="only documentation", outcome="SKIPPED", with_change=False)
    return root


def aborted(root: Path) -> Path:
    run = node_run(root)
    stage_file(run, "run-gate", 143)
    return run


def interrupted_at_once(root: Path) -> Path:
    stage_file(root, "prepare-gate", 130, with_change=False)
    return root


def lost(root: Path) -> Path:
    root.mkdir()
    return root
