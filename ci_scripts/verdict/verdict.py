"""What a verdict is made of: the facts it may look at, the rules and what they find."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from ci_scripts.history.records import ControlRecord, OtherFailure
from ci_scripts.verdict.asked_for import AskedFor
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import Case
from ci_scripts.verdict.log_scan import SignatureHit
from ci_scripts.verdict.proof import Proof
from ci_scripts.verdict.run_facts import RunFacts
from ci_scripts.verdict.symptoms import Symptom
from ci_scripts.verdict.tests_file import TestsReport
from ci_scripts.verdict.trial_plan import Judgement, judge

SCHEMA = 1
Blame = Literal["change", "ci", "nobody", "unknown"]


@dataclass(frozen=True)
class Facts:
    """All that a decision may look at. ``signatures`` and ``resources`` are of the run alone, without its trials.

    ``moved``: what is not as in the last green run; ``unread``: logs that could not be looked at, and why;
    ``elsewhere``: failures of the same tests on other, unrelated changes of late. ``past_control``: the newest control
    run of the branch, for kinds of gates whose control is not run with the job.

    On the trusted side, ``asked_for`` is the change that its own trigger named, ``left_out`` what did not come there
    from the node, and ``missing`` those lines of it without which nobody may judge the run.
    """

    case: Case
    proof: Proof
    signatures: tuple[SignatureHit, ...] = ()
    resources: tuple[Evidence, ...] = ()
    moved: tuple[Evidence, ...] = ()
    unread: tuple[str, ...] = ()
    elsewhere: Mapping[str, tuple[OtherFailure, ...]] = field(default_factory=dict)
    past_control: ControlRecord | None = None
    asked_for: AskedFor | None = None
    left_out: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def run(self) -> RunFacts:
        """Stages, services and run.json of the run itself."""
        return self.case.run.facts

    @property
    def tests(self) -> TestsReport:
        """The tests of the run itself."""
        return self.case.run.tests

    @cached_property
    def judgements(self) -> tuple[Judgement, ...]:
        """Whose each symptom is, by reruns and trials."""
        return judge(self.case)

    def judged(self, *whose: str) -> list[Judgement]:
        """The judgements of these kinds."""
        return [judgement for judgement in self.judgements if judgement.whose in whose]

    @property
    def symptoms(self) -> list[Symptom]:
        """What went wrong and needs an explanation; flaky tests have theirs."""
        return [entry.symptom for entry in self.judgements if entry.whose not in ("flaky", "nothing")]


@dataclass(frozen=True)
class Finding:
    """What a rule found: the words of the verdict."""

    outcome: str
    blame: Blame
    exit_code: int
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Rule:
    """``sentence`` says when it holds, ``otherwise`` what would have changed it; ``find`` gives a finding, or None."""

    name: str
    sentence: str
    otherwise: str
    find: Callable[[Facts], Finding | None]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run, who is to blame, and the rule, reasons, evidence and proof behind it.

    ``evidence`` is what the rule rests on, ``context`` all else that was found; ``flaky`` are tests that failed and
    passed again each time; ``history`` says whether the record of earlier runs could be read and written.
    """

    outcome: str
    blame: Blame
    rule: str
    sentence: str
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    proof: Proof
    counts: dict[str, int]
    exit_code: int
    context: tuple[Evidence, ...] = ()
    moved: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    history: str = ""
    otherwise: str = ""
    seconds: float | None = None
    run_id: str = ""
    made: str = ""

    def as_json(self) -> dict[str, Any]:
        """The content of verdict.json."""
        return {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "made": self.made,
            "outcome": self.outcome,
            "blame": self.blame,
            "rule": self.rule,
            "sentence": self.sentence,
            "otherwise": self.otherwise,
            "reasons": list(self.reasons),
            "evidence": [entry.as_json() for entry in self.evidence],
            "context": [entry.as_json() for entry in self.context],
            "moved": list(self.moved),
            "flaky": list(self.flaky),
            "history": self.history,
            "proof": self.proof.as_json(),
            "counts": self.counts,
            "seconds": self.seconds,
            "exit_code": self.exit_code,
        }
