"""logs/testr_results.html: the table by class that readers of OpenStack's logs know."""

from __future__ import annotations

from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.tests_file import class_of
from ci_scripts.views.clean_text import shortened
from ci_scripts.views.run_report import RunReport
from ci_scripts.views.templating import fill

MAX_TEXT = 20_000
MAX_TEXT_IN_ALL = 2_000_000


def render_testr_results(report: RunReport) -> str:
    """Every test, by class, with the text of failures as far as 2 MB go."""
    return fill(
        "testr_results.html.j2",
        title=report.title,
        classes=_by_class(report.tests.tests),
        counts=report.tests.counts,
    )


def _by_class(tests: tuple[TestOutcome, ...]) -> list[tuple[str, dict[str, int], list[tuple[str, TestOutcome, str]]]]:
    left = MAX_TEXT_IN_ALL
    classes: dict[str, list[tuple[str, TestOutcome, str]]] = {}
    for test in tests:
        owner, name = class_of(test.id)
        text = shortened(test.text or "", min(MAX_TEXT, left)) if left > 1000 else ""
        left -= len(text)
        classes.setdefault(owner or "other", []).append((name, test, text or test.reason or ""))
    rows = []
    for owner, entries in sorted(classes.items()):
        counts = dict.fromkeys(("passed", "failed", "incomplete", "skipped"), 0)
        for _, test, _ in entries:
            counts[test.status] += 1
        rows.append((owner, counts, entries))
    return rows
