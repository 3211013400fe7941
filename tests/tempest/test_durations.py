"""Durations of earlier runs: a hint that may be missing or broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.tempest.durations import read_durations, remember_durations


def test_new_figures_count_half(tmp_path: Path) -> None:
    remember_durations(tmp_path, {"a.": 2.0, "b.": 1.0})
    remember_durations(tmp_path, {"a.": 4.0, "c.": 7.0})
    assert read_durations(tmp_path) == {"a.": 3.0, "b.": 1.0, "c.": 7.0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2, "groups": {}}', '{"schema": 1, "groups": {"a": "x"}}'])
def test_a_broken_file_is_no_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "tempest-durations.json").write_text(text)
    assert read_durations(tmp_path) == {}
    remember_durations(tmp_path, {"a.": 1.0})
    assert read_durations(tmp_path) == {"a.": 1.0}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    remember_durations(tmp_path / "file", {"a.": 1.0})
    assert read_durations(tmp_path / "file") == {}
