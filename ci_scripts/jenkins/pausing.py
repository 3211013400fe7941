"""Disabling jobs for a while, and enabling those that were not disabled before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ci_scripts.jenkins.errors import JenkinsFailed, NoRight, NotThere, Unreachable
from ci_scripts.jenkins.job_xml import NotAJob, digest, normal_lines
from ci_scripts.jenkins.pauses import Pause, read_pauses, write_pauses
from ci_scripts.jenkins.sent_record import Sent, read_sent, write_sent
from ci_scripts.jenkins.server import Server
from ci_scripts.jenkins.updating import Step
from ci_scripts.workspace import utc_text


def pause(server: Server, names: Sequence[str], reason: str, notes: Path) -> Iterator[Step]:
    """Each job when it is disabled: "paused", "left" or "failed". What was disabled before is noted as such.

    Raises JenkinsFailed where the others would fail as well, InfrastructureError.
    """
    pauses = read_pauses(notes)
    for name in names:
        try:
            disabled = server.job(name).disabled
            if name in pauses and disabled:
                yield Step(name, "left", f"paused since {pauses[name].since}")
                continue
            if name not in pauses:
                # Noted before it is done: a note too many does no harm, one too few would leave the job disabled.
                pauses[name] = Pause(utc_text(), reason, disabled)
                write_pauses(notes, pauses, server.url)
            if not disabled:
                _set(server, name, True, notes)
            yield Step(name, "left", "it was disabled before") if disabled else Step(name, "paused")
        except JenkinsFailed as error:
            if isinstance(error, (Unreachable, NoRight)):
                raise
            if isinstance(error, NotThere) and name in pauses:
                del pauses[name]
                write_pauses(notes, pauses, server.url)
            yield Step(name, "failed", error.what)


def resume(server: Server, names: Sequence[str] | None, notes: Path) -> Iterator[Step]:
    """Each job when it is enabled: "resumed", "left" or "failed". ``names`` are some of those paused; None: all.

    Raises JenkinsFailed where the others would fail as well, InfrastructureError.
    """
    pauses = read_pauses(notes)
    for name in sorted(pauses) if names is None else names:
        found = pauses.get(name)
        if found is None:
            yield Step(name, "left", "it was not paused from here")
            continue
        try:
            if found.was_disabled:
                step = Step(name, "left", "it was disabled before the pause")
            elif not server.job(name).disabled:
                step = Step(name, "left", "it is enabled already")
            else:
                _set(server, name, False, notes)
                step = Step(name, "resumed")
        except NotThere as error:
            step = Step(name, "failed", error.what)
        except JenkinsFailed as error:
            if isinstance(error, (Unreachable, NoRight)):
                raise
            yield Step(name, "failed", error.what)
            continue
        del pauses[name]
        write_pauses(notes, pauses, server.url)
        yield step


def _set(server: Server, name: str, disabled: bool, notes: Path) -> None:
    """Disable or enable it. Jenkins writes the job anew then, in its own form, which is still what we sent."""
    sent = read_sent(notes)
    known = name in sent and _form(server, name) == sent[name].server
    server.set_disabled(name, disabled)
    if known:
        sent[name] = Sent(sent[name].definition, _form(server, name))
        write_sent(notes, sent, server.url)


def _form(server: Server, name: str) -> str:
    with contextlib.suppress(NotAJob):
        return digest(normal_lines(server.config(name) or ""))
    return ""
