"""The summary at the end of a run: coloured for a person at a terminal, plain text for everybody else."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.views.clean_text import duration, for_terminal, what_happened
from ci_scripts.views.run_report import RunReport

MAX_FAILURES = 20
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
    """The summary as plain text: failures, slowest tests, then verdict, table and path of the report."""
    numbers = _numbers(report)
    widths = [max(len(name), len(number)) for name, number in zip(COLUMNS, numbers, strict=True)]
    lines = [
        *_body(report),
        _verdict_line(report),
        *(f"  {reason}" for reason in _reasons(report)),
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
    for reason in _reasons(report):
        console.print(Text(f"  {reason}"), soft_wrap=True)
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


def _reasons(report: RunReport) -> list[str]:
    return [for_terminal(reason, one_line=True)[:500] for reason in report.verdict.reasons]


def _body(report: RunReport) -> list[str]:
    lines: list[str] = []
    failed = report.tests.with_status("failed")
    if failed:
        lines += [f"Failed tests ({len(failed)}):"]
        for test in failed[:MAX_FAILURES]:
            lines += [f"  {for_terminal(test.id, one_line=True)}", f"      {_what_happened(test)}"]
        if len(failed) > MAX_FAILURES:
            lines += [f"  and {len(failed) - MAX_FAILURES} more"]
        lines += [""]
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
