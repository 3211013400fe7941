from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts.yaml_with_lines import parse_yaml, plain_scalar


def test_every_key_and_entry_has_its_line() -> None:
    document = parse_yaml("a: 1\nb:\n  c: [x,\n      y]\n  d:\n    - e: 2\n")
    assert document.data == {"a": 1, "b": {"c": ["x", "y"], "d": [{"e": 2}]}}
    assert document.lines[("a",)] == 1
    assert document.lines[("b", "c", 1)] == 4
    assert document.lines[("b", "d", 0, "e")] == 6
    assert document.problems == []


def test_duplicate_keys_are_found_at_every_depth_and_the_first_one_counts() -> None:
    document = parse_yaml("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert document.data == {"a": 1, "b": {"c": 1}}
    assert [(line, path) for line, path, _ in document.problems] == [(2, ("b", "c")), (3, ("a",))]
    assert "already given in line 1" in document.problems[1][2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("on", "on"),
        ("NO", "NO"),
        ("true", True),
        ("0755", "0755"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("3.10", "3.10"),
        ("3.11", 3.11),
        ("-0", "-0"),
        ("1e5", "1e5"),
        (".inf", ".inf"),
        ("2026-01-01", "2026-01-01"),
        ("9" * 5000, "9" * 5000),
        ("7", 7),
        ("~", None),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    assert parse_yaml(f"key: {text}").data == {"key": value}


@settings(deadline=None)
@given(st.text(alphabet="0123456789.eE+-_:xtrufalsn~", max_size=12))
def test_a_number_reads_the_same_when_written_back(text: str) -> None:
    value = plain_scalar(text)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        assert str(value) == text
    else:
        assert value in (None, True, False) or value == text


def test_quoted_scalars_are_text_and_so_are_keys() -> None:
    assert parse_yaml("2026.10: '12'\ntrue: \"null\"").data == {"2026.10": "12", "true": "null"}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [\nc: 2\n", 3, "while parsing a flow sequence that starts in line 2"),
        ("a: 1\n\tb: 2\n", 2, "syntax"),
        ("a: 1\n---\nb: 2\n", 2, "syntax"),
        ("a: 1\nb: \x01\n", 2, "syntax"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "unknown tag"),
        ("a: 1\nb: !secret x\n", 2, "unknown tag"),
        ("a: 1\n? [x]\n: 1\n", 2, "a key must be text"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", 3, "merge keys"),
        ("a: 1\nb: &x [*x]\n", 2, "contains itself"),
        ("a: " + "[" * 5000, 1, "nested too deeply"),
    ],
)
def test_what_is_not_plain_data_is_a_problem_with_its_line(text: str, line: int, words: str) -> None:
    problems = parse_yaml(text).problems
    assert len(problems) == 1
    assert problems[0][0] == line
    assert words in problems[0][2]


def test_aliases_are_copied_but_do_not_explode() -> None:
    assert parse_yaml("a: &x [1]\nb: *x\n").data == {"a": [1], "b": [1]}
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    assert "more than" in parse_yaml(bomb).problems[0][2]


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_data_or_problems(text: str) -> None:
    document = parse_yaml(text)
    assert all(line >= 1 for line, _, _ in document.problems)
    assert document.problems or document.data is None or () in document.lines
