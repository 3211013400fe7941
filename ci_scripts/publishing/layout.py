"""Where a run is published: ``<last two digits>/<change>/<patch set>/<pipeline>/<job>/<short run id>``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ci_scripts.errors import ConfigurationError
from ci_scripts.untrusted_words import number_problem, quoted, word_problem

INDEX = "index.html"
RECORD = "published.json"
DEPTH = 6
_RESERVED = (INDEX, RECORD)
_TWO_DIGITS = re.compile(r"[0-9]{2}")
_OWN_RUN_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-([0-9a-f]{6})")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one published run; every part has passed its check, so the path leads nowhere else."""

    change: str
    patch_set: str
    pipeline: str
    job: str
    run: str

    def __post_init__(self) -> None:
        """Raises ConfigurationError naming every part that cannot be one."""
        checks = (("change", number_problem), ("patch_set", number_problem))
        problems = [(name, getattr(self, name), check(getattr(self, name))) for name, check in checks]
        problems += [(name, getattr(self, name), _folder_problem(getattr(self, name))) for name in _WORDS]
        wrong = [f"{name.replace('_', ' ')} {quoted(value)} {problem}" for name, value, problem in problems if problem]
        if wrong:
            raise ConfigurationError(
                f"this run has no place among the published ones: {'; '.join(wrong)}.",
                next_step="name the change with --change and --pipeline, the job with --job.",
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """The six names below the root of what is published."""
        return (two_digits(self.change), self.change, self.patch_set, self.pipeline, self.job, self.run)

    @property
    def path(self) -> str:
        """The parts as a relative path; it is the end of the run's address as well."""
        return "/".join(self.parts)

    def parents(self) -> Iterator[tuple[str, ...]]:
        """The parts of the folders above, the nearest first, the root (no parts) last."""
        for length in range(DEPTH - 1, -1, -1):
            yield self.parts[:length]

    def called(self, run: str) -> RunFolder:
        """The folder beside this one with another name."""
        return replace(self, run=run)


_WORDS = ("pipeline", "job", "run")


def two_digits(change: str) -> str:
    """The folder of a change: the last two digits of its number, as in Gerrit's refs."""
    return change[-2:].zfill(2)


def short_run_id(run_id: str, fallback: str) -> str:
    """The random end of a run id of ours; for other ids, and ``fallback`` without one, seven digits of a hash."""
    own = _OWN_RUN_ID.fullmatch(run_id)
    return own.group(1) if own else hashlib.sha256((run_id or fallback).encode()).hexdigest()[:7]


def names_for(short: str, identity: str) -> Iterator[str]:
    """Names that a run's folder may have, the wanted one first: another run may have taken it."""
    yield short
    yield f"{short}-{identity[:7]}"
    yield f"{short}-{identity[:20]}"


def fits(parts: tuple[str, ...]) -> bool:
    """Whether folders with these names, from the root downwards, can be of our layout; for one to six of them."""
    if not 1 <= len(parts) <= DEPTH or not _TWO_DIGITS.fullmatch(parts[0]):
        return False
    if len(parts) > 1 and (number_problem(parts[1]) is not None or two_digits(parts[1]) != parts[0]):
        return False
    if len(parts) > 2 and number_problem(parts[2]) is not None:
        return False
    return all(_folder_problem(part) is None for part in parts[3:])


def _folder_problem(word: str) -> str | None:
    return "is a name that the pages use" if word in _RESERVED else word_problem(word)
