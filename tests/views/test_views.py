"""The views: escaped, self-contained, bounded, and in the shape their readers want."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts.verdict.decide import decide
from ci_scripts.verdict.gate_runs import Case, GateRun
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.proof import Proof, ProofItem
from ci_scripts.verdict.read_stream import StreamContent
from ci_scripts.verdict.run_facts import RunFacts, ServiceFact, StageFact
from ci_scripts.verdict.tests_file import compare
from ci_scripts.verdict.verdict import Facts
from ci_scripts.views.clean_text import duration, for_markup, for_terminal, shortened, what_happened
from ci_scripts.views.html import render_report
from ci_scripts.views.junit import render_junit
from ci_scripts.views.run_report import RunReport
from ci_scripts.views.testr_results import render_testr_results
from ci_scripts.views.text import plain_summary, print_summary
from ci_scripts.views.timeline import timeline

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
EVIL = "</pre><script>alert(1)</script>\x1b[31mred\x1b]0;title\x07\x00\u202e\ud800'\"&"
TRACEBACK = (
    'Traceback (most recent call last):\n  File "a.py", line 1, in test\n    boom()\n'
    "tempest.lib.exceptions.ServerFault: Got server fault\nDetails: more\n\n\n--- pythonlogging ---\nlast"
)


def report_of(*tests: TestOutcome, not_run: tuple[str, ...] = (), packages: tuple[str, ...] = ()) -> RunReport:
    stages = (
        StageFact("run-gate", "2026-01-31T11:59:00Z", "2026-01-31T12:10:00Z", 0, None, None, (("wait", None, 2.5),)),
        StageFact("run-tempest", "2026-01-31T12:00:00Z", "2026-01-31T12:09:00Z", 1, EVIL, None),
        StageFact("broken", "yesterday", None, None, None, None),
    )
    services = (ServiceFact("neutron", "0", "stopped", 0, None, None, "logs/gate/shard0/neutron.log", EVIL),)
    run = {
        "change": {"number": "1", "patchset": "2", "project": "example/x", "branch": EVIL},
        "gate": {"kind": "local"},
    }
    facts = RunFacts(run, stages, services)
    selected = [test.id for test in tests] + list(not_run)
    results = compare(StreamContent("v1", list(tests), [EVIL], False, 10), selected)
    proof = Proof((ProofItem("driver installed", True, "networking-example 1"), ProofItem("python", False, EVIL)))
    case = Case(GateRun(".", "run", "", facts, results))
    verdict = decide(Facts(case, proof), run_id="run-1", made="2026-01-31T12:10:00Z", seconds=753)
    return RunReport(verdict, results, facts, packages)


def outcome(number: int, status: str = "passed", **more: object) -> TestOutcome:
    values = {
        "started": START + timedelta(seconds=number),
        "seconds": 0.5 + number % 7,
        "worker": f"worker-{number % 4}",
    }
    name = f"tempest.api.network.test_{number % 40}.NetworksTest.test_{number}[id-{number:08x},smoke]"
    return TestOutcome(name, status, **{**values, **more})  # type: ignore[arg-type]


MIXED = report_of(
    outcome(1),
    outcome(2, "failed", text=TRACEBACK),
    outcome(3, "failed", text=EVIL),
    outcome(4, "skipped", reason=EVIL),
    TestOutcome(EVIL, "incomplete", reason=EVIL, text=EVIL),
    TestOutcome("setUpClass (a.b.C)", "skipped", reason="no such extension"),
    not_run=("a.b.C.test_x",),
    packages=("neutron==29.0.0", EVIL),
)


class _Page(HTMLParser):
    VOID = ("meta", "br", "rect", "line", "path")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("render", [render_report, render_testr_results])
def test_html_is_whole_escaped_and_draws_nothing_from_elsewhere(render) -> None:
    text = render(MIXED)
    page = _Page(text)

    assert page.open == [] and "script" not in page.tags
    assert page.links == [] and "url(" not in text and "@import" not in text
    assert "<script>alert(1)</script>" in page.text
    assert not set(text) & set("\x00\x1b\x07\ud800")
    assert "Content-Security-Policy" in text
    text.encode()


def test_the_report_says_the_verdict_first_and_then_the_rest_in_order() -> None:
    text = render_report(MIXED)
    order = re.findall(r'<h2 id="([a-z]+)"', text)

    assert order[:4] == ["verdict", "evidence", "context", "failures"]
    assert order[4:] == ["incomplete", "timeline", "slowest", "skips", "proof", "stages", "packages"]
    assert "tempest.lib.exceptions.ServerFault: Got server fault" in text
    assert "a.b.C.test_x (setUpClass (a.b.C) skipped)" in text
    assert "neutron==29.0.0" in text and "12m 33s" in text


def test_an_empty_run_has_a_report() -> None:
    results = compare(StreamContent(problems=["the stream is empty"]), None)
    facts = RunFacts({}, (), None)
    verdict = decide(Facts(Case(GateRun(".", "run", "", facts, results)), Proof()))
    report = RunReport(verdict, results, facts)

    for render in (render_report, render_testr_results):
        assert _Page(render(report)).open == []
    assert "Nothing was proved." in render_report(report)
    assert ElementTree.fromstring(render_junit(report)).find("testsuite").get("tests") == "0"  # type: ignore[union-attr]
    assert "Verdict: ERROR" in plain_summary(report, Path("report/index.html"))


def test_five_thousand_tests_stay_below_five_megabytes() -> None:
    tests = [
        outcome(n, "failed" if n % 3 == 0 else "passed", text="<&\"'" * 50_000 if n % 3 == 0 else None)
        for n in range(5000)
    ]
    report = report_of(*tests, packages=tuple(f"package-{number}=={number}" for number in range(3000)))

    text = render_report(report)
    assert len(text.encode()) < 5_000_000
    assert _Page(text).open == []
    assert "characters left out" in text and "more, without their text" in text
    assert len(render_testr_results(report).encode()) < 15_000_000


def test_hostile_lengths_stay_below_five_megabytes() -> None:
    words = "<" * 2000
    tests = [TestOutcome(f"{words[:1990]}{n}", "incomplete", reason=words) for n in range(2500)]
    tests += [TestOutcome(f"{words[:1990]}s{n}", "skipped", reason=words[:-5] + str(n)) for n in range(2500)]

    assert len(render_report(report_of(*tests)).encode()) < 5_000_000


def test_the_time_line_has_a_lane_for_each_stage_and_worker_within_its_width() -> None:
    drawn = timeline(report_of(*(outcome(number) for number in range(40))))

    assert drawn is not None
    assert [lane.name for lane in drawn.lanes][:2] == ["run-gate", "run-tempest"]
    assert [lane.name for lane in drawn.lanes][2:] == [f"worker-{number}" for number in range(4)]
    for bar in (bar for lane in drawn.lanes for bar in lane.bars):
        assert 170 <= bar.x <= 1000 and bar.x + bar.width <= 1001
    assert drawn.ticks[0] == (170.0, "0:00") and drawn.ticks[-1][1] == "10:00"


def test_a_clock_that_jumped_years_gives_no_time_line() -> None:
    assert timeline(report_of(outcome(1), outcome(2, started=datetime(1970, 1, 1, tzinfo=UTC)))) is None


JUNIT = {
    "testsuites": (set(), {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}, {"testcase"}),
    "testcase": ({"classname", "name", "time"}, {"failure", "error", "skipped"}),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
}


def _check_junit(element: ElementTree.Element) -> None:
    """What the schema that the Jenkins JUnit plug-in documents has for these elements, and no more."""
    attributes, children = JUNIT[element.tag]
    assert set(element.attrib) <= attributes
    if element.tag in ("testsuite", "testcase"):
        assert element.get("name") and re.fullmatch(r"\d+\.\d{3}", element.get("time") or "")
    if element.tag == "testcase":
        assert element.get("classname") and len(element) <= 1
    for child in element:
        assert child.tag in children
        _check_junit(child)


def test_junit_has_the_shape_that_jenkins_reads() -> None:
    root = ElementTree.fromstring(render_junit(MIXED))
    _check_junit(root)
    suite = root[0]

    counted = {name: len(suite.findall(f"testcase/{tag}")) for name, tag in
               (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))}  # fmt: skip
    assert (
        {name: int(suite.get(name) or "") for name in counted} == counted == {"failures": 2, "errors": 1, "skipped": 2}
    )
    assert int(suite.get("tests") or "") == len(suite) == 6
    assert suite.get("timestamp") == "2026-01-31T12:00:01"
    case = suite[1]
    assert case.get("classname") == "tempest.api.network.test_2.NetworksTest"
    assert case.get("name") == "test_2[id-00000002,smoke]"
    assert case[0].get("message") == "tempest.lib.exceptions.ServerFault: Got server fault"


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_no_text_breaks_a_view(test_id: str, reason: str, text: str) -> None:
    report = report_of(
        TestOutcome(test_id, "failed", text=text),
        TestOutcome(test_id + "x", "skipped", reason=reason),
        TestOutcome(test_id + "y", "incomplete", reason=reason, text=text),
    )
    _check_junit(ElementTree.fromstring(render_junit(report)))
    assert _Page(render_report(report)).open == [] and _Page(render_testr_results(report)).open == []
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", plain_summary(report, Path("x")))


def test_the_text_ends_with_verdict_table_and_path() -> None:
    lines = plain_summary(MIXED, Path("/run/report/index.html")).splitlines()

    assert lines[-1] == "Report: /run/report/index.html"
    assert lines[-3].split() == ["1", "2", "2", "1", "1", "6"]
    assert lines[-4].split() == ["passed", "failed", "skipped", "incomplete", "not", "run", "total"]
    verdict = next(number for number, line in enumerate(lines) if line.startswith("Verdict: "))
    assert lines[verdict].startswith("Verdict: ERROR in 12m 33s, blame: ci, rule ")
    assert lines[:3] == [
        "Failed tests (2):",
        "  tempest.api.network.test_2.NetworksTest.test_2[id-00000002,smoke]",
        "      tempest.lib.exceptions.ServerFault: Got server fault",
    ]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_only_a_terminal_gets_colour_and_nobody_gets_the_node_s_sequences() -> None:
    plain, terminal = io.StringIO(), _Terminal()
    print_summary(MIXED, Path("/run/index.html"), plain)
    print_summary(MIXED, Path("/run/index.html"), terminal)

    assert "\x1b" not in plain.getvalue() and "\\x1b[31m" in plain.getvalue()
    for sequence in ("\x1b[31mred", "\x1b]0;", "\x07", "\u202e"):
        assert sequence not in terminal.getvalue()
    assert "Verdict: ERROR" in terminal.getvalue() and "/run/index.html" in terminal.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.4231, "0.42 s"), (12.34, "12.3 s"), (753, "12m 33s"), (3725, "1h 02m"), (59.99, "60.0 s")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_text_is_made_safe_for_each_reader() -> None:
    assert for_markup("a\x1b[1;31mb\x1b[0m\x00\ufffe\nc") == "ab\ufffd\ufffd\nc"
    assert for_terminal("a\x1b[1mb\r\x9b\u202e\nc") == "a\\x1b[1mb\\x0d\\x9b\\u202e\nc"
    assert for_terminal("a\nb", one_line=True) == "a\\nb"
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("a" * 50 + "b" * 50, 20).startswith("a" * 10 + "\n[... 80 characters")
    assert what_happened(TRACEBACK) == "tempest.lib.exceptions.ServerFault: Got server fault"
    assert what_happened("one\ntwo\n") == "two" and what_happened("") == ""
