"""ci-publish-logs, the installed command, for each exit code and on hostile, huge and half-done things."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.workspace import utc_text
from tests.fakes.waiting import wait_for
from tests.publishing.made_runs import (
    CHANGE,
    ESCAPES,
    FOLDER,
    HOSTILE,
    SECRET,
    URL,
    VERDICT,
    files_below,
    made_config,
    made_run,
    write,
)

COMMAND = Path(sys.executable).with_name("ci-publish-logs")
MODULE = "ci_scripts.stages.publish_logs"
HOME = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


class Site:
    """A folder to publish to, a configuration that says so, a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.published = folder / "published"
        self.published.mkdir()
        self.config = made_config(folder, str(self.published))
        self.root = made_run(folder / "run")
        self.run = self.published / FOLDER

    def argv(self, *arguments: str | Path) -> list[str]:
        return [str(COMMAND), "--config", str(self.config), *map(str, arguments)]

    def publish(
        self, *arguments: str | Path, environment: dict[str, str] | None = None, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        words = self.argv(*(arguments or ("--workspace", self.root)))
        env = {**HOME, **(environment or {})}
        return subprocess.run(words, env=env, cwd=self.folder, capture_output=True, text=True, timeout=120, **more)

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.argv("--workspace", self.root), env=HOME, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "published.json").read_text())
        return found

    def hidden(self) -> list[str]:
        """What is left of attempts."""
        folder = self.published / ".publishing"
        return sorted(path.name for path in folder.iterdir() if path.name != "lock") if folder.exists() else []

    def pages(self) -> list[Path]:
        return [path for path in self.published.rglob("index.html") if ".publishing" not in path.parts]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def text(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode("utf-8", "surrogateescape")


def test_a_run_is_published_and_its_address_is_told(site: Site) -> None:
    done = site.publish()
    assert (done.returncode, done.stdout) == (0, f"{URL}/{FOLDER}/\n"), done.stderr
    assert text(site.run / "console.txt.gz").startswith(f"12:00:00 begun\n{ESCAPES}password ***\n")
    assert text(site.run / "testr_results.html.gz") == "<!DOCTYPE html><title>tests</title>\n"
    assert (site.run / "report/index.html").read_text() == "<!DOCTYPE html><title>report</title><p>***</p>\n"
    record = site.record()
    assert record == json.loads((site.run / "published.json").read_text())
    assert {"schema", "url", "folder", "time", "files", "bytes", "left_out"} <= set(record)
    assert (record["url"], record["folder"], record["outcome"]) == (f"{URL}/{FOLDER}/", FOLDER, "SUCCESS")
    ours = [
        path for path in site.run.rglob("*") if path.is_file() and path.name not in ("index.html", "published.json")
    ]
    report = site.run / "report/index.html"
    assert record["files"] == len(ours) + 1
    assert record["bytes"] == sum(path.stat().st_size for path in [*ours, report])
    for path in site.published.rglob("*"):
        if ".publishing" not in path.parts:
            assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644) and not path.is_symlink()
            assert SECRET.encode() not in (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else b"")
    assert json.loads((site.root / "stages/publish-logs.json").read_text())["exit_code"] == 0
    assert site.hidden() == [] and json.loads(site.publish("--workspace", site.root, "--json").stdout) == record


def test_each_folder_has_a_page_that_leads_on(site: Site) -> None:
    assert site.publish().returncode == 0
    parts = FOLDER.split("/")
    for depth, part in enumerate(parts):
        page = site.published.joinpath(*parts[:depth], "index.html").read_text()
        assert f'href="./{part}/"' in page
    for folder in site.run.rglob("*"):
        if folder.is_dir():
            assert (folder / "index.html").is_file()
    page = (site.run / "index.html").read_text()
    assert 'href="./console.txt.gz"' in page and "UTC" in page and "<script" not in page


def test_a_second_time_nothing_is_replaced(site: Site) -> None:
    first = site.publish()
    before = {path: path.stat().st_mtime_ns for path in site.run.rglob("*")}
    record = site.record()
    (site.root / "published.json").unlink()
    (site.run.parent / "index.html").unlink()
    write(site.root / "verdict.json", {**VERDICT, "made": "later"})
    second = site.publish()
    assert (second.returncode, second.stdout) == (0, first.stdout) and "published already" in second.stderr
    assert site.record() == record and (site.run.parent / "index.html").exists()
    assert [path.name for path in site.run.parent.iterdir() if path.is_dir()] == ["1a2b3c"]
    assert {path: path.stat().st_mtime_ns for path in site.run.rglob("*")} == before


def test_another_verdict_or_run_of_the_same_name_gets_a_place_of_its_own(site: Site) -> None:
    addresses = [site.publish().stdout]
    write(site.root / "verdict.json", {**VERDICT, "outcome": "FAILURE"})
    addresses.append(site.publish().stdout)
    write(site.root / "tests.json", {"schema": 1, "tests": [1]})
    addresses.append(site.publish().stdout)
    assert len(set(addresses)) == 3
    assert [site.publish().stdout for _ in range(2)] == [addresses[2]] * 2
    assert json.loads((site.run / "verdict.json").read_text())["outcome"] == "SUCCESS"
    page = (site.run.parent / "index.html").read_text()
    assert page.count("1a2b3c") == 6 and ">FAILURE<" in page


def test_a_dry_run_writes_nothing(site: Site) -> None:
    before = {path: path.stat().st_mtime_ns for path in site.folder.rglob("*")}
    done = site.publish("--workspace", site.root, "--dry-run")
    assert done.returncode == 0 and f"{URL}/{FOLDER}/" in done.stdout
    assert any(line.split() == ["1,300", "logs/gate/shard0/neutron.log.txt.gz"] for line in done.stdout.splitlines())
    assert "left out: logs/testrepository.subunit" in done.stdout
    plan = json.loads(site.publish("--workspace", site.root, "--dry-run", "--json").stdout)
    assert {
        "name": "verdict.json",
        "from": "verdict.json",
        "size": (site.root / "verdict.json").stat().st_size,
    } in plan["files"]
    assert {path: path.stat().st_mtime_ns for path in site.folder.rglob("*")} == before


BAD: list[tuple[str, Callable[[Site], object], tuple[str, ...], str]] = [
    (
        "no logs",
        lambda site: site.config.write_text(site.config.read_text().partition("logs:")[0]),
        (),
        "section 'logs'",
    ),
    ("no secret", lambda site: (site.folder / "password").unlink(), (), "secret 'lab'"),
    ("no intake", lambda site: (site.root / "intake.json").unlink(), (), "a node may have written it"),
    ("no change", lambda site: made_run(site.root, judged=False, change=None), (), "No change to test is given"),
    ("no job", lambda site: made_run(site.root, job=None), (), "--job"),
    ("odd job", lambda site: None, ("--job", "../x"), "has no place"),
    ("odd pipeline", lambda site: None, ("--pipeline", "a b"), "has no place"),
    ("half a change", lambda site: None, ("--project", "x"), "goes with --change"),
    ("bad change", lambda site: None, ("--change", "x", "--project", "p"), "not a number"),
    ("force alone", lambda site: None, ("--force",), "--prune only"),
    ("no workspace", lambda site: site.root.rename(site.folder / "away"), (), "there is no run"),
    ("unknown option", lambda site: None, ("--what",), "No such option"),
]


@pytest.mark.parametrize(("prepare", "arguments", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_option_or_configuration_is_2(site: Site, prepare: Any, arguments: tuple[str, ...], said: str) -> None:
    prepare(site)
    done = site.publish("--workspace", site.root, *arguments)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and files_below(site.published) == set()


def test_change_and_job_of_flags_and_triggers(site: Site) -> None:
    (site.root / "intake.json").unlink()
    own = ("--workspace", site.root, "--change", "7,1", "--project", "openstack/neutron")
    done = site.publish(*own, "--job", "mine", "--pipeline", "experimental")
    assert done.stdout == f"{URL}/07/7/1/experimental/mine/1a2b3c/\n", done.stderr
    assert (
        site.publish(*own, environment={"JOB_NAME": "folder/a job"}).stdout
        == f"{URL}/07/7/1/check/folder-a-job/1a2b3c/\n"
    )
    made_run(site.root)
    done = site.publish("--workspace", site.root, "--pipeline", "gate", "--job", "other")
    assert done.stdout == f"{URL}/45/12345/2/gate/other/1a2b3c/\n"


def test_without_a_verdict_all_is_text(site: Site) -> None:
    (site.root / "intake.json").unlink()
    (site.root / "verdict.json").unlink()
    trigger = {
        "GERRIT_CHANGE_NUMBER": "12345",
        "GERRIT_PATCHSET_NUMBER": "2",
        "GERRIT_PROJECT": "openstack/neutron",
        "GERRIT_BRANCH": "master",
        "GERRIT_REFSPEC": CHANGE["ref"],
        "GERRIT_EVENT_TYPE": "patchset-created",
        "JOB_NAME": "job",
    }
    done = site.publish(environment=trigger)
    assert done.returncode == 0, done.stderr
    run = site.published / site.record()["folder"]
    assert not (run / "report").exists() and not (run / "testr_results.html.gz").exists()
    assert "no verdict" in (run / "index.html").read_text()


def test_hostile_files(site: Site) -> None:
    logs = site.root / "logs"
    write(logs / "evil.html", HOSTILE)
    write(logs / "a/../b\n/<img src=x onerror=alert(1)>.html", HOSTILE)
    write(logs / "core", b"\x7fELF\0\0")
    write(logs / "bomb.log.gz", gzip.compress(b"boom\n" * 3_000_000))
    (logs / "passwd.log").symlink_to("/etc/passwd")
    os.mkfifo(logs / "pipe.log")
    with open(logs / "sparse.log", "wb") as file:
        file.write(b"begun\n" * 50_000)
        file.truncate(10**11)
    with open(logs / "long.log", "wb") as file:
        file.write(b"x" * 3_000_000)
    site.config.write_text(site.config.read_text() + "  largest_file_mb: 1\n")
    done = site.publish()
    assert done.returncode == 0, done.stderr
    assert text(site.run / "logs/evil_html.txt.gz") == HOSTILE
    assert not [path for path in site.run.rglob("*.html") if path.name != "index.html"]
    assert all("<img" not in page.read_text() and "alert(" not in page.read_text() for page in site.pages())
    left_out = "\n".join(site.record()["left_out"])
    for reason in ("core: is not text", "passwd.log: is a link", "pipe.log: is no regular file"):
        assert f"logs/{reason}" in left_out
    assert "logs/long.log: 1951424 bytes in the middle left out" in left_out and "logs/sparse.log: 9" in left_out
    assert "[... 1951424 bytes are left out here" in text(site.run / "logs/long.log.txt.gz")
    assert "root:" not in "".join(text(path) for path in site.run.rglob("*.txt.gz"))
    assert sum(path.stat().st_size for path in site.run.rglob("*")) < 3_000_000


@pytest.mark.parametrize("name", ["logs", "stages"])
def test_a_link_in_place_of_a_folder_is_not_written_through(site: Site, name: str) -> None:
    (site.folder / "outside").mkdir()
    (site.root / name).rename(site.folder / "away")
    (site.root / name).symlink_to(site.folder / "outside")
    done = site.publish()
    assert done.returncode == 5 and "is a link" in done.stderr
    assert list((site.folder / "outside").iterdir()) == [] and files_below(site.published) == set()


def test_a_place_that_is_not_there_is_5(site: Site) -> None:
    site.published.rmdir()
    done = site.publish()
    assert done.returncode == 5 and "make it or mount it" in done.stderr
    assert not (site.root / "published.json").exists()
    assert json.loads((site.root / "stages/publish-logs.json").read_text())["exit_code"] == 5


def test_an_intake_that_was_interrupted_is_5(site: Site) -> None:
    made_run(site.root, ended=False)
    done = site.publish()
    assert done.returncode == 5 and "not filled to its end" in done.stderr


def test_a_file_that_cannot_be_written_whole_leaves_nothing(site: Site) -> None:
    write(site.root / "logs/noise.log", os.urandom(300_000).hex())

    def small() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = site.publish(preexec_fn=small)
    assert done.returncode == 5 and "File too large" in done.stderr and "free some space" in done.stderr
    assert files_below(site.published) == {".publishing/lock"} and site.hidden() == []
    assert site.publish().returncode == 0


@pytest.fixture
def full_disk(site: Site) -> Iterator[Site]:
    """The place is a file system of 200 kB."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a tmpfs")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(site.published)], capture_output=True, timeout=60
    )
    if mounted.returncode != 0:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield site
    finally:
        subprocess.run(["umount", str(site.published)], check=True, timeout=60)


def test_a_full_disk_is_5_and_leaves_nothing_half(full_disk: Site) -> None:
    noise = write(full_disk.root / "logs/noise.log", os.urandom(400_000).hex())
    done = full_disk.publish()
    assert done.returncode == 5 and "No space left on device" in done.stderr and "free some space" in done.stderr
    assert "Nothing was left half published" in done.stderr and "Traceback" not in done.stderr
    assert files_below(full_disk.published) == {".publishing/lock"} and full_disk.hidden() == []
    assert not (full_disk.root / "published.json").exists()
    noise.unlink()
    assert full_disk.publish().returncode == 0


def slow_run(site: Site) -> None:
    """A run that takes a while to be made ready."""
    for number in range(12):
        write(site.root / f"logs/noise-{number:02d}.log", os.urandom(1_500_000).hex())


def test_kill_9_leaves_nothing_that_is_linked_and_the_next_run_cleans(site: Site) -> None:
    slow_run(site)
    process = site.start()
    wait_for(lambda: list(site.published.glob(".publishing/*/run/logs/noise-01*")), "second file")
    process.kill()
    process.communicate(timeout=60)
    assert len(site.hidden()) == 1 and site.pages() == []
    assert [path.name for path in site.published.iterdir()] == [".publishing"]
    done = site.publish()
    assert done.returncode == 0 and site.hidden() == []
    assert done.stdout == f"{URL}/{FOLDER}/\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_abort_leaves_nothing(site: Site, number: signal.Signals, code: int) -> None:
    slow_run(site)
    process = site.start()
    wait_for(lambda: list(site.published.glob(".publishing/*/run/logs/noise-01*")), "second file")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == code and "Traceback" not in error
    assert files_below(site.published) == {".publishing/lock"} and site.hidden() == []


def test_two_publishers_of_one_run(site: Site) -> None:
    slow_run(site)
    processes = [site.start() for _ in range(2)]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    assert [out for out, _ in ended] == [f"{URL}/{FOLDER}/\n"] * 2
    assert [path.name for path in site.run.parent.iterdir() if path.is_dir()] == ["1a2b3c"]
    assert site.hidden() == []


def aged(site: Site, days: float) -> Path:
    """Publish the run and make it so old."""
    assert site.publish().returncode == 0
    record = site.run / "published.json"
    time = utc_text(datetime.now(UTC) - timedelta(days=days))
    write(record, {**json.loads(record.read_text()), "time": time})
    return site.run


def test_old_runs_are_deleted(site: Site) -> None:
    run = aged(site, 32)
    done = site.publish("--prune", "--dry-run")
    assert done.returncode == 0 and f"would be deleted: {FOLDER}" in done.stdout and run.exists()
    done = site.publish("--prune", "--json")
    assert done.returncode == 0 and [entry["folder"] for entry in json.loads(done.stdout)["deleted"]] == [FOLDER]
    assert files_below(site.published) == {".publishing/lock", "index.html"}
    assert "0 of 0 runs" in site.publish("--prune").stdout


@pytest.mark.parametrize("days", [30.5, -3])
def test_young_ones_and_those_of_the_future_stay(site: Site, days: float) -> None:
    run = aged(site, days)
    done = site.publish("--prune")
    assert done.returncode == 0 and run.exists()
    assert ("in the future" in done.stderr) == (days < 0)


def test_less_than_a_month_needs_force(site: Site) -> None:
    run = aged(site, 10)
    site.config.write_text(site.config.read_text() + "  retention_days: 7\n")
    done = site.publish("--prune")
    assert done.returncode == 2 and "--force" in done.stderr and run.exists()
    assert site.publish("--prune", "--force").returncode == 0 and not run.exists()


def test_help_loads_no_module_of_the_domain() -> None:
    code = (
        f"import sys; from ci_scripts.entry_point import call; call({MODULE!r}, 'x', ['--help']); "
        "names = ('jinja2', 'requests', 'rich', 'git', 'pydantic', 'ci_scripts.publishing', 'ci_scripts.change'); "
        "print([m for m in names if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--prune" in done.stdout and "--change" in done.stdout
