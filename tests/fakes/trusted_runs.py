"""Workspaces of the trusted side with a verdict, and the installed command that reports them to a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_scripts.comment_parsers import Summary, zuul_summary
from tests.fakes.fake_gerrit import CI_USER, settings_for

REPORT = Path(sys.executable).with_name("ci-report-to-gerrit")
PROJECT = "openstack/networking-demo"
PAGE = "https://logs.example.org/run/"
VERDICTS: dict[str, dict[str, Any]] = {
    "passed": {"outcome": "SUCCESS", "blame": "nobody", "exit_code": 0, "reasons": ["3 tests passed"]},
    "change": {"outcome": "FAILURE", "blame": "change", "exit_code": 1, "reasons": ["m.First.test_a: failed again"]},
    "ci": {"outcome": "NODE_FAILURE", "blame": "ci", "exit_code": 3, "reasons": ["neutron-server died"]},
    "unknown": {"outcome": "ERROR", "blame": "unknown", "exit_code": 3, "reasons": ["no control run"]},
    "aborted": {"outcome": "ABORTED", "blame": "nobody", "exit_code": 143, "reasons": ["run-gate was aborted"]},
    "conflict": {"outcome": "MERGER_FAILURE", "blame": "nobody", "exit_code": 4, "reasons": ["conflict in a.py"]},
    "skipped": {"outcome": "SKIPPED", "blame": "nobody", "exit_code": 4, "reasons": ["only docs"]},
}


def verdict_json(how: str, run_id: str, **more: Any) -> dict[str, Any]:
    usual = {"schema": 1, "run_id": run_id, "made": "2026-01-31T12:30:00.000Z", "rule": "a-rule", "sentence": "So."}
    lists: dict[str, Any] = {name: [] for name in ("moved", "flaky", "evidence", "context")}
    return {**usual, **lists, "otherwise": "", "history": "", "counts": {}, "seconds": 753.0, **VERDICTS[how], **more}


def intake_json(number: int, patch_set: int, run_id: str, job: str | None, **change: Any) -> dict[str, Any]:
    words = {"number": str(number), "patchset": str(patch_set), "project": PROJECT, "branch": "master"}
    words["ref"] = f"refs/changes/{number % 100:02}/{number}/{patch_set}"
    optional = ("revision", "url", "change_url", "uuid", "event_type", "comment")
    record = {**dict.fromkeys(optional), **words, "pipeline": "check", **change}
    usual = {"schema": 1, "trigger": "gerrit-trigger", "also": [], "source": "/node", "left_out": [], "missing": []}
    taken = {"files": 1, "bytes": 1}
    time = "2026-01-31T12:20:00.000Z"
    return {**usual, "change": record, "job": job, "run_id": run_id, "taken": taken, "time": time, "ended": True}


def trusted_run(
    root: Path,
    number: int,
    how: str,
    *,
    patch_set: int = 1,
    job: str = "demo",
    run_id: str = "run-1",
    change: Mapping[str, Any] | None = None,
    **words: Any,
) -> Path:
    """A workspace as ci-summarize-results --from and ci-publish-logs leave it."""
    root.mkdir(parents=True)
    files = {
        "verdict": verdict_json(how, run_id, **words),
        "intake": intake_json(number, patch_set, run_id, job, **(change or {})),
        "published": {"schema": 1, "url": f"{PAGE}{run_id}/", "folder": f"/srv/{run_id}", "left_out": []},
    }
    for name, content in files.items():
        (root / f"{name}.json").write_text(json.dumps(content))
    return root


class Reporter:
    """ci-report-to-gerrit with a ci.yaml in ``folder`` for ``server``, the fake or a real one."""

    def __init__(self, folder: Path, server: Any, username: str = CI_USER) -> None:
        self.folder = folder
        self.server = server
        self.sections: dict[str, Any] = {
            "name": "Demo CI",
            "wiki": "https://wiki.example.org/Demo",
            "cache_dir": str(folder / "cache"),
            "driver": {"project": "p", "package": "networking-demo"},
            "contacts": [{"name": "Alice", "email": "alice@example.org"}, {"name": "Bob", "irc": "bob"}],
            "gerrit": settings_for(server, folder / "secrets", username),
        }
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "no_proxy": "*",
        }

    def configure(self, **sections: Any) -> Reporter:
        """Merge into the sections of ci.yaml; a section of None is left out."""
        for name, value in sections.items():
            old = self.sections.get(name)
            self.sections[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        return self

    def write_config(self) -> Path:
        config = self.folder / "ci.yaml"
        # JSON is YAML, too.
        config.write_text(json.dumps({key: value for key, value in self.sections.items() if value is not None}))
        return config

    def start(self, *words: object) -> subprocess.Popen[str]:
        config = self.write_config()
        argv = [str(REPORT), "--config", str(config), *map(str, words)]
        pipe = subprocess.PIPE
        return subprocess.Popen(argv, cwd=self.folder, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=90)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def report(self, *workspaces: Path, more: tuple[object, ...] = ()) -> subprocess.CompletedProcess[str]:
        return self.run(*(word for workspace in workspaces for word in ("--workspace", workspace)), *more)


def own_messages(server: Any, number: int, username: str = CI_USER) -> list[Any]:
    """What the fake holds of the CI on a change."""
    return [message for message in server.changes[number].messages if message.author.username == username]


def own_summaries(server: Any, number: int) -> list[Summary]:
    """As Gerrit's summary reads them."""
    found = [zuul_summary(message.text) for message in own_messages(server, number)]
    return [summary for summary in found if summary is not None]


def reported(workspace: Path) -> dict[str, Any]:
    """reported.json."""
    content: dict[str, Any] = json.loads((workspace / "reported.json").read_text())
    return content
