"""ci-summarize-results --from, as the trusted side calls the installed command on what a node left."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.history import DEFAULT_FILE
from tests.fakes.waiting import wait_for
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


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    return Trusted(tmp_path)


@ways
def test_a_good_run_passes_whatever_way_it_came(tmp_path: Path, trusted: Trusted, way: Way) -> None:
    run = node_run(tmp_path / "node")
    write(run / "verdict.json", {"schema": 1, "outcome": "FAILURE", "blame": "change", "exit_code": 1})
    write(run / "stages/summarize-results.json", {"schema": 1, "name": "summarize-results", "exit_code": 143})
    done = trusted.summarize(way(run, tmp_path), *ASKED, "--job", "neutron-example")
    assert done.returncode == 0, done.stderr
    assert trusted.verdict() == ("passed", "SUCCESS", "nobody", 0)
    intake = trusted.json("intake.json")
    assert intake["change"]["number"] == "7" and intake["trigger"] == "flags" and intake["job"] == "neutron-example"
    assert intake["run_id"] == trusted.json("verdict.json")["run_id"] == "run-1" and intake["ended"]
    assert not (trusted.root / "src").exists() and not (trusted.root / "environment.sh").exists()
    assert "alert" not in (trusted.root / "report/index.html").read_text()
    assert "p 7,2" in (trusted.root / "report/index.html").read_text()
    console = (trusted.root / "logs/console.log").read_text()
    assert console.startswith("12:00:00 the node's own words\n")
    assert trusted.json("stages/summarize-results.json")["exit_code"] == 0
    assert "take the node's files" in done.stderr


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


@ways
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (blamed, ("fails-only-with-the-change", "FAILURE", "change", 1)),
        (unknown, ("nobody-knows", "ERROR", "unknown", 3)),
        (skipped, ("nothing-to-test", "SKIPPED", "nobody", 4)),
        (aborted, ("aborted", "ABORTED", "nobody", 143)),
        (interrupted_at_once, ("aborted", "ABORTED", "nobody", 130)),
        (lost, ("copy-incomplete", "NODE_FAILURE", "ci", 3)),
    ],
)
def test_every_verdict_is_made_anew_and_again(
    tmp_path: Path, trusted: Trusted, way: Way, make: Callable[[Path], Path], expected: tuple[str, str, str, int]
) -> None:
    source = way(make(tmp_path / "node"), tmp_path)
    for _ in range(2):
        done = trusted.summarize(source)
        assert done.returncode == expected[3], done.stderr
        assert trusted.verdict() == expected
    # Whatever the node left, the report names the change.
    assert "p 7,2" in (trusted.root / "report/index.html").read_text()


def test_the_gerrit_trigger_here_names_the_change(tmp_path: Path, trusted: Trusted) -> None:
    source = as_tar(node_run(tmp_path / "node"), tmp_path)
    jenkins = {**GERRIT, "JOB_NAME": "folder/neutron-example", "WORKSPACE": str(tmp_path / "jenkins")}
    done = trusted.run([str(SUMMARIZE), "--from", str(source)], jenkins)
    assert done.returncode == 0, done.stderr
    intake = json.loads((tmp_path / "jenkins/intake.json").read_text())
    assert (intake["trigger"], intake["job"]) == ("gerrit-trigger", "neutron-example")
    assert intake["change"]["revision"] == SHA


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


def test_without_a_change_there_is_a_verdict_and_a_word(tmp_path: Path, trusted: Trusted) -> None:
    done = trusted.run(trusted.argv(node_run(tmp_path / "node")))
    assert done.returncode == 0 and "cannot be reported" in done.stderr
    assert trusted.json("intake.json")["change"] is None and trusted.json("intake.json")["job"] is None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--from", "", *ASKED), "--from names nothing"),
        (ASKED, "--change, --project go with --from"),
        (("--job", "a"), "--job goes with --from"),
        (("--from", "{node}", "--change", "7,2"), "project"),
        (("--from", "{node}", "--change", "7;x,2", "--project", "p"), "is not a number"),
        (("--from", "{node}", *ASKED, "--job", "a b"), "is not one plain word"),
        (("--from", "{node}", "--project", "p"), "No change"),
        (("--from", "{root}", *ASKED), "is inside of"),
        (("--from", "{node}", *ASKED, "--config", "missing.yaml"), "missing.yaml"),
    ],
)
def test_wrong_options_write_nothing(tmp_path: Path, trusted: Trusted, options: tuple[str, ...], why: str) -> None:
    node_run(tmp_path / "node")
    words = [word.format(node=tmp_path / "node", root=tmp_path) for word in options]
    trusted.root.mkdir()
    done = trusted.run([str(SUMMARIZE), "--workspace", str(trusted.root), *words])
    assert done.returncode == 2 and why in done.stderr, done.stderr
    assert not any(path.is_file() and path.name != ".lock" for path in trusted.root.rglob("*"))


def test_a_workspace_of_another_run_is_refused_and_stays(tmp_path: Path, trusted: Trusted) -> None:
    source = node_run(tmp_path / "node")
    own = node_run(trusted.root, run_id="run-of-its-own")
    done = trusted.summarize(source)
    assert done.returncode == 2 and "holds another run" in done.stderr and "fresh folder" in done.stderr
    assert json.loads((own / "run.json").read_text())["run_id"] == "run-of-its-own"
    assert not (own / "intake.json").exists()
    shutil.rmtree(own)
    assert trusted.summarize(source).returncode == 0
    done = trusted.summarize(as_tar(source, tmp_path))
    assert done.returncode == 2 and "holds what was taken from" in done.stderr


def test_the_same_source_again_forgets_what_was_made_of_it_before(tmp_path: Path, trusted: Trusted) -> None:
    source = node_run(tmp_path / "node")
    assert trusted.summarize(source).returncode == 0
    for name in ("published.json", "reported.json", "logs/old.log"):
        write(trusted.root / name, {"schema": 1})
    node_run(source, {A: "failed"}, run_id="run-2")
    assert trusted.summarize(source).returncode == 3
    assert trusted.json("verdict.json")["run_id"] == "run-2"
    assert not any((trusted.root / name).exists() for name in ("published.json", "reported.json", "logs/old.log"))


def test_two_at_once_do_not_mix(tmp_path: Path, trusted: Trusted) -> None:
    import fcntl

    trusted.root.mkdir()
    with open(trusted.root / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = trusted.summarize(node_run(tmp_path / "node"))
    assert done.returncode == 2 and "another run is active" in done.stderr
    assert trusted.summarize(tmp_path / "node").returncode == 0


def test_an_abort_leaves_no_half_and_it_can_be_run_again(tmp_path: Path, trusted: Trusted) -> None:
    run = node_run(tmp_path / "node")
    header = tarfile.TarInfo("src/x").tobuf()
    plain = gzip.decompress(as_tar(run, tmp_path).read_bytes()).rstrip(b"\0")
    plain += b"\0" * (-len(plain) % 512)
    (tmp_path / "long.tar.gz").write_bytes(gzip.compress(plain + header * 150_000 + b"\0" * 1024, 1))
    argv = trusted.argv(tmp_path / "long.tar.gz", *ASKED)
    with subprocess.Popen(
        argv, cwd=trusted.cwd, env=trusted.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        wait_for((trusted.root / ".intake/run.json").exists, "file taken")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    assert not (trusted.root / ".intake").exists() and not (trusted.root / "run.json").exists()
    assert not (trusted.root / "verdict.json").exists() and not trusted.json("intake.json")["ended"]
    # Without the source there is nothing to judge.
    assert trusted.run([str(SUMMARIZE), "--workspace", str(trusted.root)]).returncode == 3
    assert trusted.verdict()[0] == "copy-incomplete"
    done = trusted.run(argv)
    assert done.returncode == 0, done.stderr


def test_without_from_the_verdict_of_a_trusted_workspace_stays(tmp_path: Path, trusted: Trusted) -> None:
    run = node_run(tmp_path / "node")
    write(run / "run.json", {**json.loads((run / "run.json").read_text()), "change": {**CHANGE, "patchset": "1"}})
    assert trusted.summarize(run).returncode == 3
    first = trusted.json("verdict.json")
    assert trusted.run([str(SUMMARIZE), "--workspace", str(trusted.root)]).returncode == 3
    assert {**trusted.json("verdict.json"), "made": ""} == {**first, "made": ""}
    told = trusted.run([str(OPERATE), "explain", "--workspace", str(trusted.root), "--json"])
    assert told.returncode == 0 and json.loads(told.stdout)["differs_from_verdict_json"] == []


def test_a_workspace_is_made_where_none_is_named(tmp_path: Path, trusted: Trusted) -> None:
    done = trusted.run([str(SUMMARIZE), "--from", str(node_run(tmp_path / "node")), *ASKED])
    assert done.returncode == 0, done.stderr
    assert (trusted.cwd / ".ci-runs/latest/verdict.json").exists()


def test_the_history_has_the_job_and_the_change_of_the_trusted_side(tmp_path: Path, trusted: Trusted) -> None:
    write(tmp_path / "ci.yaml", f"{CONFIG}cache_dir: {tmp_path / 'cache'}\n")
    more = (*ASKED, "--config", str(tmp_path / "ci.yaml"), "--record")
    assert trusted.summarize(node_run(tmp_path / "node"), *more, "--job", "here").returncode == 0
    shutil.rmtree(trusted.root)
    # A lost node's run is in the history, too.
    assert trusted.summarize(lost(tmp_path / "lost"), *more, "--job", "here").returncode == 3
    with closing(sqlite3.connect(tmp_path / "cache" / DEFAULT_FILE)) as connection:
        rows = connection.execute("select job, change, patch_set, outcome from runs order by time").fetchall()
    assert rows == [("here", "7", "2", "SUCCESS"), ("here", "7", "2", "NODE_FAILURE")]
    assert trusted.json("verdict.json")["history"] == "" and trusted.json("verdict.json")["run_id"]


@pytest.mark.parametrize("run_id", ["../../etc", "a b", "", 7, ["x"], "x" * 101, "a..b", "\u202e"])
def test_a_run_id_that_is_no_plain_word_goes_nowhere(tmp_path: Path, trusted: Trusted, run_id: Any) -> None:
    done = trusted.summarize(node_run(tmp_path / "node", run_id=run_id))
    assert done.returncode == 3 and trusted.verdict()[::2] == ("facts-damaged", "ci")
    mine = trusted.json("verdict.json")["run_id"]
    assert mine == trusted.json("intake.json")["run_id"] != run_id and mine.replace("-", "").isalnum()
