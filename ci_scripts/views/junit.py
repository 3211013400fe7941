"""report/junit.xml for the Jenkins JUnit plug-in.

The plug-in reads testsuites/testsuite/testcase with failure, error or skipped; times are seconds, and every testcase
needs a classname and a name. https://plugins.jenkins.io/junit/
"""

from __future__ import annotations

from xml.etree import ElementTree

from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.run_facts import UNIT_TESTS
from ci_scripts.verdict.tests_file import class_of, utc_text
from ci_scripts.views.clean_text import for_markup, shortened, what_happened
from ci_scripts.views.run_report import RunReport

MAX_TEXT = 100_000
MAX_MESSAGE = 500


def render_junit(report: RunReport) -> str:
    """The tests of a run as JUnit XML. An incomplete test is an ``error``, since nobody knows what it would say;
    a flaky one has passed, with the text of its failure as output.
    """
    tests = report.tests.tests
    counts = report.tests.counts
    flaky = set(report.verdict.flaky)
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name="tempest" if report.facts.stage(UNIT_TESTS) is None else "unit-tests",
        tests=str(counts["total"]),
        failures=str(sum(test.status == "failed" and test.id not in flaky for test in tests)),
        errors=str(counts["incomplete"]),
        skipped=str(counts["skipped"]),
        time=f"{sum(test.seconds or 0 for test in tests):.3f}",
    )
    starts = [test.started for test in tests if test.started is not None]
    if starts:
        # The schema's type has no time zone; UTC as everywhere.
        suite.set("timestamp", utc_text(min(starts))[:19])
    for test in tests:
        _add(suite, test, flaky=test.id in flaky)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(suite: ElementTree.Element, test: TestOutcome, *, flaky: bool) -> None:
    owner, name = class_of(test.id)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=for_markup(owner) or "tempest",
        name=for_markup(name) or "unnamed",
        time=f"{test.seconds or 0:.3f}",
    )
    if test.status == "skipped":
        ElementTree.SubElement(case, "skipped", message=for_markup(test.reason or "no reason given"))
    elif test.status in ("failed", "incomplete"):
        text = for_markup(shortened(test.text or "", MAX_TEXT))
        kind = "failure" if test.status == "failed" else "error"
        message = for_markup(test.reason or what_happened(text) or "no details")[:MAX_MESSAGE]
        if flaky:
            # Jenkins calls a build with a failure in it UNSTABLE; this one is a SUCCESS.
            ElementTree.SubElement(case, "system-out").text = f"flaky: failed once, passed again each time\n{text}"
            return
        ElementTree.SubElement(case, kind, message=message, type=test.status).text = text
