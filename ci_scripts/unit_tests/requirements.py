"""What a project's tests need: the lines of its test-requirements.txt, less options for an installer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ci_scripts.errors import InfrastructureError

LARGEST_FILE = 1024 * 1024
_INCLUDE = re.compile(r"(?:-r|--requirement)[ =]?\s*(\S+)\Z")


def read_requirements(checkout: Path, name: str) -> list[str]:
    """The requirements in file ``name`` of a source tree and in those that it includes; [] where it is not there.

    The file is the project's, and may come from the change under test. Raises InfrastructureError for an option
    (another index, a path): what is installed for the tests is the CI's business.
    """
    return list(_lines(checkout, checkout / name, ()))


def _lines(checkout: Path, path: Path, outer: tuple[Path, ...]) -> Iterator[str]:
    real = path.resolve()
    if not real.is_relative_to(checkout.resolve()) or real in outer:
        raise InfrastructureError(f"{path} is included by itself, or is outside of the project.")
    try:
        with real.open("rb") as file:
            text = file.read(LARGEST_FILE).decode("utf-8", "replace")
    except FileNotFoundError:
        if outer:
            raise InfrastructureError(f"{outer[-1]} includes {path}, which is not there.") from None
        return
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror}.") from error
    # A comment begins at the start of a line or after a blank (pip's requirements file format).
    for number, raw in enumerate(text.replace("\\\n", " ").splitlines(), 1):
        line = re.sub(r"(^|\s+)#.*", "", raw).strip()
        if included := _INCLUDE.match(line):
            yield from _lines(checkout, path.parent / included[1], (*outer, real))
        elif line.startswith("-"):
            raise InfrastructureError(
                f"{path}:{number}: {line!r} is an option, not a requirement.",
                next_step="leave the file out of unit_tests.requirements and list the packages in unit_tests.packages.",
            )
        elif line:
            yield line
