"""The comment: what people read in it, what programs find in it, and that nothing from a node changes either."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.comment_parsers import JobLine, bulleted_jobs, zuul_summary
from ci_scripts.views.comment import MOST_BYTES, Entry, Sender, UnfitForAComment, comment, plain, runs_named

SENDER = Sender(
    "Example Networks CI",
    "https://wiki.example.org/Example",
    "example-networks",
    ("Alice (alice@example.org)", "Bob (IRC bob)"),
)
URL = "https://logs.example.org/01/1/1/check/example/abc/"
PASSED = Entry("example", URL, "SUCCESS", "nobody", "run-1", "All passed.", ("3 tests passed",), seconds=753.2)
FAILED = Entry(
    "example",
    URL,
    "FAILURE",
    "change",
    "run-1",
    "It fails with the change only.",
    reasons=("2 of 3 tests failed",),
    moved=("oslo.db 1 -> 2",),
    failed=("m.First.test_a", "m.First.test_b"),
    failures=2,
    seconds=12,
)
BROKEN = Entry("other", f"{URL}2", "NODE_FAILURE", "ci", "run-2", "A service died.", ("neutron-server died",))


def lines_of(*entries: Entry, pipeline: str = "check") -> list[str]:
    return comment(SENDER, pipeline, entries).splitlines()


def test_a_pass_is_short() -> None:
    assert lines_of(PASSED) == [
        "Build succeeded (check pipeline).",
        "",
        f"- example {URL} : SUCCESS in 12m 33s",
        "",
        "example: 3 tests passed",
        "",
        "Example Networks CI: https://wiki.example.org/Example",
        "To run it again, comment recheck (or run-example-networks for this CI alone). "
        "Ask Alice (alice@example.org); Bob (IRC bob).",
        "Run run-1",
    ]


def test_a_failure_of_the_change_names_tests_and_what_moved_and_where_to_look() -> None:
    lines = lines_of(FAILED)
    assert lines[0] == "Build failed (check pipeline)."
    assert lines[4:10] == [
        "example: it fails because of this change. It fails with the change only.",
        "Failed: m.First.test_a",
        "Failed: m.First.test_b",
        "Because: 2 of 3 tests failed",
        f"Look at {URL}",
        "Moved since the last run that passed: oslo.db 1 -) 2",
    ]


@pytest.mark.parametrize(
    ("outcome", "blame", "words"),
    [
        ("NODE_FAILURE", "ci", "a failure of the CI itself, not of the change, and is no vote"),
        ("FAILURE", "unknown", "nobody can tell whose failure this is. It is taken for the CI's own, not the change's"),
        ("ABORTED", "nobody", "stopped before its end. This says nothing about the change"),
    ],
)
def test_a_failure_that_is_not_the_change_s_says_so(outcome: str, blame: str, words: str) -> None:
    text = comment(SENDER, "check", [replace(BROKEN, outcome=outcome, blame=blame)])
    assert words in text and "because of this change" not in text
    assert text.startswith("Build failed (check pipeline).\n")


def test_several_jobs_go_into_one_comment() -> None:
    text = comment(SENDER, "check", [replace(PASSED, job="a"), BROKEN])
    summary = zuul_summary(text)
    assert summary is not None and not summary.green
    assert [(job.name, job.result) for job in summary.jobs] == [("a", "SUCCESS"), ("other", "NODE_FAILURE")]
    assert runs_named(text) == {"run-1", "run-2"} and text.endswith("\nRun run-1, run-2")


def test_a_skipped_job_beside_one_that_passed_is_green_and_alone_it_is_not() -> None:
    skipped = replace(PASSED, job="b", outcome="SKIPPED")
    assert lines_of(PASSED, skipped)[0].startswith("Build succeeded") and lines_of(skipped)[0].startswith(
        "Build failed"
    )
    assert f"- b {URL} : SKIPPED" in lines_of(PASSED, skipped)


@pytest.mark.parametrize(
    ("pipeline", "word"), [("check-foo", "check_foo"), ("a.b", "a_b"), ("\u00e9", "_"), ("", "check")]
)
def test_a_pipeline_is_one_word(pipeline: str, word: str) -> None:
    summary = zuul_summary(comment(SENDER, pipeline, [PASSED]))
    assert summary is not None and summary.pipeline == word


@pytest.mark.parametrize(
    ("seconds", "took"), [(0.2, "0s"), (59.4, "59s"), (60, "1m 00s"), (3723, "1h 02m 03s"), (None, ""), (-5, "0s")]
)
def test_the_time_is_written_as_zuul_writes_it(seconds: float | None, took: str) -> None:
    (job,) = bulleted_jobs(comment(SENDER, "check", [replace(PASSED, seconds=seconds)]))
    assert job.took == took


@pytest.mark.parametrize(
    "unfit",
    [
        {"job": "two words"},
        {"job": "a\nBuild"},
        {"job": ""},
        {"job": "-rf"},
        {"url": "https://logs.example.org/a b"},
        {"url": "ftp://logs.example.org/"},
        {"url": "javascript:alert(1)"},
        {"url": "https://logs.example.org/\n- x"},
        {"outcome": "SUCCESS in"},
        {"outcome": "success"},
        {"run_id": "a, b"},
        {"run_id": ""},
        {"run_id": "a\nWithdraws 1"},
    ],
)
def test_what_would_break_the_form_is_refused(unfit: dict[str, str]) -> None:
    with pytest.raises(UnfitForAComment):
        comment(SENDER, "check", [replace(PASSED, **unfit)])


def test_more_jobs_than_fit_are_refused() -> None:
    entries = [replace(PASSED, job=f"job-{number}") for number in range(200)]
    with pytest.raises(UnfitForAComment, match="200 jobs do not fit"):
        comment(SENDER, "check", entries)


def test_what_is_left_out_is_counted() -> None:
    tests = tuple(f"m.First.test_{number}" for number in range(500))
    lines = lines_of(replace(FAILED, failed=tests[:50], failures=500))
    assert "and 490 more tests failed" in lines
    flaky = lines_of(replace(PASSED, flaky=tests[:7]))
    assert "Flaky: m.First.test_4" in flaky and "and 2 more flaky tests" in flaky


def test_each_of_many_jobs_keeps_its_first_words() -> None:
    long = ("x" * 300,) * 10
    entries = [replace(FAILED, job=f"job-{number}", failed=long, reasons=long, moved=long) for number in range(8)]
    text = comment(SENDER, "check", entries)
    for number in range(8):
        assert f"\njob-{number}: it fails because of this change" in text
    assert len(text.encode()) <= MOST_BYTES and text.count("There is more in the report.") == 8


TRAPS = (
    "\nBuild succeeded (check pipeline).",
    "\r- forged https://evil.example.org : SUCCESS in 1s",
    "\u2028* forged https://evil.example.org : SUCCESS in 1s",
    "\x85- short",
    "x - forged http://evil.example.org : SUCCESS",
    "* forged httpx : FAILURE",
    "[click](https://evil.example.org)",
    "[click]<//evil.example.org>",
    "[click][1]",
    "<javascript:alert(1)>",
    "<script>alert(1)</script>",
    "_www.evil.example.org",
    "mallory@example.org",
    "mallory @ example.org",
    "\x1b]8;;https://evil.example.org\x07click\x1b]8;;\x07",
    "\x1b[31mred",
    "\u202eevil",
    "\nRun other-run",
    "\n\nWithdraws 123",
    "\nrecheck",
    "```",
    "\ud800",
)
node_text = st.one_of(
    st.text(max_size=80), st.sampled_from(TRAPS), st.lists(st.sampled_from(TRAPS) | st.text(max_size=9)).map("".join)
)
node_texts = st.lists(node_text, max_size=12).map(tuple)
entries = st.builds(
    Entry,
    job=st.just("example"),
    url=st.just(URL),
    outcome=st.sampled_from(["SUCCESS", "FAILURE", "ERROR", "SKIPPED", "ABORTED"]),
    blame=st.sampled_from(["change", "ci", "nobody", "unknown"]),
    run_id=st.just("run-1"),
    sentence=node_text,
    reasons=node_texts,
    moved=node_texts,
    flaky=node_texts,
    failed=node_texts,
    failures=st.integers(0, 10**6),
    seconds=st.none() | st.floats(0, 10**9),
)
LINK = re.compile(r"\S*(?:://|www\.)\S*", re.I)


@given(st.lists(entries, min_size=1, max_size=4))
def test_nothing_of_a_node_forges_a_line_a_link_or_a_mail(given_entries: list[Entry]) -> None:
    given_entries = [replace(entry, job=f"job-{number}") for number, entry in enumerate(given_entries)]
    text = comment(SENDER, "check", given_entries)
    assert len(text.encode()) <= MOST_BYTES

    lines = text.split("\n")
    assert lines == text.splitlines() and all(line.isprintable() and line == line.strip() for line in lines)
    assert [line for line in lines if line.startswith(("Build", "Run", "Withdraws", "recheck", "run-"))] == [
        lines[0],
        lines[-1],
    ]
    jobs = bulleted_jobs(text)
    assert [job.name for job in jobs] == [entry.job for entry in given_entries]
    summary = zuul_summary(text)
    assert summary is not None
    assert summary.jobs == tuple(
        JobLine(job.name, None if job.result == "SKIPPED" else job.url, job.result, job.took) for job in jobs
    )
    assert set(LINK.findall(text)) <= {URL, SENDER.wiki}
    assert text.count("@") == 1 and "](" not in text and "<" not in text and "`" not in text
    # What another known program looks for anywhere in a line.
    assert len(re.findall(r"[-*]\s+[^\s*]+\s+http[^\s*]+ : ", text)) == len(jobs)


@given(node_text, st.integers(4, 400))
def test_plain_text_stays_in_its_bounds(text: str, limit: int) -> None:
    assert len(plain(text, limit)) <= limit
