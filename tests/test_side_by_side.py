"""Projects worked on at once: results, order, logs, and what happens when one fails or somebody stops it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.git_cache import GitCache
from ci_scripts.run_command import CommandStopped
from ci_scripts.side_by_side import side_by_side
from tests.repositories import make_cache


def test_results_are_in_the_order_of_the_projects(tmp_path: Path) -> None:
    cache, _ = make_cache(tmp_path)
    together = threading.Barrier(3, timeout=30)

    def work(number: int) -> int:
        # Nobody goes on before all have begun.
        together.wait()
        return number

    made = side_by_side({name: lambda _, n=n: work(n) for n, name in enumerate(("c", "a", "b"))}, cache)  # type: ignore[misc]
    assert list(made.items()) == [("a", 1), ("b", 2), ("c", 0)]


def test_a_project_inside_of_another_comes_after_it(tmp_path: Path) -> None:
    cache, _ = make_cache(tmp_path)
    order: list[str] = []
    names = ("org/a/b", "org/a", "org/a-b", "org/a/b/c")
    side_by_side({name: lambda _, name=name: order.append(name) for name in names}, cache)  # type: ignore[misc]
    below = [name for name in order if name != "org/a-b"]
    assert below == ["org/a", "org/a/b", "org/a/b/c"]


def test_the_log_has_one_project_after_the_other(tmp_path: Path) -> None:
    cache, _ = make_cache(tmp_path)
    cache.git.version()
    turns = [threading.Event() for _ in range(3)]
    turns[0].set()

    def work(own: GitCache, number: int) -> None:
        for turn in range(number, 4, 2):
            if turn < len(turns):
                assert turns[turn].wait(30)
            own.git.run(tmp_path, "--version", "--build-options", check=False)
            if turn + 1 < len(turns):
                turns[turn + 1].set()

    side_by_side({"b": lambda own: work(own, 0), "a": lambda own: work(own, 1)}, cache)
    lines = [line for line in cache.git.log.read_text().splitlines() if line.startswith("$ git")]
    assert len(lines) == 5
    assert [path.name for path in cache.git.log.parent.iterdir()] == ["git.log"]


def test_the_first_failure_ends_the_others_and_names_the_log(tmp_path: Path) -> None:
    cache, _ = make_cache(tmp_path, local=600.0)
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "r")], check=True)
    begun = threading.Event()
    stopped: list[BaseException] = []

    def hangs(own: GitCache) -> None:
        try:
            own.git.run(tmp_path / "r", "-c", "alias.hang=!sleep 600", "hang", on_line=print)
        except CommandStopped as error:
            stopped.append(error)
            raise

    def fails(own: GitCache) -> None:
        begun.set()
        raise InfrastructureError("the server of b is away.", log=own.git.log)

    with pytest.raises(InfrastructureError, match="the server of b is away") as caught:
        side_by_side({"a": hangs, "b": fails}, cache)
    assert begun.is_set()
    assert caught.value.log == cache.git.log
    assert not stopped or "another project failed" in str(stopped[0])


def test_what_waits_for_a_lock_is_ended_too(tmp_path: Path) -> None:
    cache, said = make_cache(tmp_path, sleep=lambda seconds: threading.Event().wait(0.01))
    held = threading.Event()

    def waits(own: GitCache) -> None:
        with cache._locked(cache.repository("https://example.org/p")):
            held.set()
            with pytest.raises(InfrastructureError, match="git was stopped: another project failed"):
                own.fetch("https://example.org/p", ["refs/heads/master"])
            raise InfrastructureError("stopped as it should be.")

    def fails(own: GitCache) -> None:
        assert held.wait(30)
        raise ValueError("b")

    with pytest.raises(ValueError, match="b"):
        side_by_side({"a": waits, "b": fails}, cache)
    assert any("is in use by" in text for text in said)


ABORTED = """
import sys, threading
from pathlib import Path
from ci_scripts import aborts
from ci_scripts.errors import Terminated
from ci_scripts.side_by_side import side_by_side
from tests.repositories import make_cache

aborts.install()
folder = Path(sys.argv[1])
cache, _ = make_cache(folder, local=600.0)

def hangs(own):
    own.git.run(folder, "-c", "alias.hang=!echo begun; sleep 600", "hang", on_line=lambda line: print(line, flush=True))

try:
    side_by_side({"a": hangs, "b": hangs}, cache)
except Terminated:
    print("terminated", threading.active_count(), flush=True)
"""


def test_an_abort_ends_all_of_them(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    argv = [sys.executable, "-c", ABORTED, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["begun\n", "begun\n"]
        process.send_signal(signal.SIGTERM)
        # The pipe ends when nobody holds it any more: the sleeping children are gone.
        assert process.stdout.read() == "terminated 1\n"
        assert process.wait(30) == 0
