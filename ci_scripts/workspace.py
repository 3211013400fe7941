"""The folder of one run: where its files are, how they are written, and the lock that keeps a second run out."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError, InfrastructureError

SCHEMA = 1
RUNS = Path(".ci-runs")
RUN_ID_VARIABLE = "CI_RUN_ID"
JSON_BYTES = 64 * 1024 * 1024


class Workspace:
    """Names of everything that a run writes; see DESIGN.md section 5."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run_json = self.root / "run.json"
        self.stages_dir = self.root / "stages"
        self.environment_sh = self.root / "environment.sh"
        self.reproduce_sh = self.root / "reproduce.sh"
        self.src = self.root / "src"
        self.environments_dir = self.root / "environments"
        self.gate_dir = self.root / "gate"
        self.tests_json = self.root / "tests.json"
        self.verdict_json = self.root / "verdict.json"
        self.report_dir = self.root / "report"
        self.logs = self.root / "logs"
        self.console_log = self.logs / "console.log"
        self.packages_txt = self.logs / "packages.txt"
        self.driver_json = self.logs / "driver.json"
        self.selected_tests = self.logs / "selected-tests.txt"
        self.stream = self.logs / "testrepository.subunit"
        self.testr_results = self.logs / "testr_results.html"
        self.gate_logs = self.logs / "gate"
        self.gate_status = self.gate_logs / "gate-status.json"
        self.reruns = self.logs / "reruns"
        self.trials = self.root / "trials"
        self.lock_file = self.root / ".lock"
        # On the trusted side only: what was taken from where, where it was published, what was reported.
        self.intake_json = self.root / "intake.json"
        self.published_json = self.root / "published.json"
        self.reported_json = self.root / "reported.json"

    def make_folders(self) -> None:
        """Create the folders of the run; those that exist stay. Raises ConfigurationError where that cannot be."""
        folders = (self.stages_dir, self.src, self.logs, self.report_dir, self.gate_dir, self.environments_dir)
        with _usable(self.root):
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def lock(self, *, run_id: str, environment: Mapping[str, str]) -> Iterator[None]:
        """Hold the run's lock; a child of the holder (it has the same CI_RUN_ID) goes in without it.

        The lock is flock(2) on a file, so it ends with the process that holds it, however that ended.

        Raises ConfigurationError when another run works in this workspace, or nothing can be written there.
        """
        with _usable(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            # A link that somebody left there would have its target emptied.
            number = os.open(self.lock_file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        with open(number, "a+") as handle:
            try:
                with _usable(self.root):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if environment.get(RUN_ID_VARIABLE) == run_id:
                    yield
                    return
                handle.seek(0)
                holder = handle.read(200).strip() or "unknown"
                raise ConfigurationError(
                    f"another run is active in {self.root} (process {holder}).",
                    next_step="wait for it, stop it, or take another folder with --workspace.",
                ) from None
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n")
            handle.flush()
            yield

    def read_run(self) -> dict[str, Any]:
        """run.json. Raises ConfigurationError when prepare-gate has not been here."""
        with _usable(self.root):
            exists = self.run_json.exists()
        if not exists:
            raise ConfigurationError(
                f"{self.root} holds no run.json.",
                next_step="run ci-prepare-gate first, or name the run's folder with --workspace.",
            )
        return read_json(self.run_json)


@contextlib.contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """What the operating system says against ``folder`` as ConfigurationError; a full disk and a held lock as it is."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EAGAIN):
            raise
        # pathlib raises RuntimeError for a loop of links.
        said = f"{error.filename or folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"{folder} cannot be used as the workspace: {said}.",
            next_step="name a folder that you can write to with --workspace.",
        ) from error


def new_run_id(now: datetime) -> str:
    """A name for a run that sorts by time: 20260131T120000Z-1a2b3c."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def utc_text(moment: datetime | None = None) -> str:
    """ISO 8601 in UTC with milliseconds, as every file of a run has it."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def create_workspace(root: Path | None, run_id: str, *, bare: bool = False) -> Workspace:
    """The folder for a new run: the one given, else .ci-runs/<run id> with .ci-runs/latest pointing to it.

    A ``bare`` one has none of the folders below it yet.

    Raises ConfigurationError when it cannot be made or written to.
    """
    with _usable(root if root is not None else RUNS):
        workspace = Workspace(root if root is not None else RUNS / run_id)
        workspace.root.mkdir(parents=True, exist_ok=True)
        if not bare:
            workspace.make_folders()
        if root is None:
            pointer = RUNS / f".latest-{run_id}"
            pointer.symlink_to(run_id)
            pointer.replace(RUNS / "latest")
    return workspace


def find_workspace(root: Path | None, environment: Mapping[str, str]) -> Workspace:
    """The folder of a run that exists: --workspace, else WORKSPACE of Jenkins, else .ci-runs/latest.

    Raises ConfigurationError when there is none.
    """
    if root is None and environment.get("WORKSPACE"):
        root = Path(environment["WORKSPACE"])
    if root is None:
        root = RUNS / "latest"
    with _usable(root):
        is_there = root.is_dir()
    if not is_there:
        raise ConfigurationError(
            f"there is no run in {root}.",
            next_step="run ci-prepare-gate first, or name the run's folder with --workspace.",
        )
    return Workspace(root)


def write_text_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write to a temporary name beside ``path``, then rename: a reader sees the old text or the new, never half.

    Raises OSError (disk full, no permission); nothing is left of the temporary file then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(text)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_json_atomically(path: Path, data: Any) -> None:
    """As write_text_atomically, as indented JSON."""
    write_text_atomically(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of ours with a schema number that we know; links are not followed, 64 MiB at most.

    Raises InfrastructureError for anything else, with the reason.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as stream:
            raw = stream.read(JSON_BYTES + 1)
        if len(raw) > JSON_BYTES:
            raise InfrastructureError(f"{path} is larger than {JSON_BYTES} bytes.")
        data = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise InfrastructureError(
            f"{path} cannot be read: {error}.", next_step="run the stage that writes it."
        ) from error
    if not isinstance(data, dict):
        raise InfrastructureError(f"{path} holds no JSON object.")
    schema = data.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or not 1 <= schema <= SCHEMA:
        raise InfrastructureError(
            f"{path} has schema {schema!r}; this version reads 1 to {SCHEMA}.",
            next_step="use the version of openstack-driver-ci that wrote it, or a newer one.",
        )
    return data
