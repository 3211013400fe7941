"""The classes of errors, their exit codes, and the README's table."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from ci_scripts import errors
from ci_scripts.errors import CIError, InfrastructureError, InternalError, as_ci_error

README = Path(__file__).parent.parent / "README.md"


def classes() -> list[type[CIError]]:
    found, front = [], [CIError]
    while front:
        front += (subclasses := front.pop().__subclasses__())
        found += [kind for kind in subclasses if kind.__module__ == errors.__name__]
    return found


def test_the_readme_has_exactly_the_exit_codes_of_the_classes() -> None:
    rows = re.findall(r"^\| `?(\d+(?:`?, `?\d+)*)`? \| (.+?) \|$", README.read_text(), re.MULTILINE)
    documented = {int(code): text for codes, text in rows for code in re.findall(r"\d+", codes)}
    assert set(documented) == {0, *(kind.exit_code for kind in classes())}
    assert all(len(text) > 3 for text in documented.values())


def test_every_class_says_what_it_is() -> None:
    assert [kind.__name__ for kind in classes() if not kind.__doc__] == []
    assert {kind.__name__: kind.exit_code for kind in classes()} == {
        "TestsFailed": 1,
        "ChangeToBlame": 1,
        "ConfigurationError": 2,
        "InfrastructureError": 3,
        "NothingToTest": 4,
        "ReportFailed": 5,
        "InternalError": 70,
        "Interrupted": 130,
        "Terminated": 143,
    }


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (CIError("it broke."), "it broke."),
        (CIError("it broke.", log=Path("/logs/a.log")), "it broke. Log: /logs/a.log."),
        (CIError("it broke.", next_step="mend it."), "it broke. Next: mend it."),
        (CIError("it broke.\n", log=Path("a"), next_step="mend it."), "it broke. Log: a. Next: mend it."),
    ],
)
def test_an_error_is_one_paragraph(error: CIError, text: str) -> None:
    assert str(error) == text


def test_what_an_exception_stands_for() -> None:
    own = InfrastructureError("x")
    assert as_ci_error(own) is own
    full = as_ci_error(OSError(errno.ENOSPC, "No space left on device", "/run/a"))
    assert (type(full), full.what) == (InfrastructureError, "the disk is full: /run/a could not be written.")
    assert isinstance(as_ci_error(OSError(errno.EACCES, "no")), InternalError)
    assert as_ci_error(KeyError("a")).what == "a bug in this command: KeyError: 'a'."
