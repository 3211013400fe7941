"""Proof that the tests ran against what they were meant to test.

Without it a green run says nothing: the driver may not have been loaded, or the patch set not been there.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci_scripts.errors import CIError
from ci_scripts.verdict.run_facts import UNIT_TESTS, RunFacts
from ci_scripts.verdict.untrusted_file import open_regular, read_object, read_text

MAX_PACKAGES = 1024 * 1024
MAX_LOG_SEARCHED = 64 * 1024 * 1024
MAX_SHARDS = 100
# neutron/plugins/ml2/managers.py logs both lines when the plug-in is loaded.
LOADED = re.compile(r"Loaded mechanism driver names: (\[[^\]]{0,4000}\])")
WORKER_LOG = re.compile(r"neutron-[0-9]{1,3}\.log\Z")
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:==| @ )\S+")
# A heading as "# openstack: Python 3.11.7".
PYTHON = re.compile(r"(?im)^(?:#[^\n]*?)?\bpython[ :=]+(\d+\.\d+[\w.+]*)")
SHA = re.compile(r"[0-9a-f]{40}\Z")
# Commits looked at when the ancestry is proved anew; a patch set is the checkout itself or near to it.
MAX_COMMITS = 2_000
MAX_COMMIT = 64 * 1024
PARENT = re.compile(rb"(?m)^parent ([0-9a-f]{40})$")


@dataclass(frozen=True)
class ProofItem:
    """One thing to prove, whether it is proved, and by what."""

    name: str
    ok: bool
    text: str


@dataclass(frozen=True)
class Proof:
    """All items; complete only if there are some and each of them is proved."""

    items: tuple[ProofItem, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing is left unproved."""
        return bool(self.items) and all(item.ok for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """As verdict.json holds it."""
        return {"complete": self.complete, "items": [vars(item) for item in self.items]}


def gather_proof(root: Path, facts: RunFacts) -> Proof:
    """Prove what DESIGN.md section 5 asks from the files of a workspace. Never raises on account of a file."""
    driver = _driver(root)
    return Proof(
        (
            _patch_set(root, facts.run),
            _driver_item(facts.run, driver),
            (_loaded_item if facts.stage(UNIT_TESTS) is None else _loaded_in_tests)(root, facts, driver),
            *_versions(root),
        )
    )


def _patch_set(root: Path, run: dict[str, Any]) -> ProofItem:
    name = "patch set under test"
    change = _dict(run.get("change"))
    project, revision = str(change.get("project") or ""), str(change.get("revision") or "")
    checkout = _dict(_dict(run.get("checkouts")).get(project))
    commit = str(checkout.get("commit") or "")
    if not SHA.match(revision):
        return ProofItem(name, False, "run.json names no revision of the patch set")
    if not SHA.match(commit):
        whose = project or "the project of the change"
        return ProofItem(name, False, f"run.json names no checkout of {whose}")
    held = commit == revision or checkout.get("contains_revision") is True
    how = "as ci-prepare-gate recorded"
    anew = _ancestor(root, project, revision, commit)
    if anew is not None:
        held, how = anew, "read anew from the checkout"
    verb = "holds" if held else "does not hold"
    return ProofItem(name, held, f"{project} at {commit} {verb} {revision} ({how})")


def _ancestor(root: Path, project: str, revision: str, commit: str) -> bool | None:
    """Whether ``commit`` of the repository is ``revision`` or a descendant; None where nobody can tell.

    Objects are read without a git process: it would obey the configuration of a folder that untrusted code may
    have written, and a partial clone's configuration can name a program to fetch missing objects with.
    """
    folder = root / "src" / project
    # An absolute name, "..", or a link on the way would lead out of the workspace.
    if (folder / ".git").resolve() != root.resolve().joinpath("src", *project.split("/"), ".git"):
        return None
    if not (folder / ".git").is_dir():
        return None
    try:
        return _is_ancestor(folder, revision, commit)
    except CIError:  # an abort
        raise
    except Exception:  # objects that are missing, damaged or packed in a newer way: many kinds are raised
        return None


def _is_ancestor(folder: Path, revision: str, commit: str) -> bool | None:
    from git import Repo, SymbolicReference
    from gitdb import GitDB  # type: ignore[import-untyped]

    with Repo(folder) as repository:
        if SymbolicReference.dereference_recursive(repository, "HEAD") != commit:
            return False
    objects = GitDB(str(folder / ".git" / "objects"))
    waiting, seen = [commit], {commit}
    while waiting and len(seen) < MAX_COMMITS:
        current = waiting.pop(0)
        if current == revision:
            return True
        header = objects.stream(bytes.fromhex(current)).read(MAX_COMMIT).partition(b"\n\n")[0]
        new = [sha for sha in map(bytes.decode, PARENT.findall(header)) if sha not in seen]
        seen.update(new)
        waiting += new
    return None if waiting else False


def _driver(root: Path) -> dict[str, Any]:
    try:
        return read_object(root / "logs" / "driver.json", inside=root)
    except (OSError, ValueError):
        return {}


def _driver_item(run: dict[str, Any], driver: dict[str, Any]) -> ProofItem:
    name = "driver installed"
    distribution, version = str(driver.get("distribution") or ""), str(driver.get("version") or "")
    commit = str(driver.get("commit") or "")
    if not distribution or not version:
        return ProofItem(name, False, "logs/driver.json names no distribution and version")
    text = f"{distribution} {version}" + (f" from commit {commit}" if commit else "")
    project = str(_dict(run.get("driver")).get("project") or "")
    expected = str(_dict(_dict(run.get("checkouts")).get(project)).get("commit") or "")
    if expected and commit != expected:
        return ProofItem(name, False, f"{text}, but the checkout of {project} is at {expected}")
    source = str(driver.get("direct_url") or driver.get("source") or "")[:200]
    if not commit and "/" in source:
        return ProofItem(name, False, f"{text} from {source}, of which no commit is known")
    return ProofItem(name, True, text if commit else f"{text} from a package index")


def _loaded_item(root: Path, facts: RunFacts, driver: dict[str, Any]) -> ProofItem:
    name = "driver loaded by Neutron"
    listed = driver.get("mechanism_drivers")
    wanted = {str(entry) for entry in listed} if isinstance(listed, list) else set()
    if not wanted:
        return ProofItem(name, False, "logs/driver.json names no mechanism drivers of the driver")
    shards = _shard_folders(root)
    expected = {str(service.shard) for service in facts.services or () if service.name.startswith("neutron")}
    if not shards or len(shards) < len(expected):
        needed = len(expected) or "some"
        return ProofItem(name, False, f"logs of {len(shards)} shards are there, {needed} are needed")
    for shard in shards:
        starts = list(_loaded_names(root, shard / "neutron.log"))
        if not starts:
            return ProofItem(name, False, f"{shard.name}/neutron.log names no loaded mechanism drivers")
        if any(not wanted & names for names in starts):
            found = ", ".join(sorted(set.intersection(*starts))) or "none"
            return ProofItem(name, False, f"{shard.name}: loaded {found}, not {', '.join(sorted(wanted))}")
    return ProofItem(name, True, f"{', '.join(sorted(wanted))} in the log of each of {len(shards)} shards")


def _loaded_in_tests(root: Path, facts: RunFacts, driver: dict[str, Any]) -> ProofItem:
    """Unit tests start the plug-in themselves, hundreds of times; a test may name the drivers that it is about."""
    name = "driver loaded by Neutron"
    configured = _dict(facts.run.get("settings")).get("unit_tests.project")
    of_change = configured in (None, "null")
    tested = _dict(facts.run.get("change")).get("project") if of_change else configured
    if tested and tested == _dict(facts.run.get("driver")).get("project"):
        return ProofItem(name, True, f"not needed: the tests are those of the driver, {tested}, itself")
    listed = driver.get("mechanism_drivers")
    wanted = {str(entry) for entry in listed} if isinstance(listed, list) else set()
    if not wanted:
        return ProofItem(name, False, "logs/driver.json names no mechanism drivers of the driver")
    logs = _logs_of_workers(root)
    starts = [names for log in logs for names in _loaded_names(root, log)]
    held = sum(bool(wanted & names) for names in starts)
    text = f"{', '.join(sorted(wanted))} in {held} of {len(starts)} starts of ML2 in the tests, by {len(logs)} logs"
    return ProofItem(name, held > 0, f"{text} (logs/unit-tests/neutron-*.log)")


def _logs_of_workers(root: Path) -> list[Path]:
    folder = root / "logs" / "unit-tests"
    if folder.is_symlink() or folder.parent.is_symlink():
        return []
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if WORKER_LOG.match(entry.name)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)[:MAX_SHARDS]]


def _shard_folders(root: Path) -> list[Path]:
    folder = root / "logs" / "gate"
    if folder.is_symlink() or folder.parent.is_symlink():
        return []
    try:
        with os.scandir(folder) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    shards = sorted(name for name in folders if name.startswith("shard"))
    return [folder / name for name in shards[:MAX_SHARDS]]


def _loaded_names(root: Path, log: Path) -> Iterator[set[str]]:
    """The drivers of each start of Neutron that the log tells of."""
    try:
        with open_regular(log, root) as stream:
            left = MAX_LOG_SEARCHED
            while left > 0 and (line := stream.readline(min(left, 64 * 1024))):
                left -= len(line)
                if b"Loaded mechanism" not in line:
                    continue
                match = LOADED.search(line.decode("utf-8", "replace"))
                if match:
                    yield {str(entry) for entry in ast.literal_eval(match.group(1))}
    except (OSError, ValueError, SyntaxError):
        return


def _versions(root: Path) -> tuple[ProofItem, ProofItem]:
    try:
        text, _ = read_text(root / "logs" / "packages.txt", limit=MAX_PACKAGES, inside=root)
    except OSError:
        text = ""
    count = sum(1 for line in text.splitlines() if PACKAGE.match(line))
    python = PYTHON.search(text)
    return (
        ProofItem("package versions", count > 0, f"{count} packages in logs/packages.txt"),
        ProofItem(
            "Python version",
            python is not None,
            f"Python {python.group(1)}" if python else "logs/packages.txt names no version of Python",
        ),
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
