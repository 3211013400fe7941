"""The Pipeline scripts run by a real Groovy, with stand-ins for Jenkins' steps and for our commands.

GROOVY_JAR names the jar of Groovy, 3.0.9 or newer (3.0.9 is inside the npm package npm-groovy-lint 14). Jenkins runs
the scripts by an interpreter of its own, in a sandbox: that is not shown here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.jenkins_jobs.rendering import Job
from tests.jenkins_jobs.test_results import RESULTS
from tests.jenkins_jobs.test_steps import Build

HARNESS = Path(__file__).parent / "run_pipeline.groovy"
SECONDS = 180
ABORTED, LOST = 98, 97
CHANGE = {"GERRIT_CHANGE_NUMBER": "7", "GERRIT_PROJECT": "p"}
TEST, REPORT, CONTROL = "example-local", "example-local-report", "example-local-control-2026.1"


@dataclass
class Ended:
    result: str
    description: str
    output: str
    called: list[str]
    steps: list[str] = field(default_factory=list)


@pytest.fixture
def groovy() -> Path:
    named = os.environ.get("GROOVY_JAR", "")
    if not named:
        pytest.skip("GROOVY_JAR names no jar of Groovy")
    if shutil.which("java") is None:
        pytest.skip("there is no java program for GROOVY_JAR")
    return Path(named)


class Pipeline(Build):
    """One build of a Pipeline job."""

    def __init__(self, folder: Path, jar: Path) -> None:
        super().__init__(folder)
        self._jar = jar

    def play(self, job: Job, parameters: dict[str, str]) -> Ended:
        self.notes.write_text("")
        script = self.folder / "script.groovy"
        script.write_text(job.groovy)
        env = {"PATH": f"{self.bin}:{os.environ['PATH']}", "HOME": str(self.folder / "home"), "BUILD_TAG": "a-build"}
        env |= {"NOTES": str(self.notes), "CODES": str(self.codes)}
        argv = ["java", "-XX:TieredStopAtLevel=1", "-cp", str(self._jar), "groovy.ui.GroovyMain", str(HARNESS)]
        argv += [str(script), str(self.workspace), *(f"{name}={value}" for name, value in parameters.items())]
        done = subprocess.run(
            argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False
        )
        lines = done.stdout.splitlines()
        told = dict(line.partition(" ")[::2] for line in lines if line.startswith(("RESULT ", "DESCRIPTION ")))
        assert "RESULT" in told, done.stdout
        steps = [line.removeprefix("STEP ").strip() for line in lines if line.startswith("STEP ")]
        return Ended(told["RESULT"], told["DESCRIPTION"], done.stdout, self.notes.read_text().split(), steps)


@pytest.fixture
def play(tmp_path: Path, groovy: Path) -> Pipeline:
    return Pipeline(tmp_path / "build", groovy)


def test_a_test_job_calls_the_stages_archives_and_starts_the_trusted_job(
    play: Pipeline, pipeline: dict[str, Job]
) -> None:
    ended = play.play(pipeline[TEST], CHANGE)
    assert ended.result == "SUCCESS", ended.output
    assert ended.called == ["ci-prepare-gate", "ci-run-gate", "ci-summarize-results"]
    assert ended.steps[0].startswith("lock") and ended.steps[-1] == (
        f"build {REPORT} wait=false GERRIT_CHANGE_NUMBER=7 GERRIT_PROJECT=p TEST_BUILD=12"
    )
    assert any(step.startswith("archiveArtifacts run.json,") for step in ended.steps)


@pytest.mark.parametrize("code", [*RESULTS, 99])
def test_the_result_is_that_of_the_code(play: Pipeline, pipeline: dict[str, Job], code: int) -> None:
    play.ends_with("ci-run-gate", 3)
    play.ends_with("ci-summarize-results", code)
    assert play.play(pipeline[TEST], CHANGE).result == RESULTS.get(code, "UNSTABLE")


@pytest.mark.parametrize(("code", "result"), [(ABORTED, "ABORTED"), (LOST, "UNSTABLE")])
def test_an_abort_and_a_lost_node_are_archived_and_judged_and_blame_nobody(
    play: Pipeline, pipeline: dict[str, Job], code: int, result: str
) -> None:
    play.ends_with("ci-run-gate", code)
    ended = play.play(pipeline[TEST], CHANGE)
    assert ended.result == result, ended.output
    assert ended.called == ["ci-prepare-gate", "ci-run-gate"]
    assert [step.split()[0] for step in ended.steps[-3:]] == ["archiveArtifacts", "junit", "build"]


def test_after_a_failed_prepare_gate_the_gate_is_left_out(play: Pipeline, pipeline: dict[str, Job]) -> None:
    play.ends_with("ci-prepare-gate", 4)
    play.ends_with("ci-summarize-results", 4)
    ended = play.play(pipeline["example-unit-tests"], CHANGE)
    assert (ended.result, ended.called) == ("NOT_BUILT", ["ci-prepare-gate", "ci-summarize-results"])


def test_a_node_for_one_build_refuses_the_second(play: Pipeline, pipeline: dict[str, Job]) -> None:
    assert play.play(pipeline["example-devstack"], CHANGE).result == "SUCCESS"
    again = play.play(pipeline["example-devstack"], CHANGE)
    assert (again.result, again.called) == ("UNSTABLE", ["ci-stop-gate"])


def test_the_trusted_job_decides_publishes_reports_and_describes(play: Pipeline, pipeline: dict[str, Job]) -> None:
    play.ends_with("ci-summarize-results", 1)
    ended = play.play(pipeline[REPORT], {**CHANGE, "TEST_BUILD": "12"})
    assert ended.result == "FAILURE", ended.output
    assert ended.called == ["ci-summarize-results", "ci-publish-logs", "ci-report-to-gerrit"]
    assert f"copyArtifacts {TEST} 12" in ended.steps
    assert ended.description == "SUCCESS, blame: nobody"


@pytest.mark.parametrize(
    ("name", "code", "result", "called"),
    [
        ("ci-publish-logs", 5, "UNSTABLE", ["ci-summarize-results", "ci-publish-logs"]),
        ("ci-report-to-gerrit", 5, "UNSTABLE", ["ci-summarize-results", "ci-publish-logs", "ci-report-to-gerrit"]),
        ("ci-report-to-gerrit", 4, "SUCCESS", ["ci-summarize-results", "ci-publish-logs", "ci-report-to-gerrit"]),
    ],
)
def test_what_was_not_told_is_seen(
    play: Pipeline, pipeline: dict[str, Job], name: str, code: int, result: str, called: list[str]
) -> None:
    play.ends_with(name, code)
    ended = play.play(pipeline[REPORT], {**CHANGE, "TEST_BUILD": "12"})
    assert (ended.result, ended.called) == (result, called)


def test_a_control_run_is_recorded_and_nobody_is_told(play: Pipeline, pipeline: dict[str, Job]) -> None:
    assert play.play(pipeline[CONTROL], {}).steps[-1] == f"build {CONTROL}-report wait=false TEST_BUILD=12"
    ended = play.play(pipeline[f"{CONTROL}-report"], {"TEST_BUILD": "12"})
    assert (ended.result, ended.called) == ("SUCCESS", ["ci-summarize-results"])


def test_a_build_that_is_no_number_is_refused(play: Pipeline, pipeline: dict[str, Job]) -> None:
    ended = play.play(pipeline[REPORT], {**CHANGE, "TEST_BUILD": "lastSuccessfulBuild"})
    assert (ended.result, ended.called) == ("UNSTABLE", [])
