"""ci-publish-logs, the installed command, with hostile files, full disks, kills, aborts and a rival; and old runs."""

from __future__ import annotations

import gzip
import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci_scripts.workspace import utc_text
from tests.fakes.waiting import wait_for
from tests.publishing.made_runs import FOLDER, HOSTILE, URL, files_below, made_run, write
from tests.publishing.publish_site import Site, text


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


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
