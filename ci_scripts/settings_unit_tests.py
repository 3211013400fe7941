"""The section ``unit_tests``: a project's unit tests with the driver in place. Importing this is slow."""

from __future__ import annotations

from pathlib import PurePosixPath

from pydantic import Field, field_validator

from ci_scripts.settings_section import Section, VariableName
from ci_scripts.settings_types import AutoOrCount, Command, Count, FileHere, Name, OptionValue, Plain, Project, Regex


class CheckAfterUnitTests(Section):
    """A vendor's own command after the unit tests; it counts as a test. It is asked once for each worker."""

    name: Name
    command: Command
    timeout_seconds: Count = 300


class UnitTests(Section):
    """Whose unit tests run, by default those of the project under test, which, and with what.

    ``test_path`` and ``top_dir`` stand instead of those that the project gives stestr. ``requirements`` are files of
    the project with what its tests need, ``packages`` more requirements. ``environment`` are variables of the tests:
    ``{service.<name>.url}`` and ``{shard}`` (the worker's number) are those of the worker.
    """

    project: Project | None = None
    regex: Regex = ""
    include_list: FileHere | None = None
    exclude_list: FileHere | None = None
    concurrency: AutoOrCount = "auto"
    timeout_minutes: Count = 60
    test_path: Plain | None = None
    top_dir: Plain | None = None
    requirements: tuple[Plain, ...] = ("test-requirements.txt",)
    packages: tuple[Plain, ...] = ()
    environment: dict[VariableName, OptionValue] = Field(default_factory=dict)
    checks: tuple[CheckAfterUnitTests, ...] = ()

    @field_validator("requirements")
    @classmethod
    def _inside_the_project(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        for file in files:
            path = PurePosixPath(file)
            if not file or path.is_absolute() or ".." in path.parts:
                raise ValueError(f"must be files of the project, relative to it, not {file!r}")
        return files

    @field_validator("test_path", "top_dir")
    @classmethod
    def _not_for_a_shell(cls, value: str | None) -> str | None:
        if value is not None and (not value or value.startswith("-") or set(value) & set("\"'`$\\\n")):
            raise ValueError("must be a path in the project, without quotes and '$'")
        return value

    @field_validator("checks")
    @classmethod
    def _different_names(cls, checks: tuple[CheckAfterUnitTests, ...]) -> tuple[CheckAfterUnitTests, ...]:
        names = [check.name for check in checks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"has the name {twice[0]!r} twice")
        return checks
