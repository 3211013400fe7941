"""Publishing one run, once: with the same verdict it stays where it is, with another it gets a place of its own."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ci_scripts.errors import ConfigurationError, InfrastructureError, ReportFailed
from ci_scripts.publishing.build import Builder, Rules
from ci_scripts.publishing.due import Due, find_due
from ci_scripts.publishing.layout import RunFolder, names_for
from ci_scripts.publishing.local_place import LocalPlace
from ci_scripts.publishing.masking import Mask
from ci_scripts.publishing.record import Published
from ci_scripts.publishing.remote_place import RemotePlace
from ci_scripts.publishing.run import Run, address
from ci_scripts.publishing.selection import Selection, select
from ci_scripts.workspace import utc_text

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings
    from ci_scripts.settings_trusted import Logs

MEGABYTE = 1024 * 1024
# OpenStack asks third-party systems to keep logs for a month.
LEAST_DAYS = 30


class Place(Protocol):
    """Where runs are published; see LocalPlace and RemotePlace."""

    def room(self) -> AbstractContextManager[Path]: ...
    def everything(self) -> AbstractContextManager[Path]: ...
    def found(self, folder: RunFolder) -> Published | None: ...
    def is_free(self, folder: RunFolder, identity: str) -> bool: ...
    def put(self, ready: Path, folder: RunFolder, record: Published) -> bool: ...
    def link(self, folders: Sequence[RunFolder]) -> None: ...
    def remove(self, folders: Sequence[RunFolder]) -> None: ...


@dataclass(frozen=True)
class Answer:
    """The record of what is published; ``was_there``: somebody had done it before."""

    record: Published
    was_there: bool


def logs_of(settings: Settings) -> Logs:
    """The section ``logs``. Raises ConfigurationError where there is none."""
    if settings.logs is None:
        raise ConfigurationError(
            "ci.yaml says nothing about where logs are published.",
            next_step="add the section 'logs' with publish_to and url; see docs/publishing.md.",
        )
    return settings.logs


def place_of(logs: Logs, environment: Mapping[str, str], here: Path) -> Place:
    """Where ``logs`` has runs published; ``here`` is a folder for what is made ready for another machine."""
    if "@" in logs.publish_to.partition("/")[0]:
        return RemotePlace(logs, environment, here)
    return LocalPlace(Path(logs.publish_to), logs.timeout_seconds)


def mask_of(settings: Settings, environment: Mapping[str, str]) -> Mask:
    """The mask of all lab credentials, and of the passwords of the trusted side that can be read.

    Raises ConfigurationError for a lab credential that is missing: what is not known cannot be masked.
    """
    from ci_scripts.credentials import NoPassword, read_password
    from ci_scripts.settings import secret_values, values_to_mask

    secrets = secret_values(settings, environment)
    for number, section in enumerate((settings.gerrit, settings.jenkins, settings.zuul, settings.history)):
        try:
            password = read_password(section, environment) if section is not None else None
        except NoPassword:
            continue
        secrets |= {f" {number}": password} if password else {}
    return Mask(values_to_mask(settings, secrets))


def choose(run: Run, mask: Mask) -> Selection:
    """What would be published of a run."""
    return select(run.workspace.root, mask, judged=bool(run.verdict))


def publish(run: Run, logs: Logs, place: Place, mask: Mask, say: Callable[[str], None]) -> Answer:
    """Publish ``run``, and link to it. It can be called again at any time, and by two at once.

    Raises ReportFailed, OSError; then nothing half published is linked.
    """
    if (there := _there_already(run, place)) is not None:
        say(f"this run is published already, at {there.time}: {there.url}")
        place.link([_folder_of(run, there)])
        return Answer(there, True)
    selection = choose(run, mask)
    with place.room() as room:
        rules = Rules(logs.largest_file_mb * MEGABYTE, logs.timeout_seconds, mask)
        say(f"{len(selection.items)} files of {run.workspace.root} are made ready")
        record = Builder(run.workspace.root, room / "run", rules, say).build(selection, run.record(logs.url))
        say(f"{record.files} files, {record.bytes} bytes, go to {logs.publish_to}")
        for folder in _folders(run):
            if place.is_free(folder, run.identity):
                record = record.moved(address(logs.url, folder), folder.path)
                if place.put(room / "run", folder, record):
                    place.link([folder])
                    return Answer(record, False)
            if (there := _there_already(run, place)) is not None:
                say(f"somebody else has published this run meanwhile: {there.url}")
                place.link([_folder_of(run, there)])
                return Answer(there, True)
    raise ReportFailed(
        f"all names for {run.folder.path} are taken by other runs.",
        next_step="delete what no record of ours is in, then run this again.",
    )


def prune(place: Place, now: datetime, days: int, *, dry_run: bool) -> Due:
    """Delete runs that were published more than ``days`` days before ``now``; with ``dry_run`` only say which.

    Raises ReportFailed, OSError.
    """
    with place.everything() as root:
        due = find_due(root, now, timedelta(days=days))
    if due.old and not dry_run:
        place.remove([old.folder for old in due.old])
    return due


def days_to_keep(logs: Logs, *, force: bool) -> int:
    """The retention in days. Raises ConfigurationError for less than a month, unless it is forced."""
    if logs.retention_days < LEAST_DAYS and not force:
        raise ConfigurationError(
            f"logs.retention_days is {logs.retention_days}: OpenStack asks for logs of at least {LEAST_DAYS} days.",
            next_step="raise it, or give --force.",
        )
    return logs.retention_days


@contextmanager
def failing_to_report(what: str) -> Iterator[None]:
    """Whatever goes wrong inside is ReportFailed: the verdict is known, and it is safe to try again."""
    try:
        yield
    except (ReportFailed, ConfigurationError):
        raise
    except InfrastructureError as error:
        raise ReportFailed(error.what, log=error.log, next_step=error.next_step or "run the same again.") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        name = f"{error.filename}: " if error.filename else ""
        raise ReportFailed(
            f"{what}: {name}{error.strerror or error}. Nothing was left half published.",
            next_step=f"{'free some space' if full else 'mend that'}, then run the same again.",
        ) from error


def _there_already(run: Run, place: Place) -> Published | None:
    for folder in _folders(run):
        record = place.found(folder)
        if record is not None and record.identity == run.identity and record.folder == folder.path:
            return record
    return None


def _folders(run: Run) -> Iterator[RunFolder]:
    for name in names_for(run.folder.run, run.identity):
        yield run.folder.called(name)


def _folder_of(run: Run, record: Published) -> RunFolder:
    return run.folder.called(record.folder.rpartition("/")[2])


def as_planned(run: Run, logs: Logs, selection: Selection) -> dict[str, object]:
    """What a dry run says: where to, which files by name with their size in the workspace, what is left out."""
    return {
        "url": address(logs.url, run.folder),
        "publish_to": logs.publish_to,
        "folder": run.folder.path,
        "time": utc_text(),
        "files": [
            {"name": "/".join(item.name), "from": "/".join(item.source), "size": item.size} for item in selection.items
        ],
        "left_out": selection.reasons(),
    }
