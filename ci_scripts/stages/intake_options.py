"""ci-summarize-results on the trusted side: which change and job are asked for, and the node's files taken in."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci_scripts.change import ChangeUnderTest
    from ci_scripts.intake.record import Intake
    from ci_scripts.settings_model import Settings
    from ci_scripts.stage_log import StageRecord
    from ci_scripts.workspace import Workspace

MIB = 1024 * 1024
WATCHED_SECONDS, MINUTE = 5.0, 60.0
MOST_SAID = 5


def source_named(text: str) -> Path:
    """The path of --from. Raises ConfigurationError for no text at all: a variable that is not set."""
    from ci_scripts.errors import ConfigurationError

    if not text.strip() or "\0" in text:
        raise ConfigurationError("--from names nothing.", next_step="name the folder or archive of the node's files.")
    return Path(text)


def refuse_without_source(flags: Mapping[str, str | None], zuul_file: Path | None, job: str | None) -> None:
    """Raises ConfigurationError where the change or the job is named for a run that took place here."""
    from ci_scripts.errors import ConfigurationError

    given = [f"--{name}" for name, value in {**flags, "zuul-file": zuul_file, "job": job}.items() if value]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)} {'goes' if len(given) == 1 else 'go'} with --from: the run in the workspace says"
            " itself what it is about.",
            next_step="name the folder or archive of the node's files with --from.",
        )


def change_asked_for(
    settings: Settings | None, environment: Mapping[str, str], flags: Mapping[str, str | None], zuul_file: Path | None
) -> ChangeUnderTest | None:
    """The change that flags or the trusted side's own trigger name; None where there are neither.

    Raises ConfigurationError for one that is not usable.
    """
    from ci_scripts.change import NoChange, change_from
    from ci_scripts.stages.change_options import find_change

    try:
        if settings is not None:
            return find_change(settings, environment, flags, zuul_file)
        return change_from(environment, flags=flags, zuul_file=zuul_file)
    except NoChange:
        if any(flags.values()):
            raise
        return None


def job_asked_for(job: str | None, environment: Mapping[str, str], settings: Settings | None) -> str | None:
    """The job's name: as given, as Jenkins (without its folders) or Zuul has it, or the configuration's.

    Raises ConfigurationError for a given one that is not one plain word.
    """
    from ci_scripts.errors import ConfigurationError
    from ci_scripts.untrusted_words import quoted, word_problem

    if job is not None:
        if problem := word_problem(job):
            raise ConfigurationError(f"--job {quoted(job)} {problem}.", next_step="name it as the job is called.")
        return job
    names = [(environment.get("JOB_NAME") or "").rpartition("/")[2], environment.get("ZUUL_JOB")]
    names += [settings.config_path.stem] if settings is not None else []
    return next((name for name in names if name and word_problem(name) is None), None)


@contextlib.contextmanager
def open_trusted_workspace(
    folder: Path | None, source: Path, change: ChangeUnderTest | None, job: str | None, environment: Mapping[str, str]
) -> Iterator[tuple[Workspace, Intake]]:
    """Make or find the workspace that the node's files go to, and hold its lock.

    Raises ConfigurationError where another run is in it, or another process works there.
    """
    from datetime import UTC, datetime

    from ci_scripts.intake.arrival import beginning, claim, require_free
    from ci_scripts.workspace import create_workspace, new_run_id

    if folder is None and environment.get("WORKSPACE"):
        folder = Path(environment["WORKSPACE"])
    now = datetime.now(UTC)
    name = new_run_id(now)
    workspace = create_workspace(folder, name, bare=True)
    with workspace.lock(run_id=name, environment={}):
        intake = beginning(change, job, source, require_free(workspace, source))
        claim(workspace, intake, now)
        yield workspace, intake


def take_in_node_files(workspace: Workspace, intake: Intake, source: Path, record: StageRecord) -> None:
    """Take the node's files, and say what came and what did not. Raises OSError where they cannot be written."""
    from datetime import UTC, datetime

    from ci_scripts.intake.arrival import take_in
    from ci_scripts.views.clean_text import for_terminal

    if intake.change is None:
        record.say("neither options nor a trigger name the change: what is decided here cannot be reported")
    progress = _Progress(record)
    with record.step(f"take the node's files from {for_terminal(str(source), one_line=True)}"):
        taken = take_in(workspace, intake, source, datetime.now(UTC), tick=progress.tick).taken
    record.say(f"    {taken.files} files, {taken.bytes / MIB:.1f} MiB")
    for line in taken.left_out[:MOST_SAID]:
        record.say(f"    left out: {for_terminal(line, one_line=True)}")
    if len(taken.left_out) > MOST_SAID:
        record.say(f"    and {len(taken.left_out) - MOST_SAID} more: see {workspace.intake_json}")


class _Progress:
    """A line now and then on work that takes long: more often where a person watches."""

    def __init__(self, record: StageRecord) -> None:
        self._record = record
        self._every = WATCHED_SECONDS if sys.stderr.isatty() else MINUTE
        self._next = time.monotonic() + self._every

    def tick(self, files: int, count: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every
            self._record.say(f"    {files} files, {count / MIB:.0f} MiB so far")
