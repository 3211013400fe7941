"""Which tests run: regex, include list, exclude list."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.tempest.selection import Selection

TESTS = ["a.Networks.test_list", "a.Networks.test_show[id-1,smoke]", "a.Ports.test_list", "b.Ports.test_delete"]


def write(folder: Path, text: str) -> Path:
    path = folder / "list.txt"
    path.write_text(text)
    return path


def test_a_regex_matches_anywhere_and_the_order_stays() -> None:
    assert Selection("Ports").choose(TESTS) == ["a.Ports.test_list", "b.Ports.test_delete"]
    assert Selection("^a.*list$").choose(TESTS) == ["a.Networks.test_list", "a.Ports.test_list"]
    assert Selection(r"\[.*smoke").choose(TESTS) == ["a.Networks.test_show[id-1,smoke]"]


def test_lists_have_one_expression_a_line_and_comments(tmp_path: Path) -> None:
    included = write(tmp_path, "# what we support\n\nNetworks  # all of them\ntest_delete\n")
    assert Selection("", include_list=included).choose(TESTS) == [TESTS[0], TESTS[1], TESTS[3]]


def test_the_exclude_list_wins(tmp_path: Path) -> None:
    listed = write(tmp_path, "Networks\n")
    assert Selection("^a", exclude_list=listed).choose(TESTS) == ["a.Ports.test_list"]
    with pytest.raises(ConfigurationError, match="no test matches"):
        Selection("", include_list=listed, exclude_list=listed).choose(TESTS)


def test_an_include_list_of_comments_includes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no test matches tempest.regex '' and the lists"):
        Selection("", include_list=write(tmp_path, "# nothing\n")).choose(TESTS)


def test_a_line_that_is_no_expression_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "fine\n(\n")
    with pytest.raises(ConfigurationError, match=r"list.txt:2: '\(' is not a regular expression"):
        Selection("", exclude_list=path).choose(TESTS)


def test_a_list_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        Selection("", include_list=tmp_path / "none").choose(TESTS)
