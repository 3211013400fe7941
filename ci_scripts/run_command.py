"""The only user of subprocess: run a command with a time-out, in a process group of its own, its output saved."""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypedDict, Unpack

from ci_scripts import aborts
from ci_scripts.errors import InfrastructureError
from ci_scripts.process_tree import stop_group

TAIL_BYTES = 64 * 1024
LINE_BYTES = 16 * 1024
GRACE_SECONDS = 20.0
WATCH_SECONDS = 0.5
PR_SET_PDEATHSIG = 1
MASK = b"********"


class MoreOptions(TypedDict, total=False):
    """Rarer options of ``run``: standard input, values to mask, seconds between SIGTERM and SIGKILL."""

    input_text: str
    secrets: Sequence[str]
    grace: float


@dataclass(frozen=True)
class Completed:
    """What a finished command left: ``output`` is the end of stdout and stderr together, at most 64 KiB."""

    argv: tuple[str, ...]
    exit_code: int
    output: str
    seconds: float
    stopped_because: str | None = None


class CommandFailed(InfrastructureError):
    """A command ended with a code other than 0, or could not be started."""

    def __init__(self, what: str, completed: Completed, *, log: Path | None = None, next_step: str = "") -> None:
        super().__init__(what, log=log, next_step=next_step)
        self.completed = completed


class CommandTimedOut(CommandFailed):
    """A command was stopped because its time was up."""


class CommandStopped(CommandFailed):
    """A command was stopped because what was watched beside it gave a reason to."""


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    log: Path | None = None,
    check: bool = True,
    watch: Callable[[], str | None] | None = None,
    on_line: Callable[[str], None] | None = None,
    **more: Unpack[MoreOptions],
) -> Completed:
    """Run ``argv`` to its end and return its exit code and the end of its output.

    ``timeout`` is in seconds. ``watch`` is asked twice a second; a text it returns stops the command. ``on_line`` sees
    each line of output. Further keywords: see MoreOptions; secrets are masked in the log and the output.

    Raises CommandFailed, CommandTimedOut or CommandStopped unless ``check`` is false; then only ``exit_code`` and
    ``stopped_because`` tell. The process group is gone when this returns or raises, whatever happened.
    """
    command = _Command(tuple(argv), cwd, dict(env), timeout, log, watch, on_line, **more)
    completed = command.run()
    if check:
        command.raise_unless_good(completed)
    return completed


@dataclass
class _Command:
    argv: tuple[str, ...]
    cwd: Path
    env: dict[str, str]
    timeout: float
    log: Path | None
    watch: Callable[[], str | None] | None
    on_line: Callable[[str], None] | None
    input_text: str | None = None
    secrets: Sequence[str] = ()
    grace: float = GRACE_SECONDS

    def run(self) -> Completed:
        started = time.monotonic()
        with contextlib.ExitStack() as stack:
            sink: BinaryIO | None = None
            if self.log is not None:
                self.log.parent.mkdir(parents=True, exist_ok=True)
                sink = stack.enter_context(open(self.log, "ab"))
            output = _Output(sink, self.on_line, [s.encode() for s in self.secrets if s])
            exit_code, because = self._run_into(output, started + self.timeout)
        return Completed(self.argv, exit_code, output.text(), time.monotonic() - started, because)

    def _run_into(self, output: _Output, deadline: float) -> tuple[int, str | None]:
        """The exit code, and why the command was stopped if it was; the whole group has ended."""
        process: subprocess.Popen[bytes] | None = None
        try:
            # A signal between the start and the try below would leave the child to nobody.
            with aborts.deferred():
                process = self._start()
            because = self._follow(process, output, deadline)
        except OSError as error:
            if process is not None:
                raise
            output.feed(f"{self.argv[0]}: {error.strerror}\n".encode())
            return 127, None
        finally:
            with aborts.deferred():
                if process is not None:
                    stop_group(process, self.grace)
                    self._drain(process, output)
                output.close()
        return process.returncode, because

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            list(self.argv),
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.PIPE if self.input_text is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        if self.input_text is not None:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self.input_text.encode())
                process.stdin.close()
        return process

    def _follow(self, process: subprocess.Popen[bytes], output: _Output, deadline: float) -> str | None:
        """Read until the command ends; the reason why it must be stopped instead, if there is one."""
        assert process.stdout is not None
        next_watch = time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            open_pipe = True
            while True:
                now = time.monotonic()
                if now >= deadline:
                    return f"its time was up after {self.timeout:g} s"
                if self.watch is not None and now >= next_watch:
                    next_watch = now + WATCH_SECONDS
                    reason = self.watch()
                    if reason is not None:
                        return reason
                wait = min(0.25, deadline - now)
                if not open_pipe:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(wait)
                elif selector.select(wait):
                    chunk = os.read(process.stdout.fileno(), 65536)
                    output.feed(chunk)
                    if not chunk:
                        selector.unregister(process.stdout)
                        open_pipe = False
                    continue
                if process.poll() is not None:
                    return None

    def _drain(self, process: subprocess.Popen[bytes], output: _Output) -> None:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        with contextlib.suppress(BlockingIOError), process.stdout:
            while chunk := os.read(process.stdout.fileno(), 65536):
                output.feed(chunk)

    def raise_unless_good(self, completed: Completed) -> None:
        if completed.stopped_because is None and completed.exit_code == 0:
            return
        shown = " ".join(self.argv[:4]) + (" ..." if len(self.argv) > 4 else "")
        tail = last_lines(completed.output, 8)
        if completed.stopped_because is not None:
            timed_out = completed.stopped_because.startswith("its time was up")
            kind = CommandTimedOut if timed_out else CommandStopped
            raise kind(f"'{shown}' was stopped: {completed.stopped_because}. {tail}", completed, log=self.log)
        raise CommandFailed(f"'{shown}' ended with exit code {completed.exit_code}. {tail}", completed, log=self.log)


class _Output:
    """Takes bytes as they come; masks secrets line by line; keeps the end; hands lines on."""

    def __init__(self, sink: BinaryIO | None, on_line: Callable[[str], None] | None, secrets: Sequence[bytes]) -> None:
        self.sink = sink
        self.on_line = on_line
        self.secrets = secrets
        self.pending = b""
        self.tail = bytearray()

    def feed(self, chunk: bytes) -> None:
        lines = (self.pending + chunk).split(b"\n")
        self.pending = lines.pop()
        for line in lines:
            self._put(line + b"\n")
        while len(self.pending) > LINE_BYTES:
            # A line without an end: what may be the start of a secret stays behind.
            keep = max((len(secret) for secret in self.secrets), default=1)
            masked = self._masked(self.pending)
            cut = max(1, len(masked) - keep)
            self._put(masked[:cut])
            self.pending = masked[cut:]

    def close(self) -> None:
        if self.pending:
            self._put(self.pending)
            self.pending = b""

    def text(self) -> str:
        return bytes(self.tail).decode(errors="replace")

    def _masked(self, data: bytes) -> bytes:
        for secret in self.secrets:
            data = data.replace(secret, MASK)
        return data

    def _put(self, line: bytes) -> None:
        line = self._masked(line)
        self.tail += line
        if len(self.tail) > TAIL_BYTES:
            del self.tail[: len(self.tail) - TAIL_BYTES]
        if self.sink is not None:
            self.sink.write(line)
            self.sink.flush()
        if self.on_line is not None:
            self.on_line(line.decode(errors="replace").rstrip("\n"))


def last_lines(text: str, count: int) -> str:
    """The last lines of a text that are not empty, joined for a one-paragraph error."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-count:])


@dataclass
class Background:
    """A command that runs beside us, its output going to a file. It must be stopped by ``stop``."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def exit_code(self) -> int | None:
        """None while it runs; -N when signal N ended it."""
        return self.process.poll()

    def wait(self, timeout: float) -> int:
        """The exit code once it has ended; it is stopped when ``timeout`` seconds are over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout)
        return self.stop()

    def ask_to_end(self) -> None:
        """SIGTERM to the process group, without waiting."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)

    def stop(self, grace: float = GRACE_SECONDS) -> int:
        """End the whole process group and return the exit code."""
        return stop_group(self.process, grace)


def start(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    stdout: Path | None = None,
    user: tuple[int, int] | None = None,
    session: bool = False,
) -> Background:
    """Start a command beside us in a process group of its own, as ``user`` (ids of user and group) where given.

    Both streams go to ``log``, standard output to the file or FIFO ``stdout`` where one is given. The kernel ends it
    when the thread that started it dies (Linux, prctl(2) PR_SET_PDEATHSIG), unless it has a ``session`` of its own.

    Raises InfrastructureError when it cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    libc = ctypes.CDLL(None, use_errno=True)

    def die_with_us() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    with open(log, "ab") as errors, contextlib.ExitStack() as stack:
        out: BinaryIO = stack.enter_context(open(stdout, "ab")) if stdout is not None else errors
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                process_group=None if session else 0,
                start_new_session=session,
                user=user[0] if user else None,
                group=user[1] if user else None,
                extra_groups=[] if user else None,
                preexec_fn=None if session else die_with_us,
            )
        except OSError as error:
            raise InfrastructureError(f"'{argv[0]}' could not be started: {error}.", log=log) from error
    return Background(process, log)
