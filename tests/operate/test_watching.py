"""Tables and progress: with rich where a person watches, else in plain lines; nothing of them is loaded for --help."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_scripts.operate.watching import LINE_EVERY, Bar, show_table
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.operator_site import OperatorSite, bad_day, withdrawals


@pytest.fixture
def gerrit() -> Iterator[FakeGerrit]:
    with FakeGerrit() as server:
        yield server


def test_at_a_terminal(tmp_path: Path, gerrit: FakeGerrit) -> None:
    site = OperatorSite(tmp_path / "site", gerrit)
    numbers = bad_day(gerrit, 3)
    words = site.argv("retract-votes", "--since", "1 hour ago", "--why", "the lab was offline", "--yes")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(words, cwd=site.root, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    output = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        output += chunk
    os.close(ours)
    assert process.wait(60) == 0, output
    assert b"taking back" in output and b"3 withdrawn" in output and b"\x1b[" in output
    assert [len(withdrawals(gerrit, number)) for number in numbers] == [1, 1, 1]


def test_in_a_log_there_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar(2 * LINE_EVERY + 1, "asking") as bar:
        for place in range(2 * LINE_EVERY + 1):
            bar.one_more("a note\x1b[2J\n" if place == 3 else "")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [r"a note\x1b[2J\n", "asking: 25 of 51", "asking: 50 of 51", "asking: 51 of 51"]


def test_a_table_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("change", "why"), [("1,1", "x\n\x1b[31m"), ("1234,1", "y")])
    assert capsys.readouterr().out.splitlines() == ["change  why", r"1,1     x\n\x1b[31m", "1234,1  y"]


@pytest.mark.parametrize("verb", ["retract_votes", "retrigger", "missed"])
def test_help_loads_no_domain_module(verb: str) -> None:
    code = (
        f"import sys, ci_scripts.operate.{verb} as verb\n"
        "slow = ('pydantic', 'requests', 'rich', 'yaml', 'jenkins', 'ci_scripts.gerrit', 'ci_scripts.settings')\n"
        "assert not [name for name in sys.modules if name.startswith(slow)]\n"
        "verb.command.main(['--help'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "Exit code 0" in done.stdout and "Example:" in done.stdout, done.stderr
