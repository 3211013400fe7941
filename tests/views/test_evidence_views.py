"""The report and the summary say what a verdict rests on: what moved, the rule, the evidence, reruns and trials."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts.verdict.decide import decide
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.run_facts import ServiceFact
from ci_scripts.verdict.verdict import Facts
from ci_scripts.views.evidence_rows import deciding, gates, moment, place_of, rows
from ci_scripts.views.html import render_report
from ci_scripts.views.run_report import RunReport
from ci_scripts.views.text import plain_summary
from tests.verdict.made_cases import A, B, alone, beside, change, control, facts, service, stage, the_run, with_stages

EVIL = "</pre><script>alert(1)</script>\x1b[31mred\x1b]0;title\x07\x00\u202e\ud800'\"&"
MOVED = "oslo.db 18.1.1 -> 19.0.0 since run 20260129T120000Z-1a2b3c, 2 days ago"
PACKAGE = Evidence("package", None, MOVED, "logs/packages.txt")
SIGNATURE = Evidence("signature", "2026-01-31T12:03:00.250Z", "index.example.org: 503", "logs/a.log", 12)
FAILED = the_run({"a": "passed", "b": "failed"}, rounds=(alone(b="failed"),))
TRIALS = (
    control("alone", alone(b="passed"), run={"trial": {"mode": "alone", "why": "is it there without the change?"}}),
    change("alone", alone(b="failed")),
)
BLAMED = facts(FAILED, *TRIALS, moved=(PACKAGE,), resources=(SIGNATURE,))
SEEN_ONCE = facts(
    the_run({"a": "passed", "b": "failed"}, rounds=(alone(b="passed"), *beside(*[{"a": "passed", "b": "passed"}] * 3))),
    moved=(PACKAGE,),
)


def report_of(found: Facts, **more: Any) -> RunReport:
    verdict = dataclasses.replace(decide(found, run_id="run-1", made="2026-01-31T13:00:00Z"), **more)
    run = found.case.run
    return RunReport(verdict, run.tests, run.facts, (), run.rounds, found.case.trials)


def html(found: Facts, **more: Any) -> str:
    return render_report(report_of(found, **more))


def summary(found: Facts, **more: Any) -> list[str]:
    return plain_summary(report_of(found, **more), Path("/run/index.html")).splitlines()


def sections(text: str) -> list[str]:
    return re.findall(r'<h2 id="([a-z]+)"', text)


class _Text(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.shown = ""
        self.tags: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        # With a blank between elements, as they stand apart on the page.
        self.shown += f" {data}"


def words_of(text: str, first: str, end: str) -> str:
    """What a reader sees from one section to another."""
    part = text[text.index(f'<h2 id="{first}"') : text.index(f'<h2 id="{end}"')]
    return " ".join(_Text(part).shown.split())


def test_a_failing_report_starts_with_what_moved_and_goes_on_to_the_verdict_and_its_evidence() -> None:
    text = html(BLAMED, history="the history could not be written: it is locked")

    assert sections(text)[:6] == ["moved", "verdict", "evidence", "history", "trials", "context"]
    assert MOVED in _Text(text).shown
    assert "fails-only-with-the-change" in text and "What would have changed it: a control run that fails" in text
    assert "the history could not be written: it is locked" in text


def test_a_passing_report_starts_with_the_verdict_and_folds_what_moved() -> None:
    text = html(facts(the_run(), moved=(PACKAGE,)))

    # A whole proof has a table of its own.
    assert sections(text)[:2] == ["verdict", "context"]
    assert MOVED in _Text(text[text.index('id="context"') :]).shown
    assert "history" not in sections(text)


def test_evidence_has_kind_time_text_file_and_line() -> None:
    text = html(BLAMED)
    table = words_of(text, "evidence", "trials").split()
    folded = words_of(text, "context", "failures")

    assert {"test", "control", "12:00:01", "logs/testrepository.subunit", "trials/1-control/run.json"} <= set(table)
    for part in ("signature", "2026-01-31 12:03:00", "index.example.org: 503", "logs/a.log:12"):
        assert part in folded
    # What moved stands at the start already.
    assert "package" not in folded


def test_trials_are_shown_with_their_folders_counts_and_reason() -> None:
    text = html(BLAMED)
    shown = words_of(text, "trials", "context")

    assert "rerun alone logs/reruns/alone.subunit the failed tests, alone on the gate of the run" in shown
    assert "control run 1 trials/1-control the failed tests, alone is it there without the change?" in shown
    assert "trial 2 with the change trials/2-change" in shown
    assert "1 passed, 0 failed" in shown and "0 passed, 1 failed" in shown


def test_a_trial_that_did_not_come_to_its_end_says_why() -> None:
    broken = control("alone", stages=with_stages(stage("start-gate", 3, reason="keystone did not start")))
    (rerun, trial) = gates(report_of(facts(FAILED, broken)))

    assert (rerun.good, trial.good) == (True, False)
    assert trial.end == "start-gate failed: keystone did not start" and trial.end in html(facts(FAILED, broken))
    assert any(
        line.startswith("  control run 1 (trials/1-control; the failed tests, alone): start-gate")
        for line in summary(facts(FAILED, broken))
    )


def test_flaky_tests_are_listed_and_marked_where_they_failed() -> None:
    text = html(SEEN_ONCE)

    assert sections(text)[:3] == ["verdict", "evidence", "flaky"]
    assert re.search(rf'<li class="id">{re.escape(B)}</li>', text)
    assert '<span class="kind">flaky</span>' in text and "flaky</span>" not in html(BLAMED)


def test_a_long_reason_is_folded_and_a_log_s_end_too() -> None:
    lost = dataclasses.replace(service("neutron", "died", 1), tail="first line\nImportError: the last line")
    text = html(facts(the_run({}, services=(lost,), stages=with_stages(stage("start-gate", 3, reason="x" * 900)))))

    assert "All of it" in text and "x" * 900 in text
    evidence = text[text.index('id="evidence"') : text.index('id="timeline"')]
    assert "neutron of shard 0 died with exit status 1" in evidence
    assert re.search(
        r"<details[^>]*><summary>More of it</summary><pre[^>]*>[^<]*ImportError: the last line</pre>", evidence
    )


def test_the_summary_starts_with_what_moved_and_shows_the_evidence_after_the_verdict() -> None:
    lines = summary(BLAMED, history="it is locked")
    verdict = next(number for number, line in enumerate(lines) if line.startswith("Verdict: "))

    assert lines[:2] == ["What moved:", f"  {MOVED}"]
    assert "rule fails-only-with-the-change: It fails in the run" in lines[verdict]
    assert lines[verdict + 1 :][:-5] == [
        "  1 of 2 tests failed",
        f"  {B} failed: it is there each time with the change and never without",
        "Evidence:",
        f"  test 2026-01-31 12:00:01 logs/testrepository.subunit: {B} failed",
        "Reruns and trials:",
        "  rerun alone (logs/reruns/alone.subunit; the failed tests, alone): 0 passed, 1 failed",
        "  control run 1 (trials/1-control; the failed tests, alone): 1 passed, 0 failed",
        "  trial 2 with the change (trials/2-change; the failed tests, alone): 0 passed, 1 failed",
        "History: it is locked",
    ]


def test_the_summary_names_flaky_tests_and_a_passing_one_keeps_what_moved_to_the_report() -> None:
    lines = summary(SEEN_ONCE)

    assert lines[0] == "Failed tests (1):" and lines[1] == f"  {B} (flaky)"
    assert lines[lines.index("Flaky tests:") + 1] == f"  {B}"
    assert MOVED not in "\n".join(lines)


def test_evidence_of_a_whole_proof_is_left_to_its_table_and_of_an_open_one_is_shown() -> None:
    good, unproved = (
        decide(facts(the_run())),
        decide(facts(the_run(), proof=dataclasses.replace(BLAMED.proof, items=()))),
    )
    open_item = Evidence("proof", None, "driver installed: no")

    assert good.evidence and deciding(good) == ()
    assert unproved.rule == "unproved"
    assert deciding(dataclasses.replace(unproved, evidence=(open_item,))) == (open_item,)


def test_rows_are_bounded_and_keep_the_end_of_long_texts() -> None:
    many = [Evidence("service", "never", f"line {n}\n" + "a" * 9_000 + "the end", "x" * 900, 3) for n in range(40)]
    made, more = rows(many, 30)

    assert (len(made), more) == (30, 10)
    assert sum(len(row.rest) for row in made) <= 60_000 and made[0].rest.endswith("the end")
    assert made[0].time == "" and len(made[0].place) < 310 and made[0].place.endswith(":3")
    (long,), _ = rows([Evidence("stage", None, "b" * 700)], 5)
    assert len(long.text) < 310 and long.rest == "b" * 700


@pytest.mark.parametrize("time", [None, "", "yesterday", "2026-01-31T12:00:00", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_is_none_is_left_out(time: str | None) -> None:
    assert moment(time) == ""
    assert moment("2026-01-31T13:00:00.5+01:00") == "2026-01-31 12:00:00"


def test_a_place_has_its_line_where_there_is_one() -> None:
    assert place_of(SIGNATURE) == "logs/a.log:12"
    assert place_of(PACKAGE) == "logs/packages.txt" and place_of(Evidence("proof", None, "x")) == ""


def hostile(text: str) -> Facts:
    said = {"trial": {"mode": "alone", "why": text}}
    lost = tuple(ServiceFact(text, text, "died", 1, text, text, text, f"{text}\n{text}") for _ in range(3))
    again = dataclasses.replace(FAILED.rounds[0], name=text, stream=text, problem=text)
    broken = with_stages(stage("start-gate", 3, reason=text))
    return facts(
        dataclasses.replace(FAILED, rounds=(*FAILED.rounds, again)),
        dataclasses.replace(TRIALS[0], mode=text, folder=f"trials/{text}"),
        control("alone", stages=broken, services=lost, run=said),
        resources=(Evidence("signature", text, f"{text}\n{text}", text, 7),),
        moved=(Evidence("package", None, text),),
    )


@settings(deadline=None)
@given(st.one_of(st.just(EVIL), st.text()))
def test_no_text_of_a_node_breaks_the_page_or_drives_a_terminal(text: str) -> None:
    report = report_of(hostile(text), history=text, flaky=(text,), evidence=(Evidence("file", None, text, text),))
    page = render_report(report)

    assert "script" not in _Text(page).tags
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", page.replace("\r", ""))
    page.encode()
    plain = plain_summary(report, Path("x"))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", plain)


def test_hostile_lengths_of_services_stages_and_evidence_stay_below_five_megabytes() -> None:
    words = "<" * 2_000
    lost = [ServiceFact(f"{words[:100]}{n}", "0", "died", 1, words, words, words, "<" * 4_000) for n in range(500)]
    steps = tuple((words, words, 1.0) for _ in range(500))
    stages = [dataclasses.replace(stage(f"{words[:90]}{n}", 3, reason=words), steps=steps) for n in range(50)]
    found = facts(
        the_run({"a": "failed"}, services=lost, stages=stages),
        *(control("alone", alone(a="failed"), number=n, stages=stages, services=lost) for n in range(1, 20)),
        resources=tuple(Evidence("signature", words, words * 5, words) for _ in range(500)),
        moved=tuple(Evidence("package", None, words) for _ in range(500)),
    )

    assert A in html(found)
    assert len(html(found).encode()) < 5_000_000
    assert len("\n".join(summary(found))) < 50_000
