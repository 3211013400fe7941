"""The table and the two rates, as text for a terminal and as RESULTS.md."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.blame.case import Result
from benchmarks.blame.example_site import EXAMPLES

HEADINGS = ("fault", "kind", "expected", "verdict", "rule", "seconds")
LEAST_CI, LEAST_REGRESSIONS = 24, 16
LIMITS = Path(__file__).with_name("LIMITS.md")


def row(result: Result) -> tuple[str, ...]:
    """The cells of one case."""
    verdict = result.verdict
    if result.missed:
        verdict += " MISSED"
    elif not result.ideal:
        verdict += " (not ideal)"
    kind = {"ci": "CI", "regression": "change", "healthy": "none"}[result.case.kind]
    return (result.case.name, kind, result.case.expected, verdict, result.rule or "-", f"{result.seconds:.0f}")


def as_text(results: Sequence[Result]) -> str:
    """Columns for a terminal."""
    rows = [HEADINGS, *map(row, results)]
    widths = [max(len(cells[column]) for cells in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip() for cells in rows]
    return "\n".join(lines)


def rates(results: Sequence[Result]) -> list[str]:
    """The two sentences that matter, and what else there is to say."""
    faults = [result for result in results if result.case.kind == "ci"]
    changes = [result for result in results if result.case.kind == "regression"]
    void = [result.case.name for result in results if result.void]
    blamed = [result for result in faults if result.blames_change]
    passed = [result for result in changes if result.outcome == "SUCCESS" or result.blame == "nobody"]
    missed = [result for result in changes if result.missed]
    lines = [
        f"CI faults blamed on the change: {len(blamed)} of {len(faults)}",
        f"regressions passed or not blamed: {len(missed)} of {len(changes)} ({len(passed)} passed)",
        f"CI faults with the verdict one would wish: {sum(result.ideal for result in faults)} of {len(faults)}",
    ]
    if void:
        lines.append(f"void, to be counted as missed: {', '.join(void)}")
    left = [result.case.name for result in results if result.left]
    if left:
        lines.append(f"something was left behind: {', '.join(left)}")
    return lines


def all_well(results: Sequence[Result]) -> bool:
    """Whether nothing was missed, void or left behind."""
    return not any(result.missed or result.left for result in results)


def is_complete(results: Sequence[Result]) -> bool:
    """Whether there are as many cases as the aim asks for."""
    kinds = [result.case.kind for result in results]
    return kinds.count("ci") >= LEAST_CI and kinds.count("regression") >= LEAST_REGRESSIONS


def as_markdown(results: Sequence[Result], seconds: float) -> str:
    """RESULTS.md: versions and date, the rates, the table, the notes, and what cannot be told apart."""
    head = ["# Who is blamed", "", f"{datetime.now(UTC):%Y-%m-%d}, {_machine()}, {_versions()}.", ""]
    head += [f"{len(results)} cases in {seconds / 60:.0f} minutes, made by `make bench-blame`. Each is one run of"]
    head += ["`ci-run-job` on the local gate. A case that was stopped or proves nothing counts as missed.", ""]
    lines = [*head, *(f"- {line}" for line in rates(results)), ""]
    lines += [_markdown_row(HEADINGS), _markdown_row("---" for _ in HEADINGS)]
    lines += [_markdown_row(row(result)) for result in results]
    lines += ["", "## What each fault is", ""]
    lines += [f"- `{result.case.name}`: {_what(result)}" for result in results]
    return "\n".join(lines) + "\n\n" + LIMITS.read_text()


def _what(result: Result) -> str:
    notes = ", ".join(dict.fromkeys(re.sub(r" \(.*?\)| \d+ MB", "", note) for note in result.notes))
    return f"{result.case.what}." + (f" Seen: {notes}." if notes else "")


def _markdown_row(cells: object) -> str:
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"  # type: ignore[attr-defined]


def _machine() -> str:
    return f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, {platform.machine()}"


def _versions() -> str:
    pins = dict(line.split("==") for line in (EXAMPLES / "constraints.txt").read_text().splitlines() if "==" in line)
    names = ("neutron", "keystone", "tempest", "sqlalchemy")
    return ", ".join(f"{name.capitalize()} {pins[name]}" for name in names)
