"""oslo.config files."""

from __future__ import annotations

import configparser
from pathlib import Path

from ci_scripts.gates.local.ini import merged, render_ini, write_ini


def test_values_as_oslo_config_reads_them() -> None:
    text = render_ini({"ml2": {"drivers": ["logger", "fake"], "on": True, "off": False, "ttl": 5}, "empty": {}})
    assert text == "[ml2]\ndrivers = logger,fake\non = true\noff = false\nttl = 5\n\n[empty]\n"


def test_a_line_break_begins_no_option() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(render_ini({"a": {"text": "one\n[b]\nevil = 1"}}))
    assert parser.sections() == ["a"]
    assert list(parser["a"]) == ["text"]


def test_the_second_wins_option_by_option() -> None:
    base = {"a": {"x": 1, "y": 2}}
    assert merged(base, {"a": {"y": 3}, "b": {"z": 4}}) == {"a": {"x": 1, "y": 3}, "b": {"z": 4}}
    assert base == {"a": {"x": 1, "y": 2}}


def test_a_file_with_a_password_is_not_for_everybody(tmp_path: Path) -> None:
    write_ini(tmp_path / "a.conf", {"a": {"b": "c"}}, mode=0o640)
    assert (tmp_path / "a.conf").stat().st_mode & 0o777 == 0o640
