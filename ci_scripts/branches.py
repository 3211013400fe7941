"""Where a branch went that is no more: OpenStack's stable branches become unmaintained, and end as a tag.

The names are those of OpenStack's project team guide ("Stable Branches", "Unmaintained Branches"): ``stable/<series>``
becomes ``unmaintained/<series>`` with the tag ``<series>-eom``; what ends leaves the tag ``<series>-eol``.
"""

from __future__ import annotations

from collections.abc import Collection

from ci_scripts.errors import ConfigurationError, NothingToTest

HEADS, TAGS = "refs/heads/", "refs/tags/"
STAGES = ("stable/", "unmaintained/")
# The last tags of a series, the most telling first.
ENDINGS = ("eol", "eom", "em")


class BranchEnded(NothingToTest):
    """The change is for a branch that its project has no more."""


def successors(branch: str) -> tuple[str, ...]:
    """The refs that would tell where a branch went; none for one that is not of a series."""
    series = _series(branch)
    if series is None:
        return ()
    other = [f"{HEADS}{stage}{series}" for stage in STAGES if f"{stage}{series}" != branch]
    return (*other, *(f"{TAGS}{series}-{ending}" for ending in ENDINGS))


def where_it_went(branch: str, there: Collection[str]) -> str | None:
    """Words about a branch that is missing, by which of its ``successors`` are there; None where none is."""
    found = [ref for ref in successors(branch) if ref in there]
    heads = [ref.removeprefix(HEADS) for ref in found if ref.startswith(HEADS)]
    if heads:
        return f"the branch {branch} is {heads[0]} now"
    tags = [ref.removeprefix(TAGS) for ref in found]
    return f"the branch {branch} has ended: its last commit is the tag {tags[0]}" if tags else None


def ended(project: str, branch: str, why: str, key: str) -> NothingToTest | ConfigurationError:
    """The error for a missing branch: of the configuration, where its ``key`` names it, else nothing to test."""
    what = f"{project} has no branch {branch}: {why}."
    if not key:
        return BranchEnded(what, next_step="nothing for the CI to do; the change is to be proposed to a living branch.")
    return ConfigurationError(what, next_step=f"set {key} to what is there.")


def _series(branch: str) -> str | None:
    return next((branch.removeprefix(stage) for stage in STAGES if branch.startswith(stage)), None) or None
