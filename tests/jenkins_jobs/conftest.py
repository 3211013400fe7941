"""The rendered jobs: each project once for all tests of a process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jenkins_jobs.rendering import PROJECTS, Job, rendered


@pytest.fixture(scope="session")
def jobs_by_project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Job]]:
    def made(case: str, project: Path) -> list[Job]:
        return rendered(project, tmp_path_factory.mktemp(case))

    return {case: made(case, project) for case, project in PROJECTS.items()}


@pytest.fixture
def all_jobs(jobs_by_project: dict[str, list[Job]]) -> list[Job]:
    return [job for jobs in jobs_by_project.values() for job in jobs]


@pytest.fixture
def freestyle(jobs_by_project: dict[str, list[Job]]) -> dict[str, Job]:
    """The freestyle jobs by name, as made for a Jenkins with its plug-ins."""
    return {job.name: job for job in jobs_by_project["freestyle"]}


@pytest.fixture
def pipeline(jobs_by_project: dict[str, list[Job]]) -> dict[str, Job]:
    return {job.name: job for job in jobs_by_project["pipeline"]}


@pytest.fixture
def bare(jobs_by_project: dict[str, list[Job]]) -> dict[str, Job]:
    """The freestyle jobs for a server without plug-ins."""
    return {job.name: job for job in jobs_by_project["other-triggers"] if not job.is_pipeline}
