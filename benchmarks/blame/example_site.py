"""The site that the cases run on: the example's repositories with every regression as a change, and the caches."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.blame.case import DRIVER, NEUTRON
from ci_scripts.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
BIN = Path(sys.executable).parent
SECONDS = 600
HARMLESS = {DRIVER: "refs/changes/01/1/1", NEUTRON: "refs/changes/02/2/1"}
REPOSITORY = {DRIVER: "networking-example.git", NEUTRON: "neutron.git"}
FIRST_NUMBER = 1001
# What a trigger or an operator may have set where this runs.
_OURS = re.compile(r"WORKSPACE|(?:CI_|ZUUL_|GERRIT_|OS_|TEMPEST_|GIT_).*")


@dataclass(frozen=True)
class Edit:
    """Replace ``old``, which must be in the file exactly once, by ``new``."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Regression:
    """A change that breaks something: the text edits on the tip of its project."""

    name: str
    what: str
    project: str
    edits: tuple[Edit, ...]
    regex: str


@dataclass
class Site:
    """Repositories and caches below ``folder``; the users' own environments are used, because making them takes long.

    Raises CalledProcessError where a repository cannot be made.
    """

    folder: Path
    neutron_sdist: Path | None
    refs: dict[str, str] = field(default_factory=dict)

    @property
    def repositories(self) -> Path:
        return self.folder / "repositories"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def prepare(self, regressions: Iterable[Regression]) -> None:
        """Make the repositories, push the regressions to refs/changes/..., link the caches."""
        self.repositories.mkdir(parents=True)
        argv = [sys.executable, str(EXAMPLES / "make_repositories.py"), "--into", str(self.repositories)]
        if self.neutron_sdist is not None:
            argv += ["--neutron-sdist", str(self.neutron_sdist)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, timeout=SECONDS)
        for number, regression in enumerate(regressions, FIRST_NUMBER):
            self.refs[regression.name] = f"refs/changes/{number % 100:02d}/{number}/1"
            self._push(regression, self.refs[regression.name])
        for name in ("environments", "databases"):
            (users_cache() / name).mkdir(parents=True, exist_ok=True)
            self.cache.mkdir(exist_ok=True)
            (self.cache / name).symlink_to(users_cache() / name)

    def repository(self, project: str) -> Path:
        return self.repositories / REPOSITORY[project]

    def _push(self, regression: Regression, ref: str) -> None:
        tree = self.folder / "trees" / regression.project
        if not tree.exists():
            _git(self.folder, "clone", "--quiet", str(self.repository(regression.project)), str(tree))
        _apply(tree, regression.edits)
        _git(tree, "add", "--all")
        _git(tree, "commit", "--quiet", "--message", f"{regression.what}\n\nThe regression {regression.name}.")
        _git(tree, "push", "--quiet", "origin", f"HEAD:{ref}")
        _git(tree, "reset", "--quiet", "--hard", "origin/master")


def configuration(site: Site, project: str) -> dict[str, Any]:
    """A configuration of examples/ with the site's addresses, one shard, and waits short enough for a table."""
    name = "ci.yaml" if project == DRIVER else "ci-neutron.yaml"
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / name).read_text().replace("{config_dir}", str(EXAMPLES)))
    content["gate"] |= {
        "constraints": str(EXAMPLES / "constraints.txt"),
        "shards": 1,
        "timeout_minutes": 5,
        "hang_seconds": 10,
        "start_timeout_seconds": 60,
    }
    content["projects"][project]["url"] = str(site.repository(project))
    content["driver"]["source"] = str(site.repository(DRIVER))
    content["driver"]["neutron_config"]["ml2_conf.ini"]["ml2_example"]["timeout"] = 3
    content["tempest"] |= {"concurrency": 2, "config": {}}
    return content


def environment_of_user() -> dict[str, str]:
    """Ours, less what would be taken for settings of a run."""
    return {name: value for name, value in os.environ.items() if not _OURS.fullmatch(name)}


@functools.cache
def users_cache() -> Path:
    """The cache folder of who runs this, as the job itself finds it."""
    names = ("HOME", "XDG_CACHE_HOME", "CI_CACHE_DIR")
    variables = {name: os.environ[name] for name in names if name in os.environ}
    return load_settings(EXAMPLES / "ci.yaml", environment=variables).cache_dir


def write_configuration(path: Path, content: dict[str, Any]) -> None:
    """JSON is YAML."""
    path.write_text(json.dumps(content, indent=1) + "\n")


def _apply(tree: Path, edits: Iterable[Edit]) -> None:
    for edit in edits:
        text = (tree / edit.path).read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.path}: expected once, found {text.count(edit.old)} times: {edit.old!r}")
        (tree / edit.path).write_text(text.replace(edit.old, edit.new))


def _git(folder: Path, *words: str) -> None:
    who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _IDENTITY.items()}
    own = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, **who}
    environment = {**environment_of_user(), **own}
    subprocess.run(["git", *words], cwd=folder, env=environment, check=True, timeout=SECONDS)


_IDENTITY = {"NAME": "Example Author", "EMAIL": "author@example.org"}
