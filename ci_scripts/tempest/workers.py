"""Worker processes: stestr's own runner, as ``stestr run`` and ``tempest run`` use it, one process per worker.

All workers start at once and discover the tests side by side with the process that lists them; each then reads what it
is to run from a FIFO. ``tempest run`` and ``stestr run`` discover twice, one after the other.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.access import ShardAccess
from ci_scripts.run_command import Background, last_lines, start
from ci_scripts.tempest.runners import Runner
from ci_scripts.tempest.stream_writer import StreamWriter

LOOK_SECONDS = 0.02
GRACE_SECONDS = 3.0
NO_SPACE_BYTES = 64 * 1024


class Worker:
    """One process with its stream in a file of its own, which is read while it grows."""

    def __init__(self, name: str, runner: Runner, shard: ShardAccess, folder: Path) -> None:
        self.name = name
        self.runner = runner
        self.output = folder / f"{name}.subunit"
        self.log = folder / f"{name}.log"
        self.fifo = folder / f"{name}.tests"
        for old in (self.output, self.log, self.fifo):
            old.unlink(missing_ok=True)
        os.mkfifo(self.fifo, 0o600)
        self.fed = False
        # Why what it said could not be copied any further; set by the thread that copies.
        self.lost: OSError | None = None
        self._exit_code: int | None = None
        argv, cwd, env = runner.argv("--load-list", str(self.fifo)), runner.folder(shard), runner.environment(shard)
        self.process: Background = start(argv, cwd=cwd, env=env, log=self.log, stdout=self.output)

    def feed(self, test_ids: Sequence[str]) -> bool:
        """Hand over the tests; False while the worker is not ready to read them."""
        if not self.fed:
            try:
                handle = os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                return False
            os.set_blocking(handle, True)
            with open(handle, "w") as pipe, contextlib.suppress(BrokenPipeError):
                pipe.write("".join(f"{test_id}\n" for test_id in test_ids))
            self.fed = True
        return True

    @property
    def exit_code(self) -> int | None:
        if self._exit_code is None:
            self._exit_code = self.process.exit_code()
        return self._exit_code

    def stop(self) -> None:
        self._exit_code = self.process.stop(GRACE_SECONDS)
        self.fifo.unlink(missing_ok=True)

    def require_good(self) -> None:
        """Raises InfrastructureError when the worker has a problem."""
        problem = self.problem()
        if problem is not None:
            again = f"free some space if that is it; then run {self.runner.command} again."
            raise InfrastructureError(problem, log=self.log, next_step=again)

    def problem(self) -> str | None:
        """Why a worker did not end well, or lost its results. Failed tests are no problem of the worker."""
        if self.lost is not None:
            return f"the results of {self.runner.title}'s {self.name} could not be written: {self.lost.strerror}."
        code = self.exit_code
        if code in (None, 0, 1):
            return None
        if shutil.disk_usage(self.output.parent).free < NO_SPACE_BYTES:
            return f"the disk is full: {self.runner.title}'s {self.name} ended with exit code {code}."
        said = last_lines(self.log.read_text(errors="replace")[-8192:], 4)
        return f"{self.runner.title}'s {self.name} ended with exit code {code}. {said}"


class _GrowingFile:
    """The output of a worker as a file that ends when the worker has ended and all is read."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._file = open(worker.output, "rb")  # noqa: SIM115
        self._buffer = b""

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            ended = self._worker.exit_code is not None
            chunk = self._file.read(65536)
            if chunk:
                self._buffer += chunk
            elif ended:
                break
            else:
                time.sleep(LOOK_SECONDS)
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def close(self) -> None:
        self._file.close()


class _Receiver:
    """Hands each event of a worker on to the one stream."""

    def __init__(self, worker: Worker, writer: StreamWriter) -> None:
        self.worker = worker
        self.writer = writer

    def startTestRun(self) -> None:
        """Part of testtools' StreamResult; nothing to do."""

    def stopTestRun(self) -> None:
        """Part of testtools' StreamResult; nothing to do."""

    def status(self, **fields: Any) -> None:
        self.writer.event(self.worker.name, fields)


def follow(worker: Worker, writer: StreamWriter) -> threading.Thread:
    """Copy the worker's events into the stream in a thread that ends with the worker."""
    from subunit import ByteStreamToStreamResult

    def copy() -> None:
        source = _GrowingFile(worker)
        try:
            ByteStreamToStreamResult(source, non_subunit_name="stdout").run(_Receiver(worker, writer))
        except OSError as error:
            worker.lost = error
        finally:
            source.close()

    thread = threading.Thread(target=copy, name=f"follow-{worker.name}", daemon=True)
    thread.start()
    return thread


def start_listing(runner: Runner, shard: ShardAccess, folder: Path) -> Background:
    """Start the process that lists the tests, into listing.subunit in ``folder``."""
    output = folder / "listing.subunit"
    output.unlink(missing_ok=True)
    cwd, env = runner.folder(shard), runner.environment(shard)
    return start(runner.argv("--list"), cwd=cwd, env=env, log=folder / "listing.log", stdout=output)


def list_tests(runner: Runner, worker: Background, deadline: float, watch: Callable[[], None]) -> list[str]:
    """What the listing process found. Raises InfrastructureError when discovery fails, with its reason."""
    while (code := worker.exit_code()) is None:
        watch()
        if time.monotonic() > deadline:
            raise InfrastructureError(f"{runner.title} did not list its tests in time.", log=worker.log)
        time.sleep(LOOK_SECONDS)
    from subunit import ByteStreamToStreamResult

    found: list[str] = []
    errors: list[str] = []

    class Listing:
        def startTestRun(self) -> None:
            """Part of testtools' StreamResult; nothing to do."""

        stopTestRun = startTestRun

        def status(self, **fields: Any) -> None:
            if fields.get("test_status") == "exists" and fields.get("test_id"):
                found.append(fields["test_id"])
            elif fields.get("file_name") == "import errors" and fields.get("file_bytes"):
                errors.append(bytes(fields["file_bytes"]).decode(errors="replace"))

    with open(worker.log.with_suffix(".subunit"), "rb") as stream:
        ByteStreamToStreamResult(stream, non_subunit_name="stdout").run(Listing())
    if code != 0 or errors:
        text = "\n".join(errors) or worker.log.read_text(errors="replace")[-4096:]
        raise InfrastructureError(
            f"{runner.title} could not load its tests (exit code {code}): {last_lines(text, 4)}",
            log=worker.log,
            next_step=runner.if_unloadable,
        )
    return found
