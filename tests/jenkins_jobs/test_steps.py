"""The steps of the freestyle jobs with stand-ins for the commands: what is called and what is left out after a failure.

The Hudson run calls the real ones.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.jenkins_jobs.rendering import Job

SECONDS = 60
COMMANDS = (
    "ci-prepare-gate",
    "ci-run-gate",
    "ci-stop-gate",
    "ci-summarize-results",
    "ci-publish-logs",
    "ci-report-to-gerrit",
    "ci-operate",
)
# Notes its call, leaves what the real one leaves, and ends with the code that the test has written for it.
STAND_IN = """\
#!/bin/bash
name=$(basename "$0")
echo "$name" >> "$NOTES"
case "$name" in
    ci-prepare-gate) echo '{}' > run.json ;;
    ci-summarize-results)
        echo 'Verdict: SUCCESS in 29.1 s, blame: nobody, rule passed: All selected tests passed.'
        if [[ "$*" == *--from* ]]; then mkdir -p run; echo '{}' > run/verdict.json; fi
        ;;
esac
exit "$(cat "$CODES/$name" 2>/dev/null || echo 0)"
"""


class Build:
    """One build: the job's steps in a workspace, one after the other, as long as none fails."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workspace = folder, folder / "workspace"
        self.notes, self.codes, self.bin = folder / "notes", folder / "codes", folder / "bin"
        for made in (self.workspace, self.codes, self.bin, folder / "home"):
            made.mkdir(parents=True)
        for name in COMMANDS:
            (self.bin / name).write_text(STAND_IN)
            (self.bin / name).chmod(0o755)

    def ends_with(self, name: str, code: int) -> None:
        (self.codes / name).write_text(str(code))

    def run(self, job: Job, parameters: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
        """The last step's exit code, and the commands that were called."""
        self.notes.write_text("")
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder / "home"), "BUILD_TAG": "a-build"}
        env |= {"WORKSPACE": str(self.workspace), "NOTES": str(self.notes), "CODES": str(self.codes)}
        code = 0
        for step in job.steps:
            # As Jenkins: a step that fails is the last, and one that is UNSTABLE is not.
            done = subprocess.run(
                ["bash", "-c", step],
                cwd=self.workspace,
                env={**env, **(parameters or {})},
                timeout=SECONDS,
                check=False,
            )
            code = done.returncode
            if code not in (0, 3):
                break
        return code, self.notes.read_text().split()


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path / "build")


CHANGE = {"GERRIT_CHANGE_NUMBER": "7", "TEST_BUILD": "12"}


@pytest.mark.parametrize("code", [2, 3, 4, 70, 143])
def test_after_a_failed_prepare_gate_nothing_runs_and_the_verdict_is_made(
    build: Build, freestyle: dict[str, Job], code: int
) -> None:
    build.ends_with("ci-prepare-gate", code)
    build.ends_with("ci-summarize-results", 4)
    assert build.run(freestyle["example-local"]) == (3, ["ci-prepare-gate", "ci-summarize-results"])


@pytest.mark.parametrize("code", [0, 1, 3, 143])
def test_the_gates_own_code_is_not_the_result(build: Build, freestyle: dict[str, Job], code: int) -> None:
    build.ends_with("ci-run-gate", code)
    called = ["ci-prepare-gate", "ci-run-gate", "ci-summarize-results"]
    assert build.run(freestyle["example-local"]) == (0, called)
    build.ends_with("ci-summarize-results", 1)
    assert build.run(freestyle["example-local"]) == (1, ["ci-stop-gate", *called])


def test_what_an_earlier_build_left_is_gone_before_the_first_stage(build: Build, freestyle: dict[str, Job]) -> None:
    for name in ("verdict.json", "ci-result/exit-code", "logs/old.log", ".hidden"):
        (build.workspace / name).parent.mkdir(exist_ok=True)
        (build.workspace / name).write_text("0")
    build.ends_with("ci-summarize-results", 1)
    assert build.run(freestyle["example-local"])[0] == 1
    assert sorted(path.name for path in build.workspace.iterdir()) == ["ci-result", "run.json"]


def test_a_node_for_one_build_is_refused_by_the_second(build: Build, freestyle: dict[str, Job]) -> None:
    job = freestyle["example-devstack"]
    assert build.run(job) == (0, ["ci-prepare-gate", "ci-run-gate", "ci-summarize-results"])
    assert build.run(job) == (3, ["ci-stop-gate"])
    # The local gate may stay on its node.
    assert build.run(freestyle["example-local"])[0] == 0


def test_the_trusted_job_decides_publishes_and_reports(build: Build, freestyle: dict[str, Job]) -> None:
    called = ["ci-summarize-results", "ci-publish-logs", "ci-report-to-gerrit"]
    assert build.run(freestyle["example-local-report"], CHANGE) == (0, called)
    build.ends_with("ci-summarize-results", 1)
    assert build.run(freestyle["example-local-report"], CHANGE) == (1, called)


def test_what_is_not_published_is_not_reported_and_the_build_says_so(build: Build, freestyle: dict[str, Job]) -> None:
    build.ends_with("ci-publish-logs", 5)
    assert build.run(freestyle["example-local-report"], CHANGE) == (3, ["ci-summarize-results", "ci-publish-logs"])
    assert (build.workspace / "ci-result" / "exit-code").read_text() == "5\n"


@pytest.mark.parametrize(("code", "result"), [(0, 1), (4, 1), (2, 3), (5, 3), (70, 3)])
def test_a_failed_report_makes_the_trusted_job_unstable_a_closed_change_does_not(
    build: Build, freestyle: dict[str, Job], code: int, result: int
) -> None:
    build.ends_with("ci-summarize-results", 1)
    build.ends_with("ci-report-to-gerrit", code)
    assert build.run(freestyle["example-local-report"], CHANGE)[0] == result


def test_a_control_run_is_recorded_and_nobody_is_told(build: Build, freestyle: dict[str, Job]) -> None:
    job = freestyle["example-local-control-2026.1-report"]
    assert build.run(job, {"TEST_BUILD": "12"}) == (0, ["ci-summarize-results"])


@pytest.mark.parametrize("number", ["", "lastSuccessfulBuild", "12/../../other", "1 2"])
def test_a_build_that_is_no_number_is_refused(build: Build, freestyle: dict[str, Job], number: str) -> None:
    assert build.run(freestyle["example-local-report"], {**CHANGE, "TEST_BUILD": number}) == (3, [])


@pytest.mark.parametrize(("missed", "pruned", "code"), [(0, 0, 0), (3, 0, 3), (0, 5, 5), (2, 5, 2)])
def test_maintenance_does_both_and_keeps_the_first_failure(
    build: Build, freestyle: dict[str, Job], missed: int, pruned: int, code: int
) -> None:
    build.ends_with("ci-operate", missed)
    build.ends_with("ci-publish-logs", pruned)
    ended, called = build.run(freestyle["example-maintenance"])
    assert called == ["ci-operate", "ci-publish-logs"] and ended == (3 if code else 0)
    assert (build.workspace / "ci-result" / "exit-code").read_text() == f"{code}\n"
