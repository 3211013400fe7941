"""A journal that is killed at any point can be read, and goes on."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.journal import SCHEMA, Journal, only_one

HEAD = {"schema": SCHEMA, "kind": "test"}


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a" / "journal.jsonl")
    assert journal.lines() == []
    for line in (HEAD, {"text": "ö\n\x1b"}, {"n": 2}):
        journal.add(line)
    assert journal.lines() == [HEAD, {"text": "ö\n\x1b"}, {"n": 2}]


def test_every_length_of_a_torn_file_can_be_read_and_goes_on(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    journal = Journal(whole)
    lines = [HEAD, {"change": 1}, {"change": 2}]
    for line in lines:
        journal.add(line)
    raw = whole.read_bytes()
    for length in range(len(raw) + 1):
        torn = Journal(tmp_path / "torn")
        torn.path.write_bytes(raw[:length])
        there = torn.lines()
        assert there == lines[: len(there)]
        torn.add(HEAD if not there else {"change": 9})
        assert torn.lines() == [*there, HEAD if not there else {"change": 9}]


def test_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text('{"schema": 99}\n')
    with pytest.raises(InfrastructureError, match="schema 99"):
        Journal(tmp_path / "journal").lines()


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    (tmp_path / "journal").symlink_to(full)
    with pytest.raises(InfrastructureError, match="cannot be written"):
        Journal(tmp_path / "journal").add(HEAD)


def _try(folder: Path) -> None:
    try:
        with only_one(folder, "test"):
            pass
    except ConfigurationError as error:
        raise SystemExit(2) from error


def test_only_one_at_a_time(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    codes = []
    with only_one(tmp_path, "test"):
        other = context.Process(target=_try, args=(tmp_path,))
        other.start()
        other.join(60)
        codes.append(other.exitcode)
    other = context.Process(target=_try, args=(tmp_path,))
    other.start()
    other.join(60)
    assert [*codes, other.exitcode] == [2, 0]
