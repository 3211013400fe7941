"""Every way a command can fail, each class with its exit code.

The README's table, these classes and (in a later stage) the Jenkins jobs must say the same; a test compares them.
"""

from __future__ import annotations

import errno
from pathlib import Path


class CIError(Exception):
    """A failure that is told to the operator in one paragraph.

    ``what`` names what failed and why, ``log`` where to read more, ``next_step`` what to do about it.
    """

    exit_code = 3

    def __init__(self, what: str, *, log: Path | None = None, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.log = log
        self.next_step = next_step

    def __str__(self) -> str:
        parts = [self.what.rstrip()]
        if self.log is not None:
            parts.append(f"Log: {self.log}.")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return " ".join(parts)


class TestsFailed(CIError):
    """run-tempest: tests failed; nothing is said about blame."""

    __test__ = False
    exit_code = 1


class ChangeToBlame(CIError):
    """summarize-results and run-job: the change is to blame; jenkins run --wait where the build's verdict says so.

    No other command may say so.
    """

    exit_code = 1


class ConfigurationError(CIError):
    """A bad option or configuration, or a regex that selects nothing."""

    exit_code = 2


class InfrastructureError(CIError):
    """The CI failed or nobody knows: infrastructure, dependency, controller."""

    exit_code = 3


class NothingToTest(CIError):
    """Irrelevant files only, a superseded patch set, or a merge conflict."""

    exit_code = 4


class ReportFailed(CIError):
    """The verdict is known but could not be published or reported; safe to run again."""

    exit_code = 5


class InternalError(CIError):
    """A bug of ours: any exception that is not one of these classes ends as this one."""

    exit_code = 70


class Interrupted(CIError):
    """Ctrl-C (SIGINT)."""

    exit_code = 130


class Terminated(CIError):
    """SIGTERM, as Jenkins sends it to abort a build."""

    exit_code = 143


def as_ci_error(error: BaseException) -> CIError:
    """The error that an exception stands for: itself, a full disk, or a bug of ours."""
    if isinstance(error, CIError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InfrastructureError(
            f"the disk is full: {error.filename or 'a file'} could not be written.",
            next_step="free some space and run the stage again.",
        )
    return InternalError(f"a bug in this command: {type(error).__name__}: {error}.")
