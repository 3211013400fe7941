"""Running commands: output, time-outs, secrets, groups, what is stopped and what is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.run_command import (
    TAIL_BYTES,
    CommandFailed,
    CommandStopped,
    CommandTimedOut,
    Completed,
    last_lines,
    run,
    start,
)
from tests.fakes.left_behind import processes_about
from tests.fakes.waiting import wait_for

ENV = {"PATH": os.environ.get("PATH", os.defpath)}


def sh(script: str, folder: Path, **more: object) -> Completed:
    return run(["sh", "-c", script], cwd=folder, env=ENV, **{"timeout": 30.0, **more})  # type: ignore[arg-type]


def test_both_streams_are_kept_in_the_log_and_returned(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "a.log"
    done = sh("echo out; echo err >&2", tmp_path, log=log)
    assert (done.exit_code, done.output, done.stopped_because) == (0, "out\nerr\n", None)
    sh("echo again", tmp_path, log=log)
    assert log.read_text() == "out\nerr\nagain\n"


def test_only_the_given_environment_is_seen(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", "import os; print(sorted(os.environ))"], cwd=tmp_path, env={"A": "1"}, timeout=30)
    assert "HOME" not in done.output
    assert "'A'" in done.output


def test_a_failure_names_the_command_and_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"'sh -c .*' ended with exit code 7. one \| two") as caught:
        sh("echo one; echo; echo two; exit 7", tmp_path, log=tmp_path / "a.log")
    assert caught.value.log == tmp_path / "a.log"
    assert caught.value.completed.exit_code == 7
    assert sh("exit 7", tmp_path, check=False).exit_code == 7


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no-such-program: No such file or directory"):
        run(["no-such-program"], cwd=tmp_path, env=ENV, timeout=5)
    assert run(["no-such-program"], cwd=tmp_path, env=ENV, timeout=5, check=False).exit_code == 127


def test_a_time_out_ends_the_whole_group(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CommandTimedOut, match=r"its time was up after 0.3 s. begun"):
        sh(f"cd {tmp_path}; echo begun; sleep 600 & sleep 600", tmp_path, timeout=0.3)
    assert time.monotonic() - began < 5
    assert processes_about(tmp_path) == {}


def test_who_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    done = sh("trap '' TERM; echo ready; while :; do sleep 0.05; done", tmp_path, timeout=0.3, grace=0.2, check=False)
    assert done.exit_code == -signal.SIGKILL
    assert processes_about(tmp_path) == {}


def test_what_the_end_of_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    done = sh(f"cd {tmp_path}; sleep 600 >/dev/null 2>&1 & echo done", tmp_path)
    assert done.output == "done\n"
    assert processes_about(tmp_path) == {}


def test_a_reason_from_outside_stops_it(tmp_path: Path) -> None:
    with pytest.raises(CommandStopped, match="was stopped: the gate broke") as caught:
        sh("echo begun; sleep 600", tmp_path, watch=lambda: "the gate broke")
    assert caught.value.completed.stopped_because == "the gate broke"


def test_lines_are_handed_on_as_they_come(tmp_path: Path) -> None:
    lines: list[str] = []
    sh("printf 'a\\nb\\nc'", tmp_path, on_line=lines.append)
    assert lines == ["a", "b", "c"]


@pytest.mark.parametrize("before", [0, 16380, 16384, 65530])
def test_secrets_are_masked_wherever_they_stand(tmp_path: Path, before: int) -> None:
    secret, log, lines = "s3cr3t-value", tmp_path / "a.log", []
    script = f"import sys; sys.stdout.write('x' * {before} + '{secret}' + 'y' * 20000 + '{secret}')"
    argv = [sys.executable, "-c", script]
    done = run(argv, cwd=tmp_path, env=ENV, timeout=30, log=log, secrets=[secret, ""], on_line=lines.append)
    for text in (done.output, log.read_text(), "".join(lines)):
        assert secret not in text
        assert text.count("********") == 2
    assert len(log.read_text()) == before + 20000 + 16


def test_only_the_end_of_long_output_is_returned(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", "for n in range(30000): print(n)"]
    done = run(argv, cwd=tmp_path, env=ENV, timeout=30, log=tmp_path / "a.log")
    assert len(done.output) <= TAIL_BYTES
    assert done.output.endswith("29998\n29999\n")
    assert len((tmp_path / "a.log").read_text().splitlines()) == 30000


def test_input_is_given(tmp_path: Path) -> None:
    assert sh("cat", tmp_path, input_text="hello").output == "hello"
    assert sh("cat", tmp_path).output == ""
    assert sh("exit 0", tmp_path, input_text="x" * 200_000).exit_code == 0


def test_last_lines() -> None:
    assert last_lines("a\n\n b \nc\n", 2) == "b | c"
    assert last_lines("", 2) == ""


def test_a_command_beside_us(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    running = start(["sh", "-c", "echo ready; sleep 600"], cwd=tmp_path, env=ENV, log=log)
    wait_for(lambda: log.read_text() == "ready\n", "first word")
    assert running.exit_code() is None
    assert os.getpgid(running.pid) == running.pid
    assert running.stop(1.0) == -signal.SIGTERM
    assert running.stop() == -signal.SIGTERM
    assert processes_about(tmp_path) == {}


def test_a_command_beside_us_that_takes_too_long(tmp_path: Path) -> None:
    running = start(["sleep", "600"], cwd=tmp_path, env=ENV, log=tmp_path / "a.log", session=True)
    assert os.getsid(running.pid) == running.pid
    assert running.wait(0.1) == -signal.SIGTERM


def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    running = start(["sleep", "600"], cwd=tmp_path, env=ENV, log=tmp_path / "a.log")
    os.kill(running.pid, signal.SIGSTOP)
    assert running.stop(5.0) == -signal.SIGTERM


def test_a_command_beside_us_ends_with_us(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ci_scripts.run_command import start\n"
        "start(['sleep', '600'], cwd=Path(sys.argv[1]), env={'PATH': sys.argv[2]}, log=Path(sys.argv[1], 'a'))\n"
        "print('started', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(tmp_path), ENV["PATH"]]
    owner = start(argv, cwd=Path.cwd(), env=ENV, log=tmp_path / "owner.log")
    # Standard input is /dev/null, so it ends at once.
    assert owner.wait(20.0) == 0
    wait_for(lambda: not processes_about(tmp_path), "end of the child")


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="'no-such-program' could not be started"):
        start(["no-such-program"], cwd=tmp_path, env=ENV, log=tmp_path / "a.log")
