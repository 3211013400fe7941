"""Signatures in the logs of a workspace, as a node that ran untrusted code may leave them."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ci_scripts.verdict import log_scan
from ci_scripts.verdict.line_scan import MOST_COUNTED
from ci_scripts.verdict.log_scan import ScanReport, scan_logs
from ci_scripts.verdict.signatures import Signature, load_signatures

FULL = "2026-11-23 11:10:54.202 7 ERROR neutron OSError: [Errno 28] No space left on device: '/x'\n"
GIT = "fatal: unable to look up git.example.org (port 9418) (Name or service not known)\n"
FLAT = 40_000_000


def write(root: Path, name: str, content: str | bytes) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def scan(root: Path, **more: bool) -> ScanReport:
    return scan_logs(root, load_signatures(), **more)


def places(report: ScanReport) -> list[tuple[str, str, int, int]]:
    return [(hit.file, hit.id, hit.line, hit.count) for hit in report.hits]


def test_a_hit_has_its_place_its_meaning_and_its_time(tmp_path: Path) -> None:
    write(tmp_path, "logs/gate/shard0/neutron.log", "INFO fine\n" + FULL + "more\n" + FULL)
    write(tmp_path, "logs/git.log", "$ git fetch\n" + GIT)
    report = scan(tmp_path)

    assert places(report) == [
        ("logs/gate/shard0/neutron.log", "disk-full", 2, 2),
        ("logs/git.log", "git-server-unreachable", 2, 1),
        ("logs/git.log", "name-resolution", 2, 1),
    ]
    hit = report.hits[0]
    assert (hit.blame, hit.time, hit.text) == ("ci", "2026-11-23T11:10:54.202", FULL.strip())
    assert "disk" in hit.meaning and hit.what_to_do
    assert (report.files, report.bytes, report.problems) == (2, 12 + len(GIT) + 15 + 2 * len(FULL), ())


def test_a_hit_is_evidence(tmp_path: Path) -> None:
    write(tmp_path, "logs/gate/neutron.log", FULL * 3)
    write(tmp_path, "logs/gate/often.log", FULL * MOST_COUNTED)
    often, some = (hit.as_evidence() for hit in reversed(scan(tmp_path).hits))

    assert (some.kind, some.time, some.file, some.line) == (
        "signature",
        "2026-11-23T11:10:54.202",
        "logs/gate/neutron.log",
        1,
    )
    assert some.text.startswith("disk-full: A disk of the node is full") and some.text.endswith(" (in 3 lines)")
    assert often.text.endswith(f" (in at least {MOST_COUNTED} lines)")


def test_a_signature_is_looked_for_only_where_it_belongs(tmp_path: Path) -> None:
    write(tmp_path, "logs/gate/neutron.log", GIT)

    assert [hit.id for hit in scan(tmp_path).hits] == ["name-resolution-in-service"]


def test_the_order_of_signatures_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, "logs/console.log", GIT + FULL + "bind(): Address already in use\n")

    assert scan_logs(tmp_path, load_signatures()[::-1]) == scan_logs(tmp_path, load_signatures())


@pytest.mark.parametrize("missing", ["", "logs", "logs/gate"])
def test_a_workspace_without_logs_has_no_hits(tmp_path: Path, missing: str) -> None:
    (tmp_path / missing).mkdir(parents=True, exist_ok=True)

    assert scan(tmp_path) == ScanReport((), 0, 0, ())


def test_results_and_reports_are_no_logs(tmp_path: Path) -> None:
    for name in ("logs/testrepository.subunit", "logs/tempest/worker-0.subunit.gz", "logs/testr_results.html.gz"):
        write(tmp_path, name, FULL)
    for name in ("logs/probes.jsonl", "logs/resources.jsonl", "logs/leftovers.json", "report/x.log", "src/logs/x.log"):
        write(tmp_path, name, FULL)

    assert scan(tmp_path) == ScanReport((), 0, 0, ())


def test_trials_are_looked_into_when_asked(tmp_path: Path) -> None:
    write(tmp_path, "trials/1-control/logs/git.log", GIT)
    write(tmp_path, "logs/trials/git.log", GIT)

    assert scan(tmp_path).hits == ()
    found = {hit.file for hit in scan(tmp_path, inside_trials=True).hits}
    assert found == {"trials/1-control/logs/git.log"}


def test_gzip_is_read_as_a_stream_with_all_its_members(tmp_path: Path) -> None:
    write(tmp_path, "logs/console.log.gz", gzip.compress(b"x\n" * 100_000) + gzip.compress(GIT.encode()))
    write(tmp_path, "logs/git.log", gzip.compress(GIT.encode()))
    report = scan(tmp_path)

    assert {(hit.file, hit.line) for hit in report.hits} == {("logs/console.log.gz", 100_001), ("logs/git.log", 1)}
    assert report.bytes == 200_000 + 2 * len(GIT) and report.problems == ()


def test_what_stands_before_the_damage_is_found(tmp_path: Path) -> None:
    data = gzip.compress(GIT.encode() + os.urandom(100_000), mtime=0)
    write(tmp_path, "logs/console.log.gz", data[:50_000])
    write(tmp_path, "logs/git.log.gz", data[:50_000] + b"damage" * 20 + data[50_120:])
    report = scan(tmp_path)

    assert {hit.file for hit in report.hits} == {"logs/console.log.gz", "logs/git.log.gz"}
    assert [problem.partition(": the gzip file is ")[0] for problem in report.problems] == [
        "logs/console.log.gz",
        "logs/git.log.gz",
    ]


def test_links_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    outside = write(tmp_path, "outside/console.log", FULL).parent
    root = tmp_path / "run"
    write(root, "logs/gate/neutron.log", FULL)
    (root / "logs/console.log").symlink_to(outside / "console.log")
    (root / "logs/devstack").symlink_to(outside)
    os.mkfifo(root / "logs/git.log")
    report = scan(root)

    assert places(report) == [("logs/gate/neutron.log", "disk-full", 1, 1)]
    assert sorted(report.problems) == [
        "logs/console.log: is a link",
        "logs/devstack: is a link",
        "logs/git.log: is no regular file",
    ]


def test_logs_that_are_a_link_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "outside/console.log", FULL)
    for folder in ("run/logs", "run/trials"):
        (tmp_path / folder).parent.mkdir(exist_ok=True)
        (tmp_path / folder).symlink_to(tmp_path / "outside")

    assert scan(tmp_path / "run", inside_trials=True) == ScanReport((), 0, 0, ("logs: is a link",))


def test_a_file_that_becomes_a_link_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "logs/console.log", FULL)
    opened = log_scan.open_regular

    def swapped(name: Path, inside: Path) -> object:
        path.unlink()
        path.symlink_to("/etc/passwd")
        return opened(name, inside)

    monkeypatch.setattr(log_scan, "open_regular", swapped)
    report = scan(tmp_path)

    assert report.hits == () and report.files == 0 and len(report.problems) == 1


def test_names_and_lines_in_no_encoding_come_out_clean(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "gate"
    folder.mkdir(parents=True)
    path = os.path.join(os.fsencode(folder), b"\xff\n\x1bx.log")
    Path(os.fsdecode(path)).write_bytes(b"\xfc\xfe " + FULL.encode())
    (hit,) = scan(tmp_path).hits

    assert hit.file == "logs/gate/� �x.log" and hit.text.startswith("�� 2026")
    assert hit.time is None and (hit.file + hit.text).encode()


def test_bounds_on_bytes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path, f"logs/{name}.log", "x\n" * 500 + FULL)
    monkeypatch.setattr(log_scan, "MAX_FILE", 1000)
    monkeypatch.setattr(log_scan, "MAX_BYTES", 1500)
    report = scan(tmp_path)

    assert report.hits == () and (report.files, report.bytes) == (2, 1500)
    assert report.problems[0].startswith("logs/a.log: the stream is larger than 1000 bytes")
    assert report.problems[2] == "logs/c.log: was not looked at, there are more than 1500 bytes of logs"


def test_bounds_on_files_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        write(tmp_path, f"logs/{number:02d}.log", FULL)
    deep = "/".join("d" * 40)
    write(tmp_path, f"logs/{deep}/x.log", FULL)
    assert "is nested too deeply" in scan(tmp_path).problems[0]
    monkeypatch.setattr(log_scan, "MOST_LISTED", 5)
    few = scan(tmp_path)
    monkeypatch.setattr(log_scan, "MAX_ENTRIES", 3)

    assert [hit.file for hit in few.hits] == [f"logs/{number:02d}.log" for number in range(5)]
    assert any("5th file with disk-full" in problem for problem in few.problems)
    assert any("more than 3 files" in problem for problem in scan(tmp_path).problems)


def test_problems_are_not_without_end(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for number in range(200):
        (tmp_path / f"logs/{number}.log").symlink_to("nowhere")

    assert len(scan(tmp_path).problems) == log_scan.MAX_PROBLEMS


def test_the_same_signature_of_an_operator_is_looked_for_too(tmp_path: Path) -> None:
    write(tmp_path, "logs/gate/controller.log", "boot\nswitch sw1.example.org is rebooting\n")
    own = Signature("own", "switch .* is rebooting", ("logs/gate/*.log",), "ci", "m", "w")

    assert places(scan_logs(tmp_path, (*load_signatures(), own))) == [("logs/gate/controller.log", "own", 2, 1)]
    assert scan_logs(tmp_path, [replace(own, where=("logs/*.log",))]).hits == ()


# VmHWM is of this process image alone; ru_maxrss of a child would begin with what pytest holds.
MEASURE = """
import re, sys
from pathlib import Path
from ci_scripts.verdict.log_scan import scan_logs
from ci_scripts.verdict.signatures import load_signatures
found = scan_logs(Path(sys.argv[1]), load_signatures())
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]
print(int(peak) * 1024, found.bytes, len(found.hits), found.problems)
"""


def peak_of(root: Path) -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, "-c", MEASURE, root], capture_output=True, text=True, check=True)
    peak, *rest = done.stdout.split(maxsplit=3)
    return int(peak), rest


def without_newline(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(200):
            file.write((b"OSError: [Errno 28] No space left on device " * 23_000)[:1_000_000])


def bomb(path: Path) -> None:
    with gzip.open(path.with_suffix(".log.gz"), "wb", compresslevel=1) as file:
        for _ in range(300):
            file.write(bytes(1_000_000))


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(300_000_000)


def all_match(path: Path) -> None:
    path.write_bytes(FULL.encode() * 500_000)


@pytest.mark.parametrize("make", [without_newline, bomb, sparse, all_match])
def test_memory_stays_flat(tmp_path: Path, make: Callable[[Path], None]) -> None:
    write(tmp_path, "small/logs/console.log", FULL)
    base, _ = peak_of(tmp_path / "small")
    path = write(tmp_path, "large/logs/console.log", "")
    make(path)
    peak, (size, hits, _) = peak_of(tmp_path / "large")

    assert peak - base < FLAT
    assert int(hits) == (1 if make in (without_newline, all_match) else 0)
    assert int(size) > 10_000_000
