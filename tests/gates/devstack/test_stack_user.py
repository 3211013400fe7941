"""Commands as DevStack's user: the three ways to its rights, and that nothing is left when we stop."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.devstack import stack, trees
from ci_scripts.gates.devstack.stack_user import GUARD, StackUser, as_user, run_guarded
from tests.fakes.left_behind import processes_about
from tests.fakes.waiting import wait_for
from tests.gates.devstack.made_runs import DRIVER, made_context

ME = pwd.getpwuid(os.geteuid()).pw_name
FIXED = {"example/networking-example": "master"}


def context_for(folder: Path, user: str, base: Path | None = None) -> GateContext:
    more = f"gate: {{kind: devstack, devstack: {{user: {user}, base: {base or folder / 'stack'}}}}}\n{DRIVER}"
    return made_context(folder, more, FIXED)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach; pytest's are for us alone."""
    folder = Path(tempfile.mkdtemp(prefix="standin-devstack-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_user_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"create-stack-user\.sh"):
        StackUser.of(context_for(tmp_path, "nobody-of-this-name"))


def test_as_itself_no_help_is_needed(tmp_path: Path) -> None:
    user = StackUser.of(context_for(tmp_path, ME))

    assert user.way == "own"
    assert user.argv(["./stack.sh"])[:2] == ["env", "-i"]
    assert user.placing_argv(["mkdir", "x"]) == ["mkdir", "x"]


def test_others_ask_sudo_and_never_for_a_password(tmp_path: Path) -> None:
    user = replace(StackUser.of(context_for(tmp_path, ME)), name="stack", way="sudo")

    assert user.argv(["./stack.sh"])[:8] == ["sudo", "-n", "-H", "-u", "stack", "--", "env", "-i"]
    if os.geteuid() != 0:
        assert user.root_argv(["journalctl"]) == ["sudo", "-n", "--", "journalctl"]


def test_its_environment_is_that_of_a_login_and_not_the_jobs(tmp_path: Path) -> None:
    context = context_for(tmp_path, ME)
    job = {
        "PATH": "/job/venv/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": "/job/venv",
        "OS_CLOUD": "x",
        "http_proxy": "http://p:1",
    }
    context = replace(context, env={**job, "PIP_INDEX_URL": "https://mirror.example.org/simple"})

    said = as_user(context, StackUser.of(context), ["env"]).output

    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    assert found["HOME"] == pwd.getpwnam(ME).pw_dir and found["USER"] == ME
    assert found["http_proxy"] == "http://p:1" and found["PIP_INDEX_URL"] == "https://mirror.example.org/simple"
    assert "/job" not in said and "OS_CLOUD" not in found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user without sudo")
def test_root_gives_its_rights_up(open_folder: Path, tmp_path: Path) -> None:
    context = context_for(tmp_path, "nobody", open_folder / "stack")
    user = StackUser.of(context)
    log = tmp_path / "who.log"

    done = run_guarded(context, user, ["id", "-un"], Path("/"), timeout=30, log=log)

    assert (user.way, done.exit_code, done.output.strip()) == ("root", 0, "nobody")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_trees_belong_to_devstacks_user_and_nobody_else_writes_to_them(open_folder: Path, tmp_path: Path) -> None:
    base = open_folder / "stack"
    context = context_for(tmp_path, "nobody", base)
    tree = context.checkouts["example/networking-example"]
    (tree / "private").write_text("of a job with a umask of 077\n")
    (tree / "private").chmod(0o600)
    (tree / "open").write_text("for the world\n")
    (tree / "open").chmod(0o777)
    (tree / "away").symlink_to("/etc/passwd")
    before = os.stat("/etc/passwd")

    trees.place_trees(context, StackUser.of(context))
    trees.place_text(context, StackUser.of(context), "secret\n", base / "devstack" / "local.conf", mode="0640")

    placed = base / "networking-example"
    modes = {name: (placed / name).stat().st_mode & 0o777 for name in ("private", "open")}
    assert modes == {"private": 0o644, "open": 0o755}
    assert {(placed / name).lstat().st_uid for name in ("private", "open", "away")} == {pwd.getpwnam("nobody").pw_uid}
    assert (base / "devstack" / "local.conf").stat().st_mode & 0o777 == 0o640
    assert (os.stat("/etc/passwd").st_uid, os.stat("/etc/passwd").st_mode) == (before.st_uid, before.st_mode)
    assert not list((context.workspace.gate_dir / "trees").iterdir())


def test_two_projects_of_one_short_name(tmp_path: Path) -> None:
    more = f"gate: {{kind: devstack, devstack: {{user: {ME}, base: {tmp_path / 'stack'}}}}}\n{DRIVER}"
    context = made_context(tmp_path, more, {"openstack/neutron": "master", "example/neutron": "master"})

    with pytest.raises(ConfigurationError, match=r"would both lie in .*/stack/neutron"):
        trees.place_trees(context, StackUser.of(context))


HANGS = "trap '' TERM; setsid sleep 600 & sleep 600 & touch \"$1\"; wait; sleep 600"


def test_when_the_time_is_up_everything_below_ends(tmp_path: Path) -> None:
    context = context_for(tmp_path, ME)
    words = ["bash", "-c", HANGS, "hangs", str(tmp_path / "began")]

    done = run_guarded(context, StackUser.of(context), words, tmp_path, timeout=3, log=tmp_path / "log")

    assert (done.stopped_because or "").startswith("its time was up after 3 s")
    assert (tmp_path / "began").exists()
    assert not processes_about(tmp_path)


# As sudo with its own terminal (use_pty): the command is in another session, and our signals do not reach it.
SUDO = """#!/usr/bin/env bash
[[ $1 == -n ]] || exit 99
while [[ $1 != -- ]]; do shift; done
exec setsid "${@:2}"
"""


def test_what_sudo_keeps_from_our_signals_ends_all_the_same(tmp_path: Path) -> None:
    context = context_for(tmp_path, ME)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sudo").write_text(SUDO)
    (tmp_path / "bin" / "sudo").chmod(0o755)
    context = replace(context, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
    user = replace(StackUser.of(context), way="sudo")
    words = ["bash", "-c", HANGS, "hangs", str(tmp_path / "began")]

    done = run_guarded(context, user, words, tmp_path, timeout=3, log=tmp_path / "log")

    assert (done.stopped_because or "").startswith("its time was up")
    assert (tmp_path / "began").exists()
    wait_for(lambda: not processes_about(tmp_path), "everything below sudo is gone")


@pytest.mark.parametrize("how", ["closed", "killed", "signal"])
def test_the_guard_ends_all_when_nobody_waits_for_it_any_more(tmp_path: Path, how: str) -> None:
    argv = [sys.executable, "-I", "-c", GUARD.read_text(), "1.0", str(tmp_path)]
    argv += ["bash", "-c", HANGS, "hangs", str(tmp_path / "began")]
    holder = subprocess.Popen(["sleep", "600"], stdout=subprocess.PIPE, start_new_session=True)
    guard = subprocess.Popen(argv, stdin=holder.stdout, start_new_session=True)
    assert holder.stdout is not None
    holder.stdout.close()
    wait_for((tmp_path / "began").exists, "the command began")

    if how == "signal":
        guard.send_signal(signal.SIGTERM)
    else:
        holder.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)

    assert guard.wait(30) == 143
    assert not processes_about(tmp_path)
    holder.kill()
    holder.wait()


@pytest.mark.parametrize(("words", "code"), [(["true"], 0), (["bash", "-c", "exit 7"], 7), (["/no/such"], 127)])
def test_the_guard_passes_the_exit_code_on(tmp_path: Path, words: list[str], code: int) -> None:
    argv = [sys.executable, "-I", "-c", GUARD.read_text(), "1.0", str(tmp_path), *words]

    with subprocess.Popen(argv, stdin=subprocess.PIPE) as guard:
        assert guard.wait(30) == code


def test_services_that_a_command_left_stay(tmp_path: Path) -> None:
    context = context_for(tmp_path, ME)
    leave = 'setsid sleep 600 >/dev/null 2>&1 & echo $! > "$1"'
    words = ["bash", "-c", leave, "leaves", str(tmp_path / "pid")]

    done = run_guarded(context, StackUser.of(context), words, tmp_path, timeout=30, log=tmp_path / "log")

    pid = int((tmp_path / "pid").read_text())
    assert done.exit_code == 0
    os.kill(pid, signal.SIGKILL)


def test_a_stack_sh_that_hangs_is_ended_in_its_time(tmp_path: Path) -> None:
    context = context_for(tmp_path, ME)
    devstack = tmp_path / "stack" / "devstack"
    (devstack / "tools").mkdir(parents=True)
    (devstack / "stack.sh").write_text(
        "#!/usr/bin/env bash\necho '+ ./stack.sh:main:1    :   echo_summary Waiting'\nsleep 600\n"
    )
    (devstack / "stack.sh").chmod(0o755)
    dump = "import sys\nopen(sys.argv[2] + '/worlddump-1.txt', 'w').write('dump')\n"
    (devstack / "tools" / "worlddump.py").write_text(dump)
    section = context.settings.gate.devstack.model_copy(update={"stack_timeout_minutes": 0.05})
    gate = context.settings.gate.model_copy(update={"devstack": section})
    context = replace(context, settings=context.settings.model_copy(update={"gate": gate}))

    with pytest.raises(InfrastructureError) as caught:
        stack.run_stack(context, StackUser.of(context), devstack)

    assert re.match(
        r"stack\.sh was stopped, after 'Waiting': its time was up after 3 s \(gate\.devstack\.", caught.value.what
    )
    assert context.record.outcome == "TIMED_OUT"
    assert (tmp_path / "stack" / "logs" / "worlddump-1.txt").exists()
    assert stack.state(context.workspace) == stack.STACKING
    assert not processes_about(tmp_path)
