"""README's table of exit codes, the classes of errors.py, docs/jenkins-jobs.md and the jobs say the same."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from ci_scripts import errors
from ci_scripts.errors import CIError
from tests.jenkins_jobs.rendering import ROOT, Job

# A job's result by the exit code of ci-summarize-results; any other code is UNSTABLE.
RESULTS = {
    0: "SUCCESS",
    1: "FAILURE",
    2: "UNSTABLE",
    3: "UNSTABLE",
    4: "NOT_BUILT",
    5: "UNSTABLE",
    70: "UNSTABLE",
    130: "ABORTED",
    143: "ABORTED",
}
# hudson.model.Result: a build's result can only become worse.
FROM_GOOD_TO_BAD = ("SUCCESS", "UNSTABLE", "FAILURE", "NOT_BUILT", "ABORTED")
SECONDS = 30
codes = pytest.mark.parametrize("code", [*RESULTS, 99, None])


def _worse(one: str, other: str) -> str:
    return max(one, other, key=FROM_GOOD_TO_BAD.index)


def _last_step(job: Job, folder: Path, code: int | None) -> tuple[int, str]:
    """What ci-set-result ends with and says where ci-result/exit-code holds ``code``."""
    result = folder / "ci-result"
    result.mkdir(exist_ok=True)
    if code is not None:
        (result / "exit-code").write_text(f"{code}\n")
    done = subprocess.run(
        ["bash", "-c", job.steps[-1]], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=False
    )
    return done.returncode, done.stdout


def _as_jenkins_takes_it(job: Job, exit_code: int) -> str:
    """hudson.tasks.Shell: 0 is SUCCESS, unstableReturn UNSTABLE, all else FAILURE."""
    last = job.xml.findall("builders/hudson.tasks.Shell")[-1]
    unstable = int(last.findtext("unstableReturn") or 0)
    return "SUCCESS" if exit_code == 0 else "UNSTABLE" if exit_code == unstable else "FAILURE"


def _after_the_post_build_step(job: Job, so_far: str, console: str) -> str:
    """The Groovy script's if and else if, each about one pattern that a line of the console must match as a whole."""
    script = job.xml.findtext(".//org.jvnet.hudson.plugins.groovypostbuild.GroovyPostbuildRecorder/script/script") or ""
    verbs = {"Aborted": "ABORTED", "NotBuilt": "NOT_BUILT"}
    found = re.findall(r"if \((!?)manager\.logContains\('([^']+)'\)\) \{\s+manager\.build(\w+)\(\)", script)
    assert len(found) == script.count("manager.build") == script.count("logContains")
    for negated, pattern, verb in found:
        has = any(re.fullmatch(pattern, line) for line in console.splitlines())
        if has != bool(negated):
            return _worse(so_far, verbs[verb])
    return so_far


def _classes() -> set[int]:
    found, front = {0}, [CIError]
    while front:
        front += (subclasses := front.pop().__subclasses__())
        found |= {kind.exit_code for kind in subclasses if kind.__module__ == errors.__name__}
    return found


def _table(path: Path, columns: int) -> dict[int, list[str]]:
    """The rows of a page's table that begin with exit codes, by code."""
    rows = {}
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == columns and re.fullmatch(r"\d+(, \d+)*", cells[0]):
            rows |= {int(code): cells[1:] for code in cells[0].split(", ")}
    return rows


def test_readme_classes_and_this_table_have_the_same_codes() -> None:
    assert set(RESULTS) == _classes() == set(_table(ROOT / "README.md", 2))


def test_the_page_about_the_jobs_has_the_same_results() -> None:
    rows = _table(ROOT / "docs" / "jenkins-jobs.md", 4)
    assert {code: cells[0] for code, cells in rows.items()} == RESULTS


def test_only_the_change_makes_a_failure() -> None:
    assert [code for code, result in RESULTS.items() if result == "FAILURE"] == [errors.ChangeToBlame.exit_code]


@codes
def test_a_freestyle_job_has_the_result_of_its_code(
    freestyle: dict[str, Job], tmp_path: Path, code: int | None
) -> None:
    for name in ("example-local", "example-local-report", "example-maintenance", "example-local-control-2026.1"):
        job = freestyle[name]
        exit_code, console = _last_step(job, tmp_path, code)
        so_far = _as_jenkins_takes_it(job, exit_code)
        # Without the post-build step: never FAILURE but for the change, never SUCCESS but for a pass.
        wanted = RESULTS.get(code if code is not None else 70, "UNSTABLE")
        assert so_far == (wanted if wanted in ("SUCCESS", "FAILURE") else "UNSTABLE")
        assert _after_the_post_build_step(job, so_far, console) == wanted
        assert not (tmp_path / "ci-result" / "junit.xml").exists()


@codes
def test_on_a_server_without_plug_ins_the_junit_report_makes_it_unstable(
    bare: dict[str, Job], tmp_path: Path, code: int | None
) -> None:
    for job in bare.values():
        exit_code, _ = _last_step(job, tmp_path, code)
        # It knows no unstableReturn.
        so_far = "SUCCESS" if exit_code == 0 else "FAILURE"
        report = ElementTree.parse(tmp_path / "ci-result" / "junit.xml")
        if list(report.iter("failure")):
            so_far = _worse(so_far, "UNSTABLE")
        archiver = job.xml.find("publishers/hudson.tasks.junit.JUnitResultArchiver")
        assert archiver is not None and "ci-result/junit.xml" in (archiver.findtext("testResults") or "")
        wanted = RESULTS.get(code if code is not None else 70, "UNSTABLE")
        assert so_far == (wanted if wanted in ("SUCCESS", "FAILURE") else "UNSTABLE")


@pytest.mark.parametrize("so_far", ["FAILURE", "ABORTED"])
def test_a_build_that_never_came_to_its_result_is_no_failure(freestyle: dict[str, Job], so_far: str) -> None:
    # Jenkins calls a lost node FAILURE, an abort ABORTED.
    console = "12:00:00 the tests run\nFATAL: the channel is closing down\n"
    assert _after_the_post_build_step(freestyle["example-local"], so_far, console) == "ABORTED"


def test_tests_in_the_junit_report_do_not_make_the_result(all_jobs: list[Job], bare: dict[str, Job]) -> None:
    for job in all_jobs:
        if job.is_pipeline:
            assert job.groovy.count("junit(") == job.groovy.count("skipMarkingBuildUnstable: true)") == 1
        elif job.name not in bare:
            for archiver in job.xml.iter("hudson.tasks.junit.JUnitResultArchiver"):
                assert archiver.findtext("skipMarkingBuildUnstable") == "true"


def test_a_pipeline_has_the_result_of_its_code(all_jobs: list[Job]) -> None:
    pipelines = [job for job in all_jobs if job.is_pipeline]
    assert pipelines
    for job in pipelines:
        (table,) = re.findall(r"Map results = \[(.*?)\]", job.groovy, re.DOTALL)
        found = {int(code): result for code, result in re.findall(r"(\d+): '([A-Z_]+)'", table)}
        assert found == RESULTS, job.name
        assert job.groovy.count("results[code] ?: 'UNSTABLE'") == 1
        # Before anything has spoken, and where the machinery throws, nobody is blamed.
        assert "int code = 70\n" in job.groovy
        caught = re.findall(r"catch \((?:[\w.]+\.)?(\w+) \w+\) \{(.*?)\n\}", job.groovy, re.DOTALL)
        assert [(kind, re.findall(r"currentBuild\.result = '(\w+)'", body)) for kind, body in caught] == [
            ("FlowInterruptedException", ["ABORTED"]),
            ("Exception", ["UNSTABLE"]),
        ]
