"""What the server has against what the definitions say, job by job."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ci_scripts.jenkins.definitions import Definitions, managed_mark
from ci_scripts.jenkins.job_xml import (
    NotAJob,
    difference,
    digest,
    is_disabled,
    is_made_by_builder,
    normal_lines,
    with_disabled,
)
from ci_scripts.jenkins.sent_record import Sent
from ci_scripts.jenkins.server import Server

State = Literal["same", "differs", "missing", "foreign"]


@dataclass(frozen=True)
class Compared:
    """A job. "foreign": it is there, and not made by Jenkins Job Builder. ``xml`` is what it is to be.

    ``disabled`` is what it is on the server, None where it is not there. ``by_hand``: the server's side moved since we
    sent it; None: we did not.
    """

    name: str
    state: State
    xml: str
    diff: tuple[str, ...] = ()
    disabled: bool | None = None
    by_hand: bool | None = None

    @property
    def why(self) -> str:
        """In a few words."""
        if self.state == "differs" and self.by_hand is not None:
            return "it was changed on the server" if self.by_hand else "its definition was changed"
        return {"foreign": "it was not made by Jenkins Job Builder", "missing": "it is not there"}.get(self.state, "")


def compare(
    server: Server, definitions: Definitions, sent: Mapping[str, Sent], paused: Iterable[str] = ()
) -> list[Compared]:
    """Each job of the definitions, folders before what is in them.

    A definition that does not say whether its job is disabled leaves that as it is; a ``paused`` one stays disabled.
    Raises JenkinsFailed.
    """
    names = sorted(definitions.jobs, key=lambda name: (name.count("/"), name))
    kept = frozenset(paused)
    return [_compared(server, name, definitions.jobs[name], sent.get(name), name in kept) for name in names]


def _compared(server: Server, name: str, wanted: str, sent: Sent | None, paused: bool) -> Compared:
    there = server.config(name)
    if there is None:
        return Compared(name, "missing", with_disabled(wanted, True) if paused else wanted)
    try:
        disabled, ours = is_disabled(there), is_made_by_builder(there, managed_mark())
        said = is_disabled(wanted)
        with_state = said is not None and not paused
        here, here_full = normal_lines(there), normal_lines(there, with_state=True)
    except NotAJob as error:
        return Compared(name, "foreign", wanted, (f"{name}: what the server has cannot be read: {error}",))
    to_be = normal_lines(wanted)
    # What is sent to a job that is there must not wake it.
    xml = with_disabled(wanted, True) if paused or (said is None and disabled) else wanted
    if not ours:
        return Compared(name, "foreign", xml, tuple(difference(name, here, to_be)), disabled)
    awake = with_state and bool(said) != bool(disabled)
    by_hand = None if sent is None else sent.server != digest(here)
    known = sent is not None and not by_hand and sent.definition == digest(to_be)
    if (known or here == to_be) and not awake:
        return Compared(name, "same", xml, (), disabled, by_hand)
    diff = (
        difference(name, here_full, normal_lines(wanted, with_state=True)) if awake else difference(name, here, to_be)
    )
    return Compared(name, "differs", xml, tuple(diff), disabled, by_hand)


def sent_form(wanted: str, there: str) -> Sent:
    """What is noted after a job was sent: the definition, and the form that the server gave it. Raises NotAJob."""
    return Sent(digest(normal_lines(wanted)), digest(normal_lines(there)))


def missing_folders(server: Server, compared: Iterable[Compared]) -> list[str]:
    """The folders that jobs are to be made in, and that neither the server has nor the definitions make."""
    entries = list(compared)
    made = {entry.name for entry in entries}
    wanted = {entry.name.rpartition("/")[0] for entry in entries if entry.state == "missing" and "/" in entry.name}
    return [folder for folder in sorted(wanted - made) if server.config(folder) is None]


def left_over(server: Server, definitions: Definitions, chosen: Callable[[str], bool]) -> list[str]:
    """The jobs that Jenkins Job Builder made and the definitions do not name any more; what is in folders first.

    A folder is left over only if all that is in it is: deleting it deletes that, too.
    """
    names, found = server.all_jobs(), set[str]()
    for name in sorted(names, key=lambda name: (-name.count("/"), name)):
        within = {each for each in (*names, *definitions.jobs) if each.startswith(f"{name}/")}
        if name in definitions.jobs or not chosen(name) or not within <= found:
            continue
        xml = server.config(name)
        with contextlib.suppress(NotAJob):
            if xml is not None and is_made_by_builder(xml, managed_mark()):
                found.add(name)
    return sorted(found, key=lambda name: (-name.count("/"), name))
