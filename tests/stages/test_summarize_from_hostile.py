"""ci-summarize-results --from on what is half, hostile, or of another change: held for and against nobody."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stages.trusted_side import (
    CHANGE,
    GERRIT,
    OTHER,
    SHA,
    Trusted,
    Way,
    aborted,
    as_tar,
    as_zip,
    blamed,
    node_run,
    skipped,
)
from tests.verdict.made_workspaces import write


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    return Trusted(tmp_path)


@pytest.mark.parametrize(
    ("key", "said", "line"),
    [
        ("number", "8", "change: run.json says 8, the trigger 7"),
        ("patchset", "1", "patch set: run.json says 1, the trigger 2"),
        ("project", "q", "project: run.json says q, the trigger p"),
        ("revision", OTHER, f"revision: run.json says {OTHER}, the trigger {SHA}"),
    ],
)
@pytest.mark.parametrize("make", [node_run, blamed, skipped, aborted])
def test_the_files_of_another_change_are_held_against_nobody(
    tmp_path: Path, trusted: Trusted, key: str, said: str, line: str, make: Callable[[Path], Path]
) -> None:
    run = make(tmp_path / "node")
    record = json.loads((run / "run.json").read_text())
    write(run / "run.json", {**record, "change": {**CHANGE, key: said}})
    done = trusted.run(trusted.argv(run), GERRIT)
    assert done.returncode == 3, done.stderr
    assert trusted.verdict() == ("other-change", "ERROR", "ci", 3)
    verdict = trusted.json("verdict.json")
    assert verdict["reasons"] == [line]
    assert [(entry["kind"], entry["text"]) for entry in verdict["evidence"]] == [("file", line)]
    assert "p 7,2" in (trusted.root / "report/index.html").read_text()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("way", [as_tar, as_zip])
@pytest.mark.parametrize("make", [node_run, blamed])
def test_half_a_copy_is_held_for_and_against_nobody(
    tmp_path: Path, trusted: Trusted, share: float, way: Way, make: Callable[[Path], Path]
) -> None:
    whole = way(make(tmp_path / "node"), tmp_path).read_bytes()
    (tmp_path / "half").write_bytes(whole[: int(len(whole) * share)])
    done = trusted.summarize(tmp_path / "half")
    assert done.returncode == 3, done.stderr
    rule, outcome, blame, _ = trusted.verdict()
    assert (rule, blame) == ("copy-incomplete", "ci") and outcome in ("ERROR", "NODE_FAILURE")
    assert trusted.json("intake.json")["missing"] and "left out: half: " in done.stderr


def test_half_a_copy_of_an_aborted_run_is_of_an_aborted_run(tmp_path: Path, trusted: Trusted) -> None:
    write(tmp_path / "a/stages/run-gate.json", json.dumps({"schema": 1, "name": "run-gate", "exit_code": 143}))
    archive = as_tar(tmp_path / "a", tmp_path)
    plain = gzip.decompress(archive.read_bytes())
    archive.write_bytes(plain[: plain.rindex(b"}") // 512 * 512 + 512])
    assert trusted.summarize(archive).returncode == 143
    assert trusted.verdict()[:2] == ("aborted", "ABORTED")


def test_a_compression_bomb_ends_soon_and_is_the_cis(tmp_path: Path, trusted: Trusted) -> None:
    run = node_run(tmp_path / "node")
    with open(run / "logs/zeros.log", "wb") as zeros:
        zeros.truncate(200 * 1024 * 1024)
    done = trusted.summarize(as_tar(run, tmp_path))
    assert done.returncode == 3 and trusted.verdict()[0] == "copy-incomplete"
    assert "compression bomb" in done.stderr
    assert sum(path.stat().st_size for path in trusted.root.rglob("*") if path.is_file()) < 150 * 1024 * 1024


@pytest.mark.parametrize(
    "name", ["run.json", "logs/testrepository.subunit", "logs/probes.jsonl", "stages/run-gate.json"]
)
def test_a_link_in_the_place_of_evidence_is_held_against_nobody(tmp_path: Path, trusted: Trusted, name: str) -> None:
    run = blamed(tmp_path / "node")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to("/etc/passwd")
    done = trusted.summarize(as_tar(run, tmp_path))
    assert done.returncode == 3 and trusted.verdict()[::2] == ("copy-incomplete", "ci")
    assert f"{name} is a link" in done.stderr
    assert not any("root:" in path.read_text(errors="replace") for path in trusted.root.rglob("*") if path.is_file())


def test_hostile_names_neither_leave_the_workspace_nor_drive_a_terminal(tmp_path: Path, trusted: Trusted) -> None:
    run = node_run(tmp_path / "node")
    archive = as_tar(run, tmp_path)
    with tarfile.open(tmp_path / "evil.tar", "w") as evil, tarfile.open(archive) as good:
        for name in ("../../escaped", "/tmp/escaped", "logs/\x1b]0;owned\x07", "logs/../../escaped"):
            info = tarfile.TarInfo(name)
            evil.addfile(info)
        for member in good.getmembers():
            evil.addfile(member, good.extractfile(member) if member.isreg() else None)
    before = sorted(tmp_path.rglob("*"))
    done = trusted.summarize(tmp_path / "evil.tar")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr and done.stderr.count("left out") == 5
    assert [path for path in sorted(tmp_path.rglob("*")) if trusted.root not in (path, *path.parents)] == before


@pytest.mark.parametrize("what", ["missing", "link", "pipe", "text"])
def test_a_source_that_is_none_is_a_verdict_too(tmp_path: Path, trusted: Trusted, what: str) -> None:
    source = tmp_path / "source"
    if what == "link":
        source.symlink_to(node_run(tmp_path / "node"))
    elif what == "pipe":
        os.mkfifo(source)
    elif what == "text":
        source.write_text("404 not found")
    done = trusted.summarize(source)
    assert done.returncode == 3 and trusted.verdict() == ("copy-incomplete", "NODE_FAILURE", "ci", 3)


@pytest.mark.parametrize("run_id", ["../../etc", "a b", "", 7, ["x"], "x" * 101, "a..b", "\u202e"])
def test_a_run_id_that_is_no_plain_word_goes_nowhere(tmp_path: Path, trusted: Trusted, run_id: Any) -> None:
    done = trusted.summarize(node_run(tmp_path / "node", run_id=run_id))
    assert done.returncode == 3 and trusted.verdict()[::2] == ("facts-damaged", "ci")
    mine = trusted.json("verdict.json")["run_id"]
    assert mine == trusted.json("intake.json")["run_id"] != run_id and mine.replace("-", "").isalnum()
