"""The lines of a project's test-requirements.txt."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.unit_tests.requirements import read_requirements

NEUTRONS = """\
hacking>=8.1.0,<=8.2.0 # Apache-2.0

# Needed to run DB commands in virtualenvs
PyMySQL>=0.7.6 # MIT License
WebTest>=2.0.27;python_version>='3'# no comment without a blank
oslotest \\
  >=3.2.0
"""


def test_comments_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "test-requirements.txt").write_text(NEUTRONS)
    lines = read_requirements(tmp_path, "test-requirements.txt")
    assert lines[:2] == ["hacking>=8.1.0,<=8.2.0", "PyMySQL>=0.7.6"]
    assert lines[2] == "WebTest>=2.0.27;python_version>='3'# no comment without a blank"
    assert lines[3].split() == ["oslotest", ">=3.2.0"]


def test_files_that_are_included(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "a.txt").write_text("-r more/b.txt\n--requirement=more/c.txt\none\n")
    (tmp_path / "more" / "b.txt").write_text("-rc.txt\n")
    (tmp_path / "more" / "c.txt").write_text("two\n")
    assert read_requirements(tmp_path, "a.txt") == ["two", "two", "one"]


def test_a_project_without_the_file(tmp_path: Path) -> None:
    assert read_requirements(tmp_path, "test-requirements.txt") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--index-url https://example.org/simple\n", "is an option"),
        ("-e .\n", "is an option"),
        ("-r ../outside.txt\n", "outside of the project"),
        ("-r /etc/hostname\n", "outside of the project"),
        ("-r a.txt\n", "included by itself"),
        ("-r none.txt\n", "which is not there"),
    ],
)
def test_what_a_change_may_not_bring_along(tmp_path: Path, text: str, said: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.txt").write_text("x\n")
    (project / "a.txt").write_text(text)
    with pytest.raises(InfrastructureError) as caught:
        read_requirements(project, "a.txt")
    assert said in str(caught.value)


def test_a_link_that_leads_out(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "outside.txt").write_text("x\n")
    (project / "a.txt").symlink_to("../outside.txt")
    with pytest.raises(InfrastructureError, match="outside of the project"):
        read_requirements(project, "a.txt")
