"""report/index.html: one file with everything in it, the verdict first.

It draws nothing from elsewhere, has no script, and can be read where a server forbids its style sheet (Jenkins'
Content-Security-Policy does).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.run_facts import ServiceFact
from ci_scripts.views.clean_text import shortened
from ci_scripts.views.evidence_rows import beside, deciding, gates, rows, starts_with_what_moved
from ci_scripts.views.run_report import RunReport
from ci_scripts.views.templating import fill
from ci_scripts.views.timeline import seconds_between, timeline

MAX_FAILURES_WITH_TEXT = 150
MAX_LISTED = 600
MAX_PACKAGES = 3_000
MAX_TEXT = 40_000
MAX_TEXT_IN_ALL = 1_500_000
MAX_EVIDENCE = 60
MAX_CONTEXT = 200
MAX_MOVED = 60
MAX_FLAKY = 200
MAX_SERVICES = 200
MAX_TAILS = 100_000
MAX_PROBLEMS = 100
SLOWEST = 20

TONES = {"SUCCESS": "good", "FAILURE": "bad", "SKIPPED": "calm", "MERGER_FAILURE": "calm", "ABORTED": "calm"}
WHOSE = {
    "change": "The change is to blame.",
    "ci": "The CI itself failed; this says nothing about the change.",
    "nobody": "Nobody is to blame.",
    "unknown": "Nobody knows who is to blame; it is not held against the change.",
}


def render_report(report: RunReport) -> str:
    """The report as HTML; less than 5 MB for any run, with notes where something was left out."""
    return fill("report.html.j2", **_context(report))


def _context(report: RunReport) -> dict[str, Any]:
    verdict, tests = report.verdict, report.tests
    failures, unlisted = _failures(tests.with_status("failed"))
    incomplete = tests.with_status("incomplete")
    evidence, evidence_more = rows(deciding(verdict), MAX_EVIDENCE)
    context, context_more = rows(beside(verdict), MAX_CONTEXT)
    return {
        "title": report.title,
        "verdict": verdict,
        "tone": TONES.get(verdict.outcome, "warn"),
        "whose": "The change passed." if verdict.outcome == "SUCCESS" else WHOSE[verdict.blame],
        "moved": verdict.moved[:MAX_MOVED] if starts_with_what_moved(verdict) else (),
        "evidence": evidence,
        "evidence_more": evidence_more,
        "flaky": verdict.flaky[:MAX_FLAKY],
        "flaky_more": max(0, len(verdict.flaky) - MAX_FLAKY),
        "gates": gates(report),
        "context": context,
        "context_more": context_more,
        "change": _change(report.facts.run),
        "shares": _shares(tests.counts),
        "counts": tests.counts,
        "failures": failures,
        "unlisted": unlisted,
        "incomplete": incomplete[:MAX_LISTED],
        "incomplete_more": max(0, len(incomplete) - MAX_LISTED),
        "not_run": tests.not_run[:MAX_LISTED],
        "slowest": _slowest(tests.tests),
        "skips": _skips(tests.with_status("skipped")),
        "packages": report.packages[:MAX_PACKAGES],
        "stages": [
            (stage, seconds_between(stage.started, stage.ended), stage.steps[:50]) for stage in report.facts.stages
        ],
        "services": _services(report.facts.services or ()),
        "timeline": timeline(report),
        "stream": tests.stream,
        "problems": [*tests.stream.problems, *tests.problems, *report.facts.problems][:MAX_PROBLEMS],
    }


def _failures(failed: list[TestOutcome]) -> tuple[list[tuple[TestOutcome, str]], list[TestOutcome]]:
    """Failures with their text, and those for which there is no room."""
    from markupsafe import escape

    left = MAX_TEXT_IN_ALL
    shown = []
    for test in failed[:MAX_FAILURES_WITH_TEXT]:
        text = shortened(test.text or "", min(MAX_TEXT, max(left, 500)))
        # Escaped, a text can be five times as long.
        while len(escape(text)) > max(left, 5000):
            text = shortened(text, len(text) // 2)
        left -= len(escape(text))
        shown.append((test, text))
    return shown, failed[MAX_FAILURES_WITH_TEXT : MAX_FAILURES_WITH_TEXT + MAX_LISTED]


def _services(services: Sequence[ServiceFact]) -> list[tuple[ServiceFact, str]]:
    """Services with the ends of their logs as far as there is room."""
    left = MAX_TAILS
    shown = []
    for service in services[:MAX_SERVICES]:
        tail = (service.tail or "")[-left:] if left else ""
        left -= len(tail)
        shown.append((service, tail))
    return shown


def _slowest(tests: tuple[TestOutcome, ...]) -> list[tuple[TestOutcome, float]]:
    timed = sorted((test for test in tests if test.seconds), key=lambda test: -(test.seconds or 0))[:SLOWEST]
    longest = (timed[0].seconds or 1.0) if timed else 1.0
    return [(test, round(100 * (test.seconds or 0) / longest, 1)) for test in timed]


def _skips(skipped: list[TestOutcome]) -> list[tuple[str, int, list[str]]]:
    """Skipped tests by reason, the most frequent reason first: reason, number, and ids as far as there is room."""
    reasons: dict[str, list[str]] = {}
    for test in skipped:
        reasons.setdefault(test.reason or "no reason given", []).append(test.id)
    left = MAX_LISTED
    rows = []
    for reason, ids in sorted(reasons.items(), key=lambda entry: (-len(entry[1]), entry[0]))[:MAX_LISTED]:
        rows.append((reason, len(ids), ids[:left]))
        left = max(0, left - len(ids))
    return rows


def _shares(counts: dict[str, int]) -> list[tuple[str, int, float, float]]:
    """Status, number, and place and width in a bar of 100."""
    total = counts["total"] or 1
    shares, place = [], 0.0
    for status in ("passed", "failed", "incomplete", "skipped"):
        width = 100 * counts[status] / total
        if width:
            shares.append((status, counts[status], round(place, 3), round(width, 3)))
        place += width
    return shares


def _change(run: dict[str, Any]) -> list[tuple[str, str]]:
    change = run.get("change")
    change = change if isinstance(change, dict) else {}
    gate = run.get("gate")
    rows = (
        ("Branch", change.get("branch")),
        ("Revision", change.get("revision")),
        ("Pipeline", change.get("pipeline")),
        ("Change", change.get("change_url")),
        ("Gate", gate.get("kind") if isinstance(gate, dict) else None),
    )
    return [(label, value[:500]) for label, value in rows if isinstance(value, str) and value]
