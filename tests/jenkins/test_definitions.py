"""Rendering by Jenkins Job Builder itself: what it says, and what goes wrong."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.jenkins.definitions import managed_mark, render

JOB = "- job:\n    name: one\n    description: A job.\n    builders:\n      - shell: 'exit 0'\n"
VIEW = "- view:\n    name: ours\n    view-type: list\n"


def test_jobs_and_views(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jobs.yaml").write_text(JOB + VIEW)
    handlers = logging.getLogger().handlers[:]
    found = render([tmp_path], None)
    assert list(found.jobs) == ["one"] and found.views == ("ours",)
    assert managed_mark() in found.jobs["one"].replace("&lt;", "<").replace("&gt;", ">")
    assert capsys.readouterr() == ("", "") and logging.getLogger().handlers == handlers


def test_an_include_is_found_beside_its_file(tmp_path: Path) -> None:
    (tmp_path / "step.sh").write_text("ci-run-gate\n")
    (tmp_path / "jobs.yaml").write_text(JOB.replace("'exit 0'", "!include-raw-verbatim: step.sh"))
    assert "ci-run-gate" in render([tmp_path / "jobs.yaml"], None).jobs["one"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (JOB + JOB, "Duplicate job: 'one'"),
        (JOB.replace("shell:", "no-such:"), "no-such"),
        (JOB.replace("'exit 0'", "'{nothing}'").replace("- job:", "- job-template:"), "make no job"),
        ("- job: [", "jobs.yaml"),
        ("a: b", "list"),
        ("- job:\n    builders: []\n", "name"),
        ("- job:\n    name: x\n    triggers: 5\n", "cannot render"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "jobs.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as error:
        render([tmp_path], None)
    assert said in str(error.value) and error.value.exit_code == 2


def test_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jobs.yaml").write_text(JOB)
    monkeypatch.setitem(sys.modules, "jenkins_jobs", None)
    with pytest.raises(ConfigurationError, match=r"openstack-driver-ci\[trusted\]"):
        render([tmp_path], None)
