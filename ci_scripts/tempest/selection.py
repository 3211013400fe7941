"""Which tests run: stestr's rules for a regex, an include list and an exclude list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_scripts.errors import ConfigurationError


@dataclass(frozen=True)
class Selection:
    """A test runs if the regex and (where there is one) a line of the include list match, and no exclude line does.

    ``section`` of ci.yaml is where it comes from, ``to_try`` a command that shows what a regex selects.

    Lists are files of regular expressions, one a line; what follows a ``#`` is a comment (stestr's format).
    """

    regex: str
    include_list: Path | None = None
    exclude_list: Path | None = None
    section: str = "tempest"
    to_try: str = "tempest run --list-tests --regex '...' in the run's Tempest environment"

    def choose(self, test_ids: Iterable[str]) -> list[str]:
        """Raises ConfigurationError when nothing is left, or when a list cannot be used."""
        wanted = re.compile(self.regex)
        included = _patterns(self.include_list)
        excluded = _patterns(self.exclude_list)
        chosen = [
            test_id
            for test_id in test_ids
            if wanted.search(test_id)
            and (self.include_list is None or any(pattern.search(test_id) for pattern in included))
            and not any(pattern.search(test_id) for pattern in excluded)
        ]
        if not chosen:
            raise ConfigurationError(
                f"no test matches {self.section}.regex {self.regex!r} and the lists.",
                next_step=f"try it: {self.to_try}.",
            )
        return chosen


def _patterns(path: Path | None) -> Sequence[re.Pattern[str]]:
    if path is None:
        return ()
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    found = []
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        try:
            found += [re.compile(text)] if text else []
        except re.error as error:
            raise ConfigurationError(f"{path}:{number}: {text!r} is not a regular expression: {error}.") from error
    return found
