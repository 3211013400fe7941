"""rsync over ssh to one folder of another machine, with the host key that is known and the one key file."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts import run_command
from ci_scripts.errors import ReportFailed
from ci_scripts.run_command import Completed, last_lines
from ci_scripts.settings import command_environment

if TYPE_CHECKING:
    from ci_scripts.settings_trusted import Logs

CONNECT_SECONDS = 20
SILENCE_SECONDS = 120
# Some files vanished while others were read: another publisher is at work.
VANISHED = 24
# A broken socket, and nothing heard for too long; what came over stays, so the next attempt goes on.
LOST = (10, 30, 35)
BUSY = "Another instance of rrsync"
ATTEMPTS = 12
LONGEST_PAUSE = 4.0


def ssh_command(logs: Logs) -> str:
    """The ssh that rsync starts: no question asked, no other host key taken, no other key offered."""
    words = ["ssh", "-p", str(logs.ssh_port), "-F", "/dev/null"]
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _ssh_path(logs.ssh_known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "PasswordAuthentication": "no",
        "ConnectTimeout": str(CONNECT_SECONDS),
        "ServerAliveInterval": "15",
        "ClearAllForwardings": "yes",
    }
    if logs.ssh_key_file is not None:
        options |= {"IdentitiesOnly": "yes", "IdentityFile": _ssh_path(logs.ssh_key_file)}
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return " ".join(_rsync_word(word) for word in words)


class Rsync:
    """Transfers between a folder here and ``logs.publish_to``."""

    def __init__(self, logs: Logs, environment: Mapping[str, str]) -> None:
        self.target = f"{logs.publish_to.rstrip('/')}/"
        self._logs = logs
        agent = {} if logs.ssh_key_file is not None else {"SSH_AUTH_SOCK": environment.get("SSH_AUTH_SOCK", "")}
        self._environment = command_environment(environment, {**agent, "LC_ALL": "C"})

    def pull(self, into: Path, rules: Sequence[str]) -> None:
        """Copy what ``rules`` let through into a folder here; no links. Raises ReportFailed."""
        self._run([], rules, [self.target, f"{into}/"], f"{self.target} could not be read")

    def push(self, folder: Path, rules: Sequence[str] = (), *, delete: bool = False) -> None:
        """Copy what is in ``folder``; each file gets its name when it is whole, most of them together at the end.

        With ``delete`` what ``rules`` let through and is not in ``folder`` is deleted there. Raises ReportFailed.
        """
        options = ["--omit-dir-times", "--delete-after" if delete else "--delay-updates"]
        self._run(options, rules, [f"{folder}/", self.target], f"{self.target} could not be written to")

    def _run(self, options: list[str], rules: Sequence[str], places: list[str], what: str) -> None:
        argv = ["rsync", "--recursive", "--times", "--perms", "--chmod=D0755,F0644", f"--timeout={SILENCE_SECONDS}"]
        argv += ["--rsh", ssh_command(self._logs), *options]
        # In a file: there may be more of them than a command line can hold.
        with tempfile.NamedTemporaryFile("w", prefix="ci-rsync-") as file:
            file.write("".join(f"{rule}\n" for rule in rules))
            file.flush()
            argv += [f"--filter=merge {file.name}"] if rules else []
            done = self._repeated([*argv, "--", *places])
        if done.stopped_because is None and done.exit_code in (0, VANISHED):
            return
        why = done.stopped_because or f"rsync ended with exit code {done.exit_code}"
        raise ReportFailed(
            f"{what}: {why}: {last_lines(done.output, 4) or 'it said nothing'}",
            next_step="see that the folder is there, that the host key is in logs.ssh_known_hosts, "
            "and that the key may log in and write; then run this again.",
        )

    def _repeated(self, argv: list[str]) -> Completed:
        """The command, again where what went wrong may pass by itself; all attempts within the one time-out."""
        deadline = time.monotonic() + self._logs.timeout_seconds
        pause = 0.25
        for left in range(ATTEMPTS, 0, -1):
            timeout = max(1.0, deadline - time.monotonic())
            done = run_command.run(argv, cwd=Path("/"), env=self._environment, timeout=timeout, check=False)
            if left == 1 or not _may_pass(done) or time.monotonic() + pause > deadline:
                break
            # Not in step with the others that wait.
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, LONGEST_PAUSE)
        return done


def _may_pass(done: Completed) -> bool:
    """The connection was lost, or the account's rrsync lets in one at a time."""
    return done.exit_code in LOST or (done.exit_code == 12 and BUSY in done.output)


def _ssh_path(path: Path | None) -> str:
    """A path as a value of ssh's options: these have words, quotes and percent signs of their own."""
    text = str(path).replace("%", "%%")
    return f'"{text}"' if any(letter in text for letter in " \t") else text


def _rsync_word(word: str) -> str:
    """A word of rsync's --rsh, which is split at blanks; a quote within quotes is doubled."""
    return "'" + word.replace("'", "''") + "'" if any(letter in word for letter in " \t\"'") else word
