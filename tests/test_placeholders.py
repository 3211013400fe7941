from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts.errors import ConfigurationError
from ci_scripts.placeholders import fill, placeholder_problem


def test_names_are_filled_in_and_doubled_braces_are_braces() -> None:
    values = {"shard": "1", "service.controller.url": "http://127.0.0.1:1"}
    assert fill('{service.controller.url}/v{shard} {{"a": 1}} {{shard}}', values) == (
        'http://127.0.0.1:1/v1 {"a": 1} {shard}'
    )


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError) as caught:
        fill("{wrokspace}/x", {"workspace": "/w", "shard": "1"})
    assert "unknown placeholder {wrokspace}; did you mean {workspace}?" in str(caught.value)
    assert "known: shard, workspace" in str(caught.value)


@pytest.mark.parametrize("text", ["{", "a } b", "{ shard }", "{0}", "{a!r}", "{}"])
def test_a_brace_that_stands_alone_is_told(text: str) -> None:
    assert "write it twice" in str(placeholder_problem(text, ["shard", "a"]))


def test_a_value_is_not_filled_again() -> None:
    assert fill("{a}", {"a": "{b}", "b": "secret"}) == "{b}"


@settings(deadline=None)
@given(st.text())
def test_escaped_text_comes_back(text: str) -> None:
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}) == text
