"""The checkouts of a run of 12 projects from a warm cache, against the classic way and against writing the files alone.

Each round the server has new commits on every project and the same change once more. Ours is the code of
ci-prepare-gate in this process: fetch, merge, a source tree for each project. The classic way is one git after the
other: copy of a cached clone, remote update, prune, checkout, reset, clean. The bare cost is `git checkout-index` of
the same trees, the projects in parallel, their indexes read before.

The server is this machine: asking it costs next to nothing, and the classic way asks it 25 times, one after the other.
So both are measured once more with a server as far away as most are: an ssh that needs half a second to connect.
"""

import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr
from pathlib import Path

from measuring import ROOT, machine, report
from prepare_histories import ENVIRONMENT, LIGHT, SECONDS, advance, git, make_project, propose

sys.path.insert(0, str(ROOT))

from ci_scripts.change import ChangeUnderTest
from ci_scripts.git import Git, Patience
from ci_scripts.git_cache import GitCache
from ci_scripts.run_checkouts import Site, check_out_all
from ci_scripts.settings import load_settings
from ci_scripts.stage_log import stage
from ci_scripts.workspace import Workspace

LARGE = (4000, 20_000)
SMALL = (200, 500)
PROJECTS = {**{f"openstack/large-{n}": LARGE for n in range(3)}, **{f"openstack/small-{n}": SMALL for n in range(9)}}
UNDER_TEST = "openstack/large-0"
REF = "refs/changes/01/1/1"
# Of the packed history, for each commit: 20,000 of them are 120 MB.
WEIGHT = 6000
NEW_COMMITS = 20
ROUNDS = 5
CONNECT_SECONDS = 0.5
AIM_CLASSIC = 8.0
AIM_BARE = 1.5
HISTORIES = (1, 4, 16)
CHANGED = (20, 2000)
AIM_GROWTH = 1.5


class Bench:
    """A server, our cache, the classic cache, and a way to prepare a workspace with each."""

    def __init__(self, folder: Path, projects: dict[str, tuple[int, int]], weight: int = LIGHT) -> None:
        self.folder = folder
        self.projects = projects
        self.round = 0
        for name, (files, commits) in projects.items():
            make_project(self.server(name), files, commits, weight)
            clone = self.folder / "clones" / name
            clone.parent.mkdir(parents=True, exist_ok=True)
            git(folder, "clone", "--quiet", self.server(name).as_uri(), str(clone))
        self.environment = ENVIRONMENT
        self.write_config("file://{}")
        self.under_test = next(iter(projects))

    def server(self, name: str) -> Path:
        return self.folder / "server" / f"{name}.git"

    def go_away(self) -> None:
        """From now on the server is reached by an ssh that takes its time to connect, and is this machine after all."""
        program = self.folder / "ssh"
        program.write_text(f'#!/bin/sh\nsleep {CONNECT_SECONDS}\nfor command; do :; done\nexec sh -c "$command"\n')
        program.chmod(0o755)
        self.environment = {**ENVIRONMENT, "GIT_SSH_COMMAND": str(program), "GIT_SSH_VARIANT": "simple"}
        for name in self.projects:
            git(self.folder / "clones" / name, "remote", "set-url", "origin", f"ssh://far{self.server(name)}")
        self.write_config("ssh://far{}")
        # Addresses on another host are other projects: filled once, as any cache is.
        self.move_on()
        self.ours()

    def write_config(self, address: str) -> None:
        content = {
            "name": "Bench CI",
            "wiki": "https://wiki.example.org/Bench_CI",
            "cache_dir": str(self.folder / "cache"),
            "driver": {"project": "example/driver", "package": "driver"},
            "projects": {name: {"url": address.format(self.server(name))} for name in self.projects},
        }
        config = self.folder / "ci.yaml"
        config.write_text(json.dumps(content))
        self.settings = load_settings(config, environment=ENVIRONMENT)

    def move_on(self, commits: int = NEW_COMMITS) -> None:
        """What happened at the server since the last run."""
        self.round += 1
        for name in self.projects:
            advance(self.server(name), commits, self.round * max(CHANGED))
        self.revision = propose(self.server(self.under_test), REF)

    def ours(self) -> float:
        workspace = Workspace(self.folder / "ours")
        shutil.rmtree(workspace.root, ignore_errors=True)
        workspace.make_folders()
        change = ChangeUnderTest("1", "1", self.under_test, "master", REF, self.revision, trigger="gerrit-trigger")
        with redirect_stderr(io.StringIO()), stage(workspace, "prepare-gate") as record:
            started = time.perf_counter()
            program = Git(self.environment, workspace.logs / "git.log", Patience(), record.say)
            cache = GitCache(self.settings.cache_dir / "git", program)
            check_out_all(Site(self.settings, workspace, cache, record), change, {"run_id": "x", "checkouts": {}})
            return time.perf_counter() - started

    def classic(self) -> float:
        target = self.folder / "classic"
        shutil.rmtree(target, ignore_errors=True)
        started = time.perf_counter()
        for name in self.projects:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(self.folder / "clones" / name), str(place)], check=True, timeout=SECONDS)
            git(place, "remote", "update", environment=self.environment)
            git(place, "remote", "prune", "origin", environment=self.environment)
            git(place, "checkout", "--quiet", "master")
            git(place, "reset", "--quiet", "--hard", "remotes/origin/master")
            if name == self.under_test:
                git(place, "fetch", "--quiet", "origin", REF, environment=self.environment)
                git(place, "checkout", "--quiet", "FETCH_HEAD")
            git(place, "clean", "-x", "-f", "-d", "-q")
        return time.perf_counter() - started

    def bare(self) -> float:
        """After `ours`, whose trees it writes."""
        target = self.folder / "bare"
        shutil.rmtree(target, ignore_errors=True)
        for name in self.projects:
            # Two of them that make the same folder at the same time fail.
            (target / name).parent.mkdir(parents=True, exist_ok=True)

        def write(name: str) -> None:
            checkout = self.folder / "ours" / "src" / name
            git(checkout, "checkout-index", "--all", "--force", f"--prefix={target / name}/")

        with ThreadPoolExecutor(len(self.projects)) as pool:
            started = time.perf_counter()
            list(pool.map(write, self.projects))
            return time.perf_counter() - started


def in_turn(ways: list[Callable[[], float]], before: Callable[[], None], rounds: int) -> list[list[float]]:
    """Seconds of each way, round by round; the first round warms up and does not count."""
    found = []
    for _ in range(rounds + 1):
        before()
        found.append([way() for way in ways])
    return found[1:]


def compare(folder: Path) -> None:
    bench = Bench(folder, PROJECTS, WEIGHT)
    rows = in_turn([bench.ours, bench.bare, bench.classic], bench.move_on, ROUNDS)
    ours, bare, classic = (statistics.median(column) for column in zip(*rows, strict=True))
    text = f"12 projects, {ours:.2f} s against {classic:.2f} s the classic way, {ROUNDS} rounds"
    report("prepare", text, statistics.median(row[2] / row[0] for row in rows), AIM_CLASSIC, at_least=True)
    text = f"{ours:.2f} s against {bare:.2f} s for the files alone (git checkout-index, in parallel)"
    report("prepare, bare cost", text, statistics.median(row[0] / row[1] for row in rows), AIM_BARE)
    bench.go_away()
    rows = in_turn([bench.ours, bench.classic], bench.move_on, ROUNDS)
    ours, classic = (statistics.median(column) for column in zip(*rows, strict=True))
    text = f"the server {CONNECT_SECONDS:g} s away, {ours:.2f} s against {classic:.2f} s the classic way"
    report("prepare, far server", text, statistics.median(row[1] / row[0] for row in rows), AIM_CLASSIC, at_least=True)


def grow(folder: Path) -> None:
    """One project: histories that are longer, then more that has changed."""
    benches = {
        times: Bench(folder / str(times), {"openstack/large": (LARGE[0], times * LARGE[1])}) for times in HISTORIES
    }

    def move_all_on() -> None:
        for bench in benches.values():
            bench.move_on()

    rows = in_turn([bench.ours for bench in benches.values()], move_all_on, ROUNDS)
    medians = [statistics.median(column) for column in zip(*rows, strict=True)]
    shown = ", ".join(f"{times}x {seconds:.2f} s" for times, seconds in zip(HISTORIES, medians, strict=True))
    longest = statistics.median(row[-1] / row[0] for row in rows)
    report("prepare, longer histories", f"{LARGE[1]:,} commits and more: {shown}", longest, AIM_GROWTH)
    bench = benches[HISTORIES[0]]
    for commits in CHANGED:
        rows = in_turn([bench.ours], lambda commits=commits: bench.move_on(commits), ROUNDS)  # type: ignore[misc]
        print(f"prepare, {commits} new commits: {statistics.median(row[0] for row in rows):.2f} s", flush=True)


if __name__ == "__main__":
    print(machine())
    place = sys.argv[1] if len(sys.argv) > 1 else None
    for part in (compare, grow):
        with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as name:
            part(Path(name))
