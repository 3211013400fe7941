"""The disk is full: exit code 3 that says so, no half-written file, and the same command works once there is space."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_openstack import CLASS, FakeSite, installed

MEGABYTES = 48


@pytest.fixture
def small_disk(fake_site: FakeSite) -> Iterator[FakeSite]:
    """A prepared workspace on a file system of its own, which can be filled."""
    root = fake_site.workspace.root
    root.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(root)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a file system cannot be mounted here (a container without CAP_SYS_ADMIN)")
    try:
        subprocess.run(["cp", "-a", f"{fake_site.index.prepared()}/.", str(root)], check=True)
        run = json.loads(fake_site.workspace.run_json.read_text())
        fake_site.workspace.run_json.write_text(json.dumps({**run, "config": str(fake_site.config)}))
        yield fake_site
        assert fake_site.left() == []
    finally:
        fake_site.clear()
        subprocess.run(["umount", "--lazy", str(root)], check=True)


def fill(site: FakeSite) -> Path:
    """Write until nothing fits any more; the file to delete."""
    ballast = site.workspace.root / "ballast"
    for size in (1 << 20, 1 << 12, 1):
        with open(ballast, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return ballast


def test_summarize_results(small_disk: FakeSite) -> None:
    assert small_disk.command("ci-run-gate").exit_code == 0
    assert small_disk.command("ci-summarize-results").exit_code == 0
    before = small_disk.workspace.verdict_json.read_bytes()
    ballast = fill(small_disk)
    done = small_disk.command("ci-summarize-results")
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-summarize-results")
    assert "disk is full" in said or "No space left" in said
    assert "free some space" in said
    # The old verdict is whole: a reader never sees half of one.
    assert small_disk.workspace.verdict_json.read_bytes() == before
    assert not list(small_disk.workspace.root.rglob(".*.json.*"))
    ballast.unlink()
    assert small_disk.command("ci-summarize-results").exit_code == 0


def test_run_tempest(small_disk: FakeSite) -> None:
    names = [f"{CLASS}.test_{number:03}" for number in range(300)]
    small_disk.tests({f"{CLASS}.test_0": "wait"} | dict.fromkeys(names, "fail"))
    assert small_disk.command("ci-start-gate").exit_code == 0
    running = small_disk.begin("ci-run-tempest", "--concurrency", "1")
    small_disk.wait_for_file("waiting")
    ballast = fill(small_disk)
    (small_disk.control / "go").touch()
    done = small_disk.end(running)
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-run-tempest")
    assert "disk is full" in said or "No space left" in said
    assert "Next: " in said
    # With a full disk too the gate can be stopped.
    stopped = small_disk.command("ci-stop-gate")
    assert stopped.exit_code in (0, 3), stopped.errors
    ballast.unlink()
    assert small_disk.command("ci-stop-gate").exit_code == 0


def test_start_gate(small_disk: FakeSite) -> None:
    ballast = fill(small_disk)
    done = small_disk.command("ci-start-gate")
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-start-gate")
    assert "disk is full" in said or "No space left" in said
    assert "Next: " in said
    ballast.unlink()
    assert small_disk.processes() == []


def test_run_gate(small_disk: FakeSite) -> None:
    small_disk.tests({f"{CLASS}.test_0": "wait"})
    running = small_disk.begin("ci-run-gate")
    small_disk.wait_for_file("waiting")
    ballast = fill(small_disk)
    (small_disk.control / "go").touch()
    done = small_disk.end(running)
    assert done.exit_code in (0, 3), done.errors
    assert "Traceback" not in done.errors
    assert small_disk.processes() == []
    ballast.unlink()
    # The supervisor could not write its last word.
    small_disk.workspace.gate_status.unlink(missing_ok=True)


def test_a_file_that_may_not_grow(prepared_site: FakeSite) -> None:
    """The same for everybody, root or not: a limit on the size of a file (setrlimit(2))."""
    assert prepared_site.command("ci-run-gate").exit_code == 0
    done = subprocess.run(
        [installed("ci-summarize-results")],
        env=prepared_site.environment(),
        cwd=prepared_site.folder,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 3, done.stderr
    assert "File too large" in done.stderr
    assert f"{prepared_site.workspace.report_dir}" in done.stderr
    assert "Next: " in done.stderr
    assert not prepared_site.workspace.verdict_json.exists()
    assert not list(prepared_site.workspace.root.rglob(".index.html*"))
