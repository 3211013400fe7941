"""Workspaces as the trusted side has them when a run is to be published, and a ci.yaml that says where to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ci_scripts.workspace import SCHEMA

URL = "https://logs.example.org/ci"
SECRET = "s3cr&t-of-the-lab"
CHANGE = {"number": "12345", "patchset": "2", "project": "openstack/neutron", "branch": "master"}
CHANGE |= {"ref": "refs/changes/45/12345/2", "pipeline": "check"}
INTAKE = {
    "schema": SCHEMA,
    "change": CHANGE,
    "trigger": "gerrit-trigger",
    "also": [],
    "job": "example-tempest",
    "source": "somewhere",
    "run_id": "20260131T120000Z-1a2b3c",
    "taken": {"files": 1, "bytes": 1},
    "left_out": [],
    "missing": [],
    "time": "2026-01-31T13:00:00.000Z",
    "ended": True,
}
VERDICT = {
    "schema": 1,
    "run_id": INTAKE["run_id"],
    "made": "2026-01-31T13:00:01.000Z",
    "history": "",
    "outcome": "SUCCESS",
}
FOLDER = "45/12345/2/check/example-tempest/1a2b3c"
ESCAPES = "\x1b[31mred\x1b[0m\x1b]0;title\x07\n"
HOSTILE = "<!DOCTYPE html><html><script>alert(document.domain)</script></html>\n"


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def made_run(root: Path, *, judged: bool = True, **intake: Any) -> Path:
    """A run that passed; its node's logs are harmless."""
    write(root / "intake.json", {**INTAKE, **intake})
    write(root / "run.json", {"schema": 1, "run_id": INTAKE["run_id"]})
    write(root / "stages/run-tempest.json", {"schema": 1, "name": "run-tempest"})
    write(root / "logs/console.log", f"12:00:00 begun\n{ESCAPES}password {SECRET}\n")
    write(root / "logs/gate/shard0/neutron.log", "INFO neutron\n" * 100)
    write(root / "logs/tempest/worker-0.log", "tempest says\n")
    write(root / "logs/testrepository.subunit", b"\xb3\x29\x00\x16")
    if judged:
        write(root / "logs/testr_results.html", "<!DOCTYPE html><title>tests</title>\n")
        write(
            root / "report/index.html", f"<!DOCTYPE html><title>report</title><p>{SECRET.replace('&', '&amp;')}</p>\n"
        )
        write(root / "report/junit.xml", "<testsuites/>\n")
        write(root / "tests.json", {"schema": 1, "tests": []})
        write(root / "verdict.json", VERDICT)
    return root


def made_config(folder: Path, publish_to: str, more: str = "") -> Path:
    """A ci.yaml with one lab credential."""
    write(folder / "password", f"{SECRET}\n")
    return write(
        folder / "ci.yaml",
        f"""
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver:
  project: example/networking-example
  source: https://git.example.org/networking-example
secrets: [{{name: lab, file: password}}]
logs:
  publish_to: {publish_to}
  url: {URL}
{more}""",
    )


def files_below(folder: Path) -> set[str]:
    """Names of all files, and of what else is no folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
