"""ci-summarize-results --from, as the trusted side calls the installed command on what a node left."""

from __future__ import annotations

import gzip
import json
import shutil
import signal
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from ci_scripts.history import DEFAULT_FILE
from tests.fakes.waiting import wait_for
from tests.stages.trusted_side import (
    ASKED,
    CHANGE,
    CONFIG,
    GERRIT,
    OPERATE,
    SHA,
    SUMMARIZE,
    A,
    Trusted,
    Way,
    aborted,
    as_tar,
    blamed,
    interrupted_at_once,
    lost,
    node_run,
    skipped,
    unknown,
    ways,
)
from tests.verdict.made_workspaces import write


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
        rows = connection.execute(
            "select job, change_number, patch_set, outcome from history_runs order by id"
        ).fetchall()
    assert rows == [("here", "7", "2", "SUCCESS"), ("here", "7", "2", "NODE_FAILURE")]
    assert trusted.json("verdict.json")["history"] == "" and trusted.json("verdict.json")["run_id"]
