"""The section ``unit_tests``: a project's unit tests with the driver in place. Importing this is slow."""

from __future__ import annotations

from ci_scripts.settings_section import Section
from ci_scripts.settings_types import Project, Regex


class UnitTests(Section):
    """Whose unit tests run, by default those of the project under test, and which."""

    project: Project | None = None
    regex: Regex = ""
