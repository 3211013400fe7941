"""What a run was made of, read from its workspace: packages, checkouts, Python, kernel, configuration."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

from ci_scripts.history.records import Snapshot
from ci_scripts.verdict.run_facts import moment_of
from ci_scripts.verdict.untrusted_file import read_object, read_text

__all__ = ["LOCAL", "OWN_PYTHON", "Snapshot", "read_snapshot"]

# In the place of a version: the package was built from a source tree, whose commit tells more.
LOCAL = "(source tree)"
OWN_PYTHON = "ci"
MAX_PACKAGES_BYTES = 1024 * 1024
MAX_ENVIRONMENTS = 10
MAX_PACKAGES = 2_000
MAX_PROJECTS = 100
MAX_SETTINGS = 1_000
MAX_NAME = 200
MAX_VALUE = 500
# As gates/local/driver.py writes it: a heading for each environment, then what `uv pip freeze` prints.
HEADING = re.compile(r"# ([A-Za-z0-9_-]{1,50}): Python (\d+\.\d+[\w.+]{0,30})\Z")
PACKAGE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(==| @ )(\S+)\Z")
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z|sha256:[0-9a-f]{64}\Z")
USER_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")


def read_snapshot(root: Path, run: dict[str, Any]) -> Snapshot:
    """The snapshot of the run in workspace ``root``, whose run.json is ``run``.

    Both may come from a node that ran untrusted code: what is damaged or beyond the bounds is left out.
    """
    packages, python = _packages(root)
    tools, machine = _dict(run.get("tools")), _dict(run.get("machine"))
    own = _words(tools.get("python"))
    return Snapshot(
        run_id=_words(run.get("run_id")) or "",
        time=moment_of(_words(run.get("created"))),
        packages=packages,
        commits={**_of_driver(root, run), **_commits(run)},
        python={**({OWN_PYTHON: own} if own else {}), **python},
        kernel=_words(machine.get("kernel")),
        settings=_settings(run.get("settings")),
    )


def _packages(root: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Versions by environment, and the Python of each."""
    packages: dict[str, dict[str, str]] = {}
    python: dict[str, str] = {}
    try:
        text, _ = read_text(root / "logs" / "packages.txt", limit=MAX_PACKAGES_BYTES, inside=root)
    except OSError:
        return packages, python
    current: dict[str, str] = {}
    for line in text.splitlines():
        heading, package = HEADING.match(line), PACKAGE.match(line)
        if heading and len(packages) < MAX_ENVIRONMENTS:
            current = packages.setdefault(heading[1], {})
            python[heading[1]] = heading[2]
        elif package and packages and len(current) < MAX_PACKAGES:
            current[package[1][:MAX_NAME]] = _version(package[2] == " @ ", package[3])
    return packages, python


def _version(is_url: bool, text: str) -> str:
    if not is_url:
        return _cleaned(text)
    # The path of a source tree is another one in each run.
    return LOCAL if text.startswith("file:") else _cleaned(USER_IN_URL.sub("", text))


def _commits(run: dict[str, Any]) -> dict[str, str]:
    """The branch's tip of every checkout: what was merged onto it is this run's own and differs anyway."""
    merged_by_zuul = {
        _words(change.get("project"))
        for change in map(_dict, [run.get("change"), *_list(run.get("also"))])
        # Zuul 2's refs are the change already merged: which tip they hold is not known.
        if (_words(change.get("ref")) or "").startswith("refs/zuul/")
    }
    commits = {}
    for project, checkout in list(_dict(run.get("checkouts")).items())[:MAX_PROJECTS]:
        commit = _dict(checkout).get("tip") or _dict(checkout).get("commit")
        if project not in merged_by_zuul and isinstance(commit, str) and COMMIT.match(commit):
            commits[_cleaned(project, MAX_NAME)] = commit
    return commits


def _of_driver(root: Path, run: dict[str, Any]) -> dict[str, str]:
    """A driver that is installed from a path is no checkout: its commit is a hash of its files."""
    try:
        commit = read_object(root / "logs" / "driver.json", inside=root).get("commit")
    except (OSError, ValueError):
        return {}
    project = _words(_dict(run.get("driver")).get("project"))
    known = project in _dict(run.get("checkouts"))
    return {project: commit} if project and not known and isinstance(commit, str) and COMMIT.match(commit) else {}


def _settings(value: object) -> dict[str, str]:
    settings = {}
    for name, setting in list(_dict(value).items())[:MAX_SETTINGS]:
        with contextlib.suppress(RecursionError):
            text = setting if isinstance(setting, str) else json.dumps(setting)
            settings[_cleaned(name, MAX_NAME)] = _cleaned(text)
    return settings


def _cleaned(text: str, limit: int = MAX_VALUE) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text[:limit])


def _words(value: object) -> str | None:
    return _cleaned(value, MAX_NAME) if isinstance(value, str) and value else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value[:MAX_PROJECTS] if isinstance(value, list) else []
