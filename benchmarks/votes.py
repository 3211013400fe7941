"""`ci-operate retract-votes` on many changes of a real Gerrit, against one REST request by curl for each of as many."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from measuring import ROOT, Sample, in_pairs, machine, report

sys.path.insert(0, str(ROOT))

from tests.fakes.fake_gerrit import CI_USER
from tests.fakes.operator_site import TAG, OperatorSite, failure
from tests.integration.gerrit_server import RealGerrit, missing

AIM = 1.3
CHANGES = 100
PAIRS = 3
SECONDS = 600
WHY = "The lab lost its network."


def bad_day(gerrit: RealGerrit) -> tuple[str, list[int]]:
    """A project of its own, and its changes, each voted -1 by us."""
    project = gerrit.new_project()
    numbers = gerrit.push_many(CHANGES, project)
    for number in numbers:
        gerrit.vote(number, CI_USER, "Verified", -1, failure(f"20260131T120000Z-{number:06x}"), TAG)
    return project, numbers


def by_command(gerrit: RealGerrit, folder: Path) -> Sample:
    project, _ = bad_day(gerrit)
    site = OperatorSite(folder / project.rpartition("/")[2], gerrit)  # type: ignore[arg-type]
    words = ("retract-votes", "--project", project, "--outcome", "FAILURE", "--why", WHY, "--yes", "--json")

    def act() -> None:
        done = site.operate(*words, timeout=SECONDS)
        if done.returncode != 0:
            sys.exit(done.stderr)

    return _sample(act)


def by_curl(gerrit: RealGerrit, folder: Path) -> Sample:
    _, numbers = bad_day(gerrit)
    body, options = folder / "review.json", folder / "curl.conf"
    body.write_text(json.dumps({"message": WHY, "labels": {"Verified": 0}, "tag": TAG}))
    options.write_text(f'user = "{CI_USER}:{gerrit.password(CI_USER)}"\n')
    options.chmod(0o600)
    argv = ["curl", "--silent", "--show-error", "--fail", "--config", str(options), "--output", "/dev/null"]
    argv += ["--header", "Content-Type: application/json", "--data", f"@{body}"]

    def act() -> None:
        for number in numbers:
            address = f"{gerrit.url}/a/changes/{number}/revisions/current/review"
            subprocess.run([*argv, address], check=True, timeout=SECONDS)

    return _sample(act)


def _sample(act: Callable[[], None]) -> Sample:
    started = time.perf_counter()
    act()
    return Sample(time.perf_counter() - started, 0.0, 0)


if __name__ == "__main__":
    print(machine())
    if (reason := missing()) is not None:
        print(f"votes: not measured, {reason}")
        sys.exit(0)
    server = RealGerrit()
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            ours, its, ratio = in_pairs(
                lambda: by_command(server, Path(name)), lambda: by_curl(server, Path(name)), PAIRS
            )
        rates = f"{CHANGES / ours:.1f} against {CHANGES / its:.1f} votes a second, {CHANGES} changes, {PAIRS} pairs"
        report("votes", f"whole command {ours:.1f} s against {its:.1f} s, {rates}", ratio, AIM)
    finally:
        server.stop()
