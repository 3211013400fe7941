"""One server that is asked with the ssh program: its host key, time limits, attempts, and what its refusals mean."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.gerrit.errors import GerritFailed, NotAllowed, NotLoggedIn, NotThere, Refused
from ci_scripts.gerrit.pace import Pace, Patience, Trouble, persist
from ci_scripts.run_command import Completed, MoreOptions, last_lines, run

if TYPE_CHECKING:
    from ci_scripts.settings_trusted import Ssh

LARGEST_ANSWER = 64 * 1024 * 1024
SHOWN = 300
GRACE_SECONDS = 2.0
# The words of OpenSSH 8 to 10 and of Gerrit 3, with LC_ALL=C.
_NEVER_SENT = re.compile(
    r"^ssh: |kex_exchange_identification|banner exchange|Too many (?:concurrent|authentication)|not allowed at this",
    re.M,
)
_NO_HOST_KEY = re.compile(r"host key is known|Host key verification failed|HOST IDENTIFICATION HAS CHANGED", re.I)
_NOT_LOGGED_IN = re.compile(r"Permission denied \(|no mutual signature|Load key .*: ")
_REFUSALS: tuple[tuple[type[GerritFailed], re.Pattern[str]], ...] = (
    (NotAllowed, re.compile(r"is restricted|not permitted|permission denied|not allowed", re.I)),
    (NotThere, re.compile(r"no such (?:change|patch set)|not found", re.I)),
    (Refused, re.compile(r"^error: (?!.*internal)|is closed|for closed change|rejected in validation", re.I | re.M)),
)


@dataclass
class SshConnection:
    """Nothing is sent before the first command. ``program`` is the ssh program."""

    server: Ssh
    user: str
    environment: Mapping[str, str]
    patience: Patience
    pace: Pace
    largest: int = LARGEST_ANSWER
    program: str = "ssh"

    @property
    def address(self) -> str:
        return f"ssh://{self.user}@{self.server.host}:{self.server.port}"

    def ask(self, words: Sequence[str], what: str, *, input_text: str | None = None) -> bytes:
        """What a command prints; ``what`` names it for people. With ``input_text`` it writes something.

        Such a command is run again only if it is certain not to have begun. Raises GerritFailed.
        """
        posted = input_text is not None
        try:
            return persist(
                lambda seconds: self._once(words, what, input_text, seconds),
                self.patience,
                self.pace,
                repeatable=not posted,
            )
        except Trouble as trouble:
            tries = f" after {trouble.attempts} tries" if trouble.attempts > 1 else ""
            unknown = " It is not known whether it was done." if posted and trouble.begun else ""
            raise GerritFailed(
                f"{what}: no good answer from {self.address}{tries}: {trouble}.{unknown}",
                next_step=f"see whether {self.server.host} can be reached from here and run the command again.",
                sent=posted and trouble.begun,
                transient=trouble.passing,
            ) from None

    def _once(self, words: Sequence[str], what: str, input_text: str | None, seconds: float) -> bytes:
        """One command. Raises Trouble for what may pass, else GerritFailed."""
        began, limit = self.patience.clock(), self.patience.answer
        with tempfile.TemporaryDirectory(prefix="ci-gerrit-") as folder:
            # The whole of it: run_command itself keeps only the end.
            printed = Path(folder) / "printed"

            def watch() -> str | None:
                size = printed.stat().st_size if printed.exists() else 0
                if size > self.largest:
                    return f"its answer is larger than {self.largest} bytes"
                late = size == 0 and self.patience.clock() - began > limit
                return f"no answer in {limit:g} s" if late else None

            more = MoreOptions(grace=GRACE_SECONDS)
            if input_text is not None:
                more["input_text"] = input_text
            done = run(
                self._argv(words),
                cwd=Path(folder),
                env={**self.environment, "LC_ALL": "C"},
                timeout=seconds,
                log=printed,
                check=False,
                watch=watch,
                **more,
            )
            if done.stopped_because is not None:
                raise Trouble(done.stopped_because, begun=True, passing="larger" not in done.stopped_because)
            if done.exit_code != 0:
                raise self._failed(done, what)
            return printed.read_bytes()

    def _argv(self, words: Sequence[str]) -> list[str]:
        server = self.server
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": _path(server.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "PreferredAuthentications": "publickey",
            "ConnectTimeout": str(max(1, int(self.patience.answer))),
            "ServerAliveInterval": "10",
            "ServerAliveCountMax": "3",
            "LogLevel": "ERROR",
        }
        if server.key_file is not None:
            options |= {"IdentitiesOnly": "yes", "IdentityFile": _path(server.key_file)}
        argv = [self.program, "-F", "none", "-T", "-x", "-a", "-p", str(server.port), "-l", self.user]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        # One word, quoted as a shell would want it: Gerrit's own parser takes single quotes and a backslash outside of
        # them in the same way (CommandFactoryProvider.split). It drops empty words; none are sent.
        return [*argv, "--", server.host, shlex.join(words)]

    def _failed(self, done: Completed, what: str) -> Exception:
        """Why a command ended with another code than 0; 255 is the ssh program's own."""
        said = re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", last_lines(done.output, 4))[:SHOWN].rstrip(". ")
        if done.exit_code == 127 and done.output.startswith(f"{self.program}: "):
            return GerritFailed("the ssh program does not run.", next_step="install OpenSSH's client.")
        if done.exit_code == 255:
            if _NO_HOST_KEY.search(done.output):
                return GerritFailed(
                    f"{what}: {self.address} does not have a host key that is in {self.server.known_hosts}.",
                    next_step="compare its key with what its administrators publish, then write it into that file "
                    f"(ssh-keyscan -p {self.server.port} {self.server.host} prints it).",
                )
            if _NOT_LOGGED_IN.search(done.output):
                return NotLoggedIn(
                    f"{what}: {self.address} does not take the key: {said}.",
                    next_step="check gerrit.user, gerrit.ssh.key_file and that Gerrit knows the public key.",
                )
            return Trouble(said or "the connection ended", begun=not _NEVER_SENT.search(done.output))
        for kind, words in _REFUSALS:
            if words.search(done.output):
                return kind(f"{what}: {self.address} says: {said}.")
        return GerritFailed(
            f"{what}: {self.address} ended the command with exit code {done.exit_code}: {said}.",
            next_step="it is Gerrit's own trouble: try again later, or ask its administrators.",
            sent=True,
            transient=True,
        )


def _path(path: Path) -> str:
    """A path as the value of an option of ssh, which would split it at blanks and fill in what follows a '%'."""
    return '"' + str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'
