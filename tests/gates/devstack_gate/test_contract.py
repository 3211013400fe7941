"""What the gate relies on in devstack-gate's scripts, asked of the stand-in and of the real ones.

DEVSTACK_GATE_CHECKOUT names a checkout of the real devstack-gate; without it the real ones are skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from ci_scripts.gates.devstack_gate.phases import BEGINS, FAILED, NO_TIME, Phases
from ci_scripts.gates.devstack_gate.repositories import variable_part
from tests.fakes.standin_devstack_gate.site import HERE, SCRIPTS
from tests.repositories import ENVIRONMENT, Remote, git

CHECKOUT = os.environ.get("DEVSTACK_GATE_CHECKOUT")
REAL = pytest.param(
    Path(CHECKOUT or "/nonexistent"),
    marks=pytest.mark.skipif(not CHECKOUT, reason="DEVSTACK_GATE_CHECKOUT names no checkout of devstack-gate"),
    id="real",
)
both = pytest.mark.parametrize("scripts", [pytest.param(HERE, id="stand-in"), REAL])
VARIABLES = (
    *("WORKSPACE", "BASE", "PROJECTS", "ZUUL_URL", "ZUUL_REF", "ZUUL_BRANCH", "BUILD_TIMEOUT"),
    *("DEVSTACK_GATE_TIMEOUT_BUFFER", "DEVSTACK_GATE_TEMPEST", "DEVSTACK_GATE_TEMPEST_NOTESTS"),
    *("DEVSTACK_GATE_PROJECTS_OVERRIDE", "DEVSTACK_LOCAL_CONFIG", "DEVSTACK_LOCALCONF"),
)
ONLY_REAL = ("DEVSTACK_GATE_NEUTRON", "DEVSTACK_GATE_TEMPEST_REGEX", "USER")


def text_of(scripts: Path) -> str:
    return "\n".join((scripts / name).read_text() for name in SCRIPTS)


@both
def test_the_variables_are_read(scripts: Path) -> None:
    text = text_of(scripts)
    for name in (*VARIABLES, *(ONLY_REAL if scripts != HERE else ())):
        assert re.search(rf"\$\{{?{name}\b", text), name
    assert len(re.findall(r"^export BASE=\S*$", (scripts / SCRIPTS[0]).read_text(), re.MULTILINE)) == 1


@both
def test_the_messages_are_said(scripts: Path) -> None:
    text = text_of(scripts)
    for words in (*(set(BEGINS) - {"Running pre_test_hook", "Running post_test_hook"}), *FAILED, NO_TIME):
        assert f'echo "{words}' in text, words
    assert 'echo "Job timeout set to: $REMAINING_TIME minutes"' in text
    assert re.search(r'echo "Running \$\w+"', text)
    for log in ("setup-host", "setup-workspace-new", "cleanup-host"):
        assert f"devstack-gate-{log}.txt" in text


def run_bash(scripts: Path, folder: Path, words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Words in a bash that has read functions.sh, in a WORKSPACE of its own, with nobody's sudo."""
    workspace, base = folder / "workspace", folder / "base"
    for place in (workspace, base / "logs", folder / "bin"):
        place.mkdir(parents=True, exist_ok=True)
    if not (workspace / "devstack-gate").exists():
        (workspace / "devstack-gate").symlink_to(scripts)
        (folder / "bin" / "sudo").write_text('#!/bin/bash\nexec "$@"\n')
        (folder / "bin" / "sudo").chmod(0o755)
    env = {**ENVIRONMENT, "PATH": f"{folder / 'bin'}:{ENVIRONMENT['PATH']}", "WORKSPACE": str(workspace)}
    env |= {"BASE": str(base), "LC_ALL": "C.UTF-8", "HOME": str(folder), **variables}
    argv = ["bash", "-c", f'source "$WORKSPACE/devstack-gate/functions.sh"\n{words}']
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


LIMITS = "START_TIME=$(date +%s); DEVSTACK_GATE_TIMEOUT={}\n"


@both
def test_a_hook_runs_below_its_limit_and_gives_its_code(scripts: Path, tmp_path: Path) -> None:
    words = LIMITS.format(65) + 'pre_test_hook() { echo "$REMAINING_TIME left"; return 9; }\nexport -f pre_test_hook\n'
    done = run_bash(scripts, tmp_path, f"{words}with_timeout call_hook_if_defined pre_test_hook\nexit $?")
    assert done.returncode == 9, done.stderr
    phases = Phases()
    for line in done.stdout.splitlines():
        phases.read(line)
    assert (phases.now, phases.limit) == ("pre_test_hook", 60)
    kept = (tmp_path / "base" / "logs" / "devstack-gate-pre_test_hook.txt").read_text()
    assert "60 left" in kept


@both
def test_a_hook_that_is_not_defined_is_passed_over(scripts: Path, tmp_path: Path) -> None:
    done = run_bash(scripts, tmp_path, LIMITS.format(65) + "with_timeout call_hook_if_defined post_test_hook\nexit $?")
    assert done.returncode == 0
    assert "Running" not in done.stdout


@both
def test_without_time_the_whole_wrapper_ends(scripts: Path, tmp_path: Path) -> None:
    done = run_bash(scripts, tmp_path, LIMITS.format(5) + "with_timeout true\necho survived")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["Job timeout set to: 0 minutes", NO_TIME]


@both
@pytest.mark.parametrize("project", ["x/driver", "x/networking-l2gw", "x/a1b2"])
def test_a_project_is_set_up_from_its_own_server_with_the_merged_ref(
    scripts: Path, tmp_path: Path, project: str
) -> None:
    """And without a word from the branch where the ref cannot be fetched, which is why the gate looks itself."""
    server, zuul = tmp_path / "server", tmp_path / "zuul"
    remote = Remote(server / project)
    remote.branch("stable/1")
    change = remote.change(1, 1, {"change.txt": "x\n"})
    bare = zuul / project
    git(tmp_path, "clone", "--quiet", "--bare", str(remote.folder), str(bare))
    git(bare, "fetch", "--quiet", str(remote.folder), "refs/changes/01/1/1:refs/zuul/stable/1/Z1")
    part = variable_part(project)
    variables = {
        f"OVERRIDE_{part}_GIT_BASE": server.as_uri(),
        f"OVERRIDE_{part}_PROJECT_BRANCH": "stable/1",
        "ZUUL_BRANCH": "master",
        "ZUUL_REF": "refs/zuul/master/Z1",
    }
    words = f"mkdir -p trees; cd trees; setup_project {project} master"
    done = run_bash(scripts, tmp_path, words, ZUUL_URL=zuul.as_uri(), **variables)
    assert done.returncode == 0, done.stderr
    tree = tmp_path / "trees" / project.rpartition("/")[2]
    assert git(tree, "rev-parse", "HEAD") == change

    done = run_bash(scripts, tmp_path, words, ZUUL_URL=(tmp_path / "gone").as_uri(), **variables)
    assert done.returncode == 0
    assert git(tree, "rev-parse", "HEAD") == remote.tip("stable/1")
