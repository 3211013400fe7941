"""What the history keeps of a run and what it answers: plain values, without a database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ci_scripts.errors import InfrastructureError

Role = Literal["change", "control"]


class HistoryFailed(InfrastructureError):
    """The history could not be read or written. Its text holds no password; it never changes a verdict's exit code."""


@dataclass(frozen=True)
class Snapshot:
    """What a run was made of, to be set against another run's.

    ``packages`` are versions by name by environment, ``commits`` by project the commit that a change was merged onto.
    ``python`` is a version by environment, where ``ci`` is the interpreter of this package. ``settings`` are texts by
    dotted path. What is not known is left out, and is not compared.
    """

    run_id: str
    time: datetime | None
    packages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    commits: Mapping[str, str] = field(default_factory=dict)
    python: Mapping[str, str] = field(default_factory=dict)
    kernel: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """One run and its verdict.

    ``time`` is the trusted side's, with a time zone. A control has no ``change`` and no ``patch_set``; ``of_run`` is
    the run that it was made for, if one was. ``also`` are project and number of the changes tested together with
    this one. ``tests`` are id, status and seconds; ``flaky`` the ids of those that passed when run again.
    """

    run_id: str
    time: datetime
    job: str
    branch: str
    project: str
    change: str | None
    patch_set: str | None
    pipeline: str
    gate_kind: str
    role: Role
    outcome: str
    blame: str
    rule: str
    seconds: float | None
    snapshot: Snapshot
    tests: Sequence[tuple[str, str, float | None]] = ()
    flaky: Collection[str] = ()
    also: Sequence[tuple[str, str]] = ()
    of_run: str | None = None
    probes_green: bool | None = None


@dataclass(frozen=True)
class OtherFailure:
    """A run in which the same test failed. ``change`` is None for a control; ``flaky``: it passed when run again."""

    run_id: str
    time: datetime
    role: Role
    project: str
    change: str | None
    patch_set: str | None
    outcome: str
    blame: str
    flaky: bool


@dataclass(frozen=True)
class ControlRecord:
    """A control run: ``probes_green`` is None where nobody asked the probes."""

    run_id: str
    time: datetime
    outcome: str
    failed: frozenset[str]
    passed: frozenset[str]
    probes_green: bool | None


@dataclass(frozen=True)
class ReportClaim:
    """The answer to who wants to report on a patch set.

    ``taken``: it is theirs now. Else ``holder`` has it since ``age`` seconds by the database's clock. ``runs`` are
    those of the report that was written down last, if any.
    """

    taken: bool
    holder: str
    age: int
    runs: tuple[str, ...] = ()
