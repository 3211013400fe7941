"""A row of the table: one fault, who may be blamed for it, and how its verdict is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from benchmarks.blame.case_run import CaseRun

Kind = Literal["healthy", "ci", "regression"]
DRIVER = "example/networking-example"
NEUTRON = "openstack/neutron"
# Seconds after which a case is stopped and counts as a miss.
LIMIT = 900


@dataclass(frozen=True)
class Case:
    """One fault.

    ``arrange`` gets the run before the job starts: it changes the configuration or the environment, or names what is
    to happen beside the job. ``ideal`` are the blames that one would wish for; what may not be is the same for all of
    a kind. ``regex`` selects few tests that show the fault. ``limit`` is in seconds. ``more`` cases run when asked for.
    """

    name: str
    kind: Kind
    what: str
    arrange: Callable[[CaseRun], None]
    ideal: tuple[str, ...]
    regex: str
    project: str = DRIVER
    ref: str | None = None
    limit: int = LIMIT
    drive: Callable[[CaseRun], None] | None = None
    more: bool = False

    @property
    def expected(self) -> str:
        """In words, for the table."""
        if self.kind == "ci":
            return f"not change ({' or '.join(self.ideal)})"
        return " or ".join(self.ideal)


@dataclass
class Result:
    """What came out of a case. ``seconds`` is the time of the job; ``void`` says why a case proves nothing."""

    case: Case
    outcome: str = "none"
    blame: str = "none"
    rule: str = ""
    exit_code: int | None = None
    seconds: float = 0.0
    void: str = ""
    notes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def blames_change(self) -> bool:
        """Exit code 1 of ci-run-job says so too, whatever the file says."""
        return self.blame == "change" or self.exit_code == 1

    @property
    def missed(self) -> bool:
        """Whether the product did what it must never do, or the case proves nothing."""
        if self.void:
            return True
        if self.case.kind == "regression":
            return not (self.blame == "change" and self.exit_code == 1)
        if self.case.kind == "healthy":
            return self.exit_code != 0
        return self.blames_change

    @property
    def ideal(self) -> bool:
        """Whether it came out as one would wish."""
        return not self.missed and self.blame in self.case.ideal

    @property
    def verdict(self) -> str:
        """Outcome and blame as the table shows them."""
        if self.void:
            return f"void: {self.void}"
        if self.outcome == "none":
            return f"no verdict, exit code {self.exit_code}"
        return f"{self.outcome}/{self.blame}"
