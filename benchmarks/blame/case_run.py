"""One case on its way: its folder, what is arranged for it, the job, and what is read from the workspace at the end."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.blame.case import Case, Result
from benchmarks.blame.example_site import BIN, HARMLESS, Site, configuration, environment_of_user, write_configuration
from tests.fakes.left_behind import kill_all, left_behind, processes_about

POLL = 0.05
LOOK_SECONDS = 0.5
END_SECONDS = 60
# Set when the harness is to end: cases that run are stopped.
STOPPED = threading.Event()


class Unavailable(Exception):
    """The case cannot be made or finished here; the text says why. It is void then."""


class CaseRun:
    """What an ``arrange`` function works with.

    ``config`` is the content of the case's ci.yaml, ``environment`` that of the job, ``prefix`` words before the
    job's command, ``options`` words after it. ``exits`` is closed when the job has ended, however it ended.
    """

    def __init__(self, site: Site, case: Case, folder: Path) -> None:
        self.site, self.case, self.folder = site, case, folder
        self.workspace = folder / "workspace"
        self.config: dict[str, Any] = copy.deepcopy(configuration(site, case.project))
        self.config["tempest"]["regex"] = case.regex
        self.environment = {**environment_of_user(), "CI_CACHE_DIR": str(site.cache)}
        self.prefix: list[str] = []
        self.options: list[str] = []
        self.url = str(site.repository(case.project))
        self.exits = contextlib.ExitStack()
        self.over = threading.Event()
        self.result = Result(case)
        self.deadline = time.monotonic() + case.limit
        self._beside: list[Callable[[], None]] = []

    @property
    def stream(self) -> Path:
        return self.workspace / "logs" / "testrepository.subunit"

    def beside(self, act: Callable[[], None]) -> None:
        """Have ``act`` run in a thread while the job runs. It must note() what it did, or the case is void."""
        self._beside.append(act)

    def note(self, text: str) -> None:
        """The fault has happened."""
        self.result.notes.append(text)

    def wait_for(self, condition: Callable[[], Any]) -> bool:
        """Until the condition holds; False when the job ends before."""
        while not self.over.is_set():
            with contextlib.suppress(OSError, ValueError, KeyError):
                if condition():
                    return True
            self.over.wait(POLL)
        return False

    def gates(self) -> list[Path]:
        """The workspaces that have a gate now: the run's own and those of its trials."""
        folders = [self.workspace, *sorted(self.workspace.glob("trials/*"))]
        return [folder for folder in folders if (folder / "logs" / "gate" / "gate-status.json").exists()]

    def services(self, workspace: Path | None = None) -> list[dict[str, Any]]:
        """What a gate's supervisor says; by default that of the run itself."""
        status = (workspace or self.workspace) / "logs" / "gate" / "gate-status.json"
        return list(json.loads(status.read_text())["services"])

    def pid_of(self, name: str, workspace: Path | None = None) -> int | None:
        """The process of a running service."""
        for service in self.services(workspace):
            if service["name"] == name and service["state"] == "running" and service["pid"]:
                return int(service["pid"])
        return None

    def tests_have_begun(self) -> bool:
        return self.stream.stat().st_size > 0

    def start(self, name: str, *words: str) -> subprocess.Popen[bytes]:
        """An installed command for this case; its output goes to job.log."""
        with open(self.folder / "job.log", "ab") as log:
            return subprocess.Popen(
                [*self.prefix, str(BIN / name), "--workspace", str(self.workspace), *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def command(self, name: str, *words: str) -> int:
        """As start, to its end; its exit code. Raises TimeoutExpired after the case's limit; it is ended then."""
        process = self.start(name, *words)
        try:
            self.result.exit_code = self._wait(process)
        finally:
            _end(process)
        return self.result.exit_code

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(LOOK_SECONDS)
            if STOPPED.is_set():
                raise Unavailable("somebody stopped the harness")
            if time.monotonic() > self.deadline:
                raise subprocess.TimeoutExpired(process.args, self.case.limit)

    def change(self) -> list[str]:
        """The options that name the change under test."""
        ref = self.case.ref or self.site.refs.get(self.case.name) or HARMLESS[self.case.project]
        number, patchset = ref.split("/")[-2:]
        words = ["--config", str(self.folder / "ci.yaml"), "--change", f"{number},{patchset}"]
        return [*words, "--project", self.case.project, "--ref", ref, "--url", self.url]

    def go(self) -> Result:
        """Arrange, run the job with what is to happen beside it, read the verdict."""
        self.folder.mkdir(parents=True)
        started = time.monotonic()
        try:
            with self.exits:
                self.case.arrange(self)
                write_configuration(self.folder / "ci.yaml", self.config)
                with self._companions():
                    started = time.monotonic()
                    (self.case.drive or run_job)(self)
        except subprocess.TimeoutExpired:
            self.result.void = f"stopped after {self.case.limit} s"
        except Unavailable as error:
            self.result.void = str(error)
        except Exception as error:
            traceback.print_exc()
            self.result.void = f"the harness failed: {error!r}"
        self.result.seconds = time.monotonic() - started
        self._read_verdict()
        if self._beside and not self.result.notes and not self.result.void:
            self.result.void = "the fault did not happen"
        return self.result

    @contextlib.contextmanager
    def _companions(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._act, args=(act,), daemon=True) for act in self._beside]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.over.set()
            for thread in threads:
                thread.join(timeout=END_SECONDS)

    def _act(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            traceback.print_exc()
            self.result.void = f"the fault could not be made: {error!r}"

    def _read_verdict(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            verdict = json.loads((self.workspace / "verdict.json").read_text())
            self.result.outcome, self.result.blame = str(verdict["outcome"]), str(verdict["blame"])
            self.result.rule = str(verdict["rule"])


def run_job(run: CaseRun) -> None:
    """All of it, as a person would."""
    run.command("ci-run-job", *run.change(), *run.options)


def earlier_run(run: CaseRun) -> None:
    """Prepare the same run in another workspace, which fills the caches, and throw it away."""
    write_configuration(run.folder / "ci.yaml", run.config)
    own, run.workspace = run.workspace, run.folder / "earlier"
    try:
        exit_code = run.command("ci-prepare-gate", *run.change())
    finally:
        shutil.rmtree(run.workspace, ignore_errors=True)
        run.workspace, run.result.exit_code = own, None
    if exit_code != 0:
        raise RuntimeError(f"ci-prepare-gate of an earlier run ended with {exit_code}")


def clear(run: CaseRun) -> list[str]:
    """What the case left behind, in words, before it is ended by force; the folder loses all that is big."""
    for folder in [run.workspace, *run.workspace.glob("trials/*")]:
        # Looking through its files for FIFOs and locks would take half a minute.
        shutil.rmtree(folder / "environments", ignore_errors=True)
    left = left_behind(run.folder)
    kill_all(run.folder)
    return left


def keep_evidence(run: CaseRun, output: Path, *, everything: bool) -> None:
    """Copy what one reads to understand a verdict to ``output``; with ``everything`` the whole workspace."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    if everything and run.workspace.exists():
        shutil.copytree(run.workspace, output / "workspace", symlinks=True, ignore=_no_fifos)
    for name in ("verdict.json", "tests.json", "logs/console.log"):
        for workspace in [run.workspace, *run.workspace.glob("trials/*")]:
            role = "" if workspace == run.workspace else f"{workspace.name}-"
            with contextlib.suppress(OSError):
                shutil.copy(workspace / name, output / f"{role}{Path(name).name}")
    for name in ("ci.yaml", "job.log"):
        with contextlib.suppress(OSError):
            shutil.copy(run.folder / name, output / name)
    entry = {"case": run.case.name, **{k: v for k, v in vars(run.result).items() if k != "case"}}
    (output / "result.json").write_text(json.dumps(entry, indent=1) + "\n")


def worker_processes(workspace: Path) -> list[int]:
    """The Tempest workers that run tests there."""
    found = processes_about(workspace).items()
    return [pid for pid, words in found if "subunit_runner" in words and "--load-list" in words]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _no_fifos(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_fifo() or name == "environments"]
