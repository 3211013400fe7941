"""The summary at the end of a run: coloured for a person at a terminal, plain text for everybody else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.views.clean_text import duration, for_terminal, what_happened
from ci_scripts.views.evidence_rows import (
    GateRow,
    deciding,
    gates,
    moment,
    of_a_trial,
    place_of,
    starts_with_what_moved,
)
from ci_scripts.views.run_report import RunReport

MAX_FAILURES = 20
MAX_EVIDENCE = 10
MAX_MOVED = 20
MAX_REASON = 500
SLOWEST = 5
LAST_LINE = 200
COLUMNS = ("passed", "failed", "skipped", "incomplete", "not run", "total")
STYLES = {"SUCCESS": "bold green", "FAILURE": "bold red"}


def print_summary(report: RunReport, html: Path, stream: TextIO) -> None:
    """Write the summary. Only a terminal gets colour; what comes from the node is escaped in any case."""
    if stream.isatty():
        _print_rich(report, html, stream)
    else:
        stream.write(plain_summary(report, html))
        stream.flush()


def plain_summary(report: RunReport, html: Path) -> str:
    """The summary as plain text: what moved, failures, slowest tests, then verdict, evidence, table and the report."""
    numbers = _numbers(report)
    widths = [max(len(name), len(number)) for name, number in zip(COLUMNS, numbers, strict=True)]
    lines = [
        *_body(report),
        _verdict_line(report),
        *_behind(report),
        "",
        "  ".join(name.rjust(width) for name, width in zip(COLUMNS, widths, strict=True)),
        "  ".join(number.rjust(width) for number, width in zip(numbers, widths, strict=True)),
        "",
        f"Report: {for_terminal(str(html), one_line=True)}",
    ]
    return "\n".join(lines) + "\n"


def _print_rich(report: RunReport, html: Path, stream: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    for line in _body(report):
        console.print(Text(line), soft_wrap=True)
    console.print(Text(_verdict_line(report), style=STYLES.get(report.verdict.outcome, "bold yellow")), soft_wrap=True)
    for line in _behind(report):
        console.print(Text(line), soft_wrap=True)
    table = Table(box=box.ROUNDED, header_style="dim")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    table.add_row(*(Text(number) for number in _numbers(report)))
    console.print(table)
    console.print(Text(f"Report: {for_terminal(str(html), one_line=True)}"), soft_wrap=True)


def _numbers(report: RunReport) -> list[str]:
    counts = report.tests.counts
    return [str(counts[name.replace(" ", "_")]) for name in COLUMNS]


def _verdict_line(report: RunReport) -> str:
    verdict = report.verdict
    took = f" in {duration(verdict.seconds)}" if verdict.seconds is not None else ""
    return for_terminal(
        f"Verdict: {verdict.outcome}{took}, blame: {verdict.blame}, rule {verdict.rule}: {verdict.sentence}",
        one_line=True,
    )


def _behind(report: RunReport) -> list[str]:
    """Reasons, evidence, trials, flaky tests, and what is wrong with the history."""
    verdict = report.verdict
    lines = _shown(verdict.reasons, MAX_REASON)
    # Trials have lines of their own.
    evidence = [entry for entry in deciding(verdict) if not of_a_trial(entry)]
    if evidence:
        lines += ["Evidence:", *_shown(map(_evidence, evidence[:MAX_EVIDENCE]), LAST_LINE)]
        lines += _more(evidence, MAX_EVIDENCE)
    trials = gates(report)
    if trials:
        lines += ["Reruns and trials:", *_shown(map(_gate, trials), LAST_LINE)]
    if verdict.flaky:
        lines += [
            "Flaky tests:",
            *_shown(verdict.flaky[:MAX_FAILURES], MAX_REASON),
            *_more(verdict.flaky, MAX_FAILURES),
        ]
    if verdict.history:
        lines += _shown([f"History: {verdict.history}"], MAX_REASON, indent="")
    return lines


def _evidence(entry: Evidence) -> str:
    # The place first: what is too long loses its end.
    words = [entry.kind, moment(entry.time), place_of(entry)]
    return f"{' '.join(filter(None, words))}: {entry.text.partition(chr(10))[0]}"


def _gate(gate: GateRow) -> str:
    rounds = "; ".join(f"{name}: {counts}" if name else counts for name, counts in gate.rounds)
    return f"{gate.name} ({gate.folder}; {gate.ran}): {'; '.join(filter(None, (rounds, gate.end))) or 'to its end'}"


def _shown(texts: Iterable[str], limit: int, indent: str = "  ") -> list[str]:
    return [f"{indent}{for_terminal(text[:limit], one_line=True)}" for text in texts]


def _more(entries: Sequence[object], shown: int) -> list[str]:
    return [f"  and {len(entries) - shown} more"] if len(entries) > shown else []


def _body(report: RunReport) -> list[str]:
    lines: list[str] = []
    verdict = report.verdict
    if starts_with_what_moved(verdict):
        lines += ["What moved:", *_shown(verdict.moved[:MAX_MOVED], MAX_REASON)]
        lines += [*_more(verdict.moved, MAX_MOVED), ""]
    failed = report.tests.with_status("failed")
    if failed:
        lines += [f"Failed tests ({len(failed)}):"]
        for test in failed[:MAX_FAILURES]:
            flaky = " (flaky)" if test.id in verdict.flaky else ""
            lines += [f"  {for_terminal(test.id, one_line=True)}{flaky}", f"      {_what_happened(test)}"]
        lines += [*_more(failed, MAX_FAILURES), ""]
    timed = sorted((test for test in report.tests.tests if test.seconds), key=lambda test: -(test.seconds or 0))
    if timed:
        lines += ["Slowest tests:"]
        lines += [f"  {duration(t.seconds):>8}  {for_terminal(t.id, one_line=True)}" for t in timed[:SLOWEST]]
        lines += [""]
    problems = [*report.tests.stream.problems, *report.tests.problems]
    if problems:
        lines += ["The stream:", *(f"  {for_terminal(problem, one_line=True)[:300]}" for problem in problems), ""]
    return lines


def _what_happened(test: TestOutcome) -> str:
    return for_terminal(what_happened(test.text or "") or "no details in the stream", one_line=True)[:LAST_LINE]
