"""What a verdict rests on and the trials behind it, as rows within bounds: for the report and the summary."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import TRIALS, GateRun
from ci_scripts.verdict.rerun_facts import RoundFact
from ci_scripts.verdict.run_facts import moment_of
from ci_scripts.verdict.trial_plan import why_unfit
from ci_scripts.verdict.verdict import Verdict
from ci_scripts.views.run_report import RunReport

MAX_FIRST_LINE = 300
MAX_REST = 5_000
MAX_REST_IN_ALL = 60_000
MAX_PLACE = 300
MAX_ROUNDS = 20
WHAT_RAN = {
    "start": "the gate brought up",
    "alone": "the failed tests, alone",
    "neighbours": "the failed tests with their neighbours",
    "all": "all tests and checks",
}


@dataclass(frozen=True)
class Row:
    """One piece of evidence: ``rest`` is what follows the first line of its text, ``place`` file and line."""

    kind: str
    time: str
    text: str
    rest: str
    place: str


@dataclass(frozen=True)
class GateRow:
    """One round of reruns or one trial: ``rounds`` are name and counts of each in words, ``end`` what was wrong."""

    name: str
    ran: str
    why: str
    end: str
    good: bool
    folder: str
    rounds: tuple[tuple[str, str], ...]


def deciding(verdict: Verdict) -> tuple[Evidence, ...]:
    """What the verdict rests on, without the proof where it is whole: that has a table of its own."""
    return tuple(entry for entry in verdict.evidence if entry.kind != "proof" or not verdict.proof.complete)


def beside(verdict: Verdict) -> tuple[Evidence, ...]:
    """The other evidence, without what moved where that is told first."""
    told = verdict.moved if starts_with_what_moved(verdict) else ()
    return tuple(entry for entry in verdict.context if entry.text not in told)


def starts_with_what_moved(verdict: Verdict) -> bool:
    """Whether something moved and the run failed: then that is the first thing to know."""
    return bool(verdict.moved) and verdict.outcome != "SUCCESS"


def of_a_trial(entry: Evidence) -> bool:
    """Whether it tells how a trial ended."""
    return entry.kind == "control" and (entry.file or "").startswith(f"{TRIALS}/")


def rows(entries: Sequence[Evidence], most: int) -> tuple[list[Row], int]:
    """The first rows, and how many more there are."""
    left = MAX_REST_IN_ALL
    made = []
    for entry in entries[:most]:
        first, _, rest = entry.text.partition("\n")
        if len(first) > MAX_FIRST_LINE:
            first, rest = f"{first[:MAX_FIRST_LINE]}...", entry.text
        # The end of a log says more than its beginning.
        rest = rest[-min(MAX_REST, left) :] if left else ""
        left -= len(rest)
        made.append(Row(entry.kind, moment(entry.time), first, rest, place_of(entry)))
    return made, max(0, len(entries) - most)


def moment(time: str | None) -> str:
    """A time to the second, in UTC; empty if it is none."""
    found = moment_of(time)
    return f"{found:%Y-%m-%d %H:%M:%S}" if found is not None else ""


def place_of(entry: Evidence) -> str:
    """File and line as editors take them."""
    if not entry.file:
        return ""
    return entry.file[:MAX_PLACE] + (f":{entry.line}" if entry.line is not None else "")


def gates(report: RunReport) -> list[GateRow]:
    """The reruns on the run's own gate, then its trials."""
    return [*map(_of_round, report.rounds[:MAX_ROUNDS]), *map(_of_trial, report.trials)]


def _of_round(entry: RoundFact) -> GateRow:
    end = entry.problem or ("" if entry.ended else "it has no end")
    good = entry.ended is not None and not entry.problem
    ran = WHAT_RAN.get(entry.mode, entry.mode)
    return GateRow(
        f"rerun {entry.name}", ran, "on the gate of the run", end, good, entry.stream, (("", _counts(entry)),)
    )


def _of_trial(trial: GateRun) -> GateRow:
    said = trial.facts.run.get("trial")
    why = said.get("why") if isinstance(said, dict) else None
    why = why[:200] if isinstance(why, str) else ""
    good = trial.finished()
    end = "" if good else why_unfit(trial)
    # What ran says it already where it ran once.
    only = len(trial.rounds) == 1
    rounds = tuple(("" if only else entry.name, _counts(entry)) for entry in trial.rounds[:MAX_ROUNDS])
    return GateRow(trial.label, WHAT_RAN.get(trial.mode, trial.mode), why, end, good, trial.folder, rounds)


def _counts(entry: RoundFact) -> str:
    counts = entry.tests.counts
    shown: Iterable[str] = (
        f"{counts[status]} {'did not end' if status == 'incomplete' else status}"
        for status in ("passed", "failed", "incomplete", "skipped")
        if counts[status] or status in ("passed", "failed")
    )
    return ", ".join(shown)
