"""Where commands exit: exceptions to codes, --help without the domain's modules."""

from __future__ import annotations

import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest

from ci_scripts import aborts, entry_point
from ci_scripts.errors import InfrastructureError, Interrupted, NothingToTest, TestsFailed
from tests.fakes.fake_openstack import installed

COMMANDS = sorted(
    point.name for point in entry_points(group="console_scripts") if point.value.startswith("ci_scripts.entry_point:")
)
DOMAIN = {"pydantic", "git", "subunit", "testtools", "jinja2", "requests", "rich", "yaml", "urllib3"}


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[], Any]], int]]:
    """The exit code of a command with this callback."""
    monkeypatch.setattr(aborts, "install", lambda: None)

    def call(callback: Callable[[], Any], *arguments: str) -> int:
        module = types.ModuleType("a_stage_of_the_tests")
        module.command = click.command()(callback)  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return entry_point.call(module.__name__, "ci-x", list(arguments))

    yield call


def raising(error: BaseException) -> Callable[[], None]:
    def callback() -> None:
        raise error

    return callback


@pytest.mark.parametrize(
    ("callback", "code"),
    [
        (lambda: None, 0),
        (lambda: 4, 4),
        (raising(TestsFailed("x")), 1),
        (raising(click.UsageError("x")), 2),
        (raising(InfrastructureError("x")), 3),
        (raising(NothingToTest("x")), 4),
        (raising(Interrupted("x")), 130),
        (raising(BrokenPipeError(32, "Broken pipe")), 3),
        (raising(KeyError("x")), 70),
        (raising(click.Abort()), 70),
    ],
)
def test_exit_codes(
    call: Callable[..., int], callback: Callable[[], Any], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("os.dup2", lambda *handles: None)
    assert call(callback) == code


def test_an_unknown_option_is_a_bad_option(call: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert call(lambda: None, "--no-such-option") == 2
    assert "No such option" in capsys.readouterr().err


def test_an_abort_wins_over_what_it_caused_and_over_who_swallowed_it(
    call: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(aborts, "under_way", lambda: Interrupted("stopped by SIGINT."))
    assert call(raising(InfrastructureError("git ended with -2"))) == 130
    assert call(lambda: None) == 130
    assert call(lambda: 3) == 130
    assert capsys.readouterr().err == "ci-x: stopped by SIGINT.\n" * 2


def test_a_bug_tells_where_its_traceback_is(
    call: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ci_scripts.stage_log._current", None)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert call(raising(ValueError("odd"))) == 70
    (log,) = tmp_path.iterdir()
    assert capsys.readouterr().err == (
        f"ci-x: a bug in this command: ValueError: odd. Log: {log}. Next: report it with that log.\n"
    )
    assert "Traceback" in log.read_text()


def test_every_stage_has_a_command() -> None:
    stages = Path(entry_point.__file__).parent / "stages"
    with_a_command = {path.stem for path in stages.glob("*.py") if "\ndef command(" in path.read_text()}
    assert {f"ci-{name.replace('_', '-')}" for name in with_a_command} | {"ci-operate"} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_loads_no_module_of_the_domain(name: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-X", "importtime", installed(name), "--help"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Usage: " in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "click" in loaded
    assert loaded & DOMAIN == set()
