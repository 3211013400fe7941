"""What jenkins-jobs makes of our definitions is what was read and agreed on: tests/golden_jobs/."""

from __future__ import annotations

import pytest

from tests.jenkins_jobs.rendering import DEFINITIONS, GOLDEN, PROJECTS, RENEW, Job


@pytest.mark.parametrize("case", sorted(PROJECTS))
def test_the_jobs_are_those_of_the_golden_files(case: str, jobs_by_project: dict[str, list[Job]]) -> None:
    golden = {path.stem: path.read_text() for path in (GOLDEN / case).glob("*.xml")}
    made = {job.name: job.text for job in jobs_by_project[case]}
    assert sorted(made) == sorted(golden), f"a job without a golden file, or the other way round; renew: {RENEW}"
    for name, text in made.items():
        assert text == golden[name], f"{name} differs; if it was meant so: {RENEW}"


def test_there_is_no_golden_file_of_a_project_that_is_gone() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == set(PROJECTS)


def test_every_template_is_rendered_by_some_project() -> None:
    text = "\n".join(path.read_text() for path in PROJECTS.values())
    for path in sorted(DEFINITIONS.glob("*.yaml")):
        for line in path.read_text().splitlines():
            word, _, name = line.strip().partition(": ")
            if word == "id":
                assert f"- {name}\n" in text or f"- {name}:" in text, f"{path.name}: no project renders {name}"
