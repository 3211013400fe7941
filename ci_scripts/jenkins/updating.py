"""Making the jobs on a server what the definitions say: first the whole plan, then one job after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ci_scripts.errors import ConfigurationError
from ci_scripts.jenkins.comparison import Compared, compare, left_over, missing_folders, sent_form
from ci_scripts.jenkins.definitions import Definitions
from ci_scripts.jenkins.errors import JenkinsFailed, Unreachable
from ci_scripts.jenkins.job_xml import NotAJob
from ci_scripts.jenkins.pauses import read_pauses
from ci_scripts.jenkins.sent_record import Sent, read_sent, write_sent
from ci_scripts.jenkins.server import Server
from ci_scripts.views.clean_text import for_terminal

SHOWN = 20


@dataclass(frozen=True)
class Step:
    """What became of a job: "made", "changed", "deleted", "left" or "failed"; and why."""

    job: str
    what: str
    why: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to be done: the jobs of the definitions, and ``old`` ones to delete, what is in folders first."""

    compared: tuple[Compared, ...]
    old: tuple[str, ...] = ()

    def steps(self) -> list[Step]:
        """What would become of each job."""
        return [*map(_step, self.compared), *(Step(name, "deleted") for name in self.old)]


def plan_update(server: Server, definitions: Definitions, notes: Path, *, take_over: bool) -> Plan:
    """Ask the server for each job of the definitions; nothing is changed.

    Raises ConfigurationError where a job that Jenkins Job Builder did not make, or a folder that is not there, is in
    the way; JenkinsFailed.
    """
    compared = compare(server, definitions, read_sent(notes), read_pauses(notes))
    foreign = [entry.name for entry in compared if entry.state == "foreign"]
    if foreign and not take_over:
        raise ConfigurationError(
            f"jobs with these names are there and were not made by Jenkins Job Builder: {_few(foreign)}. "
            "Nothing was changed.",
            next_step="look at them with 'ci-operate jenkins check'; --take-over replaces them.",
        )
    if folders := missing_folders(server, compared):
        raise ConfigurationError(
            f"there is no folder {_few(folders)}. Nothing was changed.",
            next_step="add it to the definitions (project-type: folder), or make it by hand.",
        )
    return Plan(tuple(compared))


def old_jobs(server: Server, definitions: Definitions, chosen: Callable[[str], bool]) -> tuple[str, ...]:
    """What the definitions made once and do not name any more. Raises JenkinsFailed."""
    return tuple(left_over(server, definitions, chosen))


def carry_out(server: Server, plan: Plan, definitions: Definitions, notes: Path) -> Iterator[Step]:
    """Each step when it is done. A job that the server refuses does not keep the others; trouble with all of them does.

    Raises JenkinsFailed, InfrastructureError.
    """
    sent = read_sent(notes)
    for entry in plan.compared:
        step = _step(entry)
        try:
            if step.what != "left":
                (server.create if step.what == "made" else server.change)(entry.name, entry.xml)
            _note(server, entry, definitions.jobs[entry.name], sent)
        except JenkinsFailed as error:
            if error.everything or isinstance(error, Unreachable):
                raise
            step = Step(entry.name, "failed", error.what)
        write_sent(notes, sent, server.url)
        yield step
    for name in plan.old:
        server.delete(name)
        sent.pop(name, None)
        write_sent(notes, sent, server.url)
        yield Step(name, "deleted")


def _note(server: Server, entry: Compared, wanted: str, sent: dict[str, Sent]) -> None:
    """What the server has now is what we sent, whatever form it gave it."""
    if entry.state == "same" and entry.name in sent and not entry.by_hand:
        return
    there = server.config(entry.name)
    if there is None:
        raise JenkinsFailed(
            f"job {entry.name}: Jenkins {server.url} took it, and it is not there.", next_step="see Jenkins' own log."
        )
    try:
        sent[entry.name] = sent_form(wanted, there)
    except NotAJob as error:
        raise JenkinsFailed(f"job {entry.name}: what Jenkins made of it cannot be read: {error}.") from error


def _step(entry: Compared) -> Step:
    what = {"missing": "made", "same": "left"}.get(entry.state, "changed")
    return Step(entry.name, what, entry.why if what == "changed" else "")


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return for_terminal(", ".join(names[:SHOWN]), one_line=True) + more
