"""The sentence that says why stack.sh failed, from traces in the form that DevStack writes them."""

from __future__ import annotations

import pytest

from ci_scripts.gates.devstack.first_cause import first_cause, summary_of


def trace(*lines: str) -> str:
    """With the times that outfilter.py puts before each line."""
    return "".join(f"2026-01-31 12:00:0{n % 10}.123 | {line}\n" for n, line in enumerate(lines))


def at(place: str, command: str) -> str:
    return f"+ {place:<40} :   {command}"


END = (
    at("./stack.sh:exit_trap:1", "local r=1"),
    "Error on exit",
    "df: error: nothing of this matters",
    "[ERROR] nor this: it is worlddump's",
)
START = (at("./stack.sh:main:819", "echo_summary 'Installing OpenStack project source'"),)


def test_what_die_says_is_the_cause() -> None:
    said = first_cause(
        trace(
            *START,
            at("functions-common:git_timed:709", "die 709 'git call failed'"),
            "[Call Trace]",
            "./stack.sh:956:stack_install_service",
            "[ERROR] /opt/stack/devstack/lib/keystone:510 Keystone did not start",
            *END,
        )
    )

    assert said.what == "Keystone did not start"
    assert said.where == "lib/keystone:510"
    assert said.phase == "Installing OpenStack project source"
    assert str(said) == "Keystone did not start in lib/keystone:510, after 'Installing OpenStack project source'"


def test_error_log_has_what_the_trace_lost() -> None:
    said = first_cause("", "[ERROR] /opt/stack/devstack/stack.sh:12 Could not determine host ip address.\n")

    assert str(said) == "Could not determine host ip address. in stack.sh:12"


def test_of_a_failed_git_call_gits_own_words_are_told() -> None:
    said = first_cause(
        trace(
            *START,
            at(
                "functions-common:git_timed:705", "timeout -s SIGINT 0 git clone https://git.example.org/x /opt/stack/x"
            ),
            "Cloning into '/opt/stack/x'...",
            "fatal: unable to access 'https://git.example.org/x/': Could not resolve host: git.example.org",
            at("functions-common:git_timed:709", "die 709 'git call failed: [git clone https://git.example.org/x]'"),
            "[Call Trace]",
            "[ERROR] /opt/stack/devstack/functions-common:709 git call failed: [git clone https://git.example.org/x]",
            *END,
        )
    )

    assert said.what.startswith("fatal: unable to access 'https://git.example.org/x/': Could not resolve host")
    assert "git call failed" in said.what


def test_pips_error_is_told_not_its_last_line() -> None:
    said = first_cause(
        trace(
            *START,
            at("inc/python:pip_install:200", "sudo /opt/stack/data/venv/bin/pip install -e /opt/stack/neutron"),
            "Collecting oslo.thing>=1 (from neutron==29.0.0)",
            "ERROR: Could not find a version that satisfies the requirement oslo.thing>=1 (from versions: none)",
            "ERROR: No matching distribution found for oslo.thing>=1",
            at("inc/python:pip_install:1", "exit_trap"),
            *END,
        )
    )

    assert said.what.startswith("ERROR: Could not find a version that satisfies the requirement oslo.thing>=1")


def test_the_exception_of_the_last_traceback_is_told() -> None:
    said = first_cause(
        trace(
            *START,
            at("lib/neutron:init_neutron:580", "/opt/stack/data/venv/bin/neutron-db-manage upgrade head"),
            "INFO  [alembic.runtime.migration] Context impl MySQLImpl.",
            "Traceback (most recent call last):",
            '  File "/opt/stack/neutron/neutron/db/migration/cli.py", line 1, in main',
            "    raise thing",
            "sqlalchemy.exc.OperationalError: (1054, \"Unknown column 'x'\")",
            "[SQL: SELECT x]",
            *END,
        )
    )

    assert said.what.startswith("sqlalchemy.exc.OperationalError: (1054")
    assert said.where == "lib/neutron:init_neutron:580"


def test_of_functions_beside_each_other_the_failed_one_counts() -> None:
    said = first_cause(
        trace(
            at("./stack.sh:main:1134", "echo_summary 'Configuring Neutron'"),
            "[100 Async init_neutron:200]: FAILED with rc 1",
            at("inc/async:async_wait:181", "cat /opt/stack/async/init_neutron.log"),
            "Traceback (most recent call last):",
            '  File "x.py", line 1, in <module>',
            "RuntimeError: no table networks",
            "[100 Async init_neutron:200]: finished init_neutron with result 1 in 3 seconds",
            "=== Wait failure dump from 100 ===",
            "UnrelatedError: of a process in the dump",
            *END,
        )
    )

    assert said.what == "RuntimeError: no table networks"
    assert said.where == "init_neutron"


@pytest.mark.parametrize(
    "line",
    [
        "E: Unable to locate package libthing-dev",
        "/opt/stack/devstack/lib/x: line 3: ovs-vsctl: command not found",
        "tee: /opt/stack/x: No space left on device",
        "error: subprocess-exited-with-error",
    ],
)
def test_words_of_other_programs_are_known(line: str) -> None:
    assert first_cause(trace(*START, at("lib/x:y:1", "z"), "noise", line, *END)).what == line


def test_without_any_words_the_command_is_named() -> None:
    said = first_cause(trace(*START, at("lib/x:configure:7", "test -d /nowhere"), *END))

    assert str(said) == "'test -d /nowhere' failed in lib/x:configure:7, after 'Installing OpenStack project source'"


def test_an_empty_trace_and_bytes_that_are_no_text() -> None:
    assert str(first_cause("")) == "its log names no cause"
    assert first_cause("\udcff\x00" * 100).what == "its log names no cause"


def test_an_endless_line_is_cut() -> None:
    assert len(first_cause(trace("fatal: " + "x" * 10_000, *END)).what) <= 400


def test_what_devstack_tells_its_user() -> None:
    assert summary_of(trace(*START).rstrip()) == "Installing OpenStack project source"
    assert summary_of("echo_summary 'of a plug-in, not traced'") is None
