"""What a Depends-On means: asked of Gerrit's REST interface as anybody can ask it, because a node has no password."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from ci_scripts.gerrit.answers import as_list, as_object, nonsense, number_in, object_in, status_in, text_in
from ci_scripts.gerrit.pace import Pace, Patience
from ci_scripts.gerrit.records import Status
from ci_scripts.gerrit.rest_connection import RestConnection

OPTIONS = ("CURRENT_REVISION", "CURRENT_COMMIT")
# A Change-Id is on as many changes as it was proposed to branches and projects.
MOST_OF_ONE_ID = 30
LARGEST_ANSWER = 8 * 1024 * 1024
REQUESTS_PER_MINUTE = 120


@dataclass(frozen=True)
class NeededChange:
    """A change as it is now; ``message`` is the commit message of its current patch set. Texts are not checked."""

    number: int
    project: str
    branch: str
    status: Status
    patch_set: int
    revision: str
    ref: str
    message: str


class OpenToAll:
    """A Gerrit that is read without a password. Every verb raises GerritFailed or one of its kinds."""

    def __init__(self, url: str, patience: Patience) -> None:
        pace = Pace(REQUESTS_PER_MINUTE, patience)
        self._connection = RestConnection(url, "", "", patience, pace, LARGEST_ANSWER)

    def found(self, query: str) -> list[NeededChange]:
        """The changes that a query finds, at most ``MOST_OF_ONE_ID``; none where it finds none that anybody may see."""
        words = [("q", query), ("n", MOST_OF_ONE_ID), *(("o", option) for option in OPTIONS)]
        answer = self._connection.get(f"/changes/?{urlencode(words)}", f"the query {query}")
        return [needed_change_of(entry) for entry in as_list(answer, "the list of changes")]


def needed_change_of(answer: object) -> NeededChange:
    """A ChangeInfo that was asked for with OPTIONS. Raises GerritFailed for anything else."""
    value = as_object(answer, "a change")
    revision = text_in(value, "current_revision", None)
    about: Any = object_in(value, "revisions").get(revision)
    if about is None:
        raise nonsense("the current patch set is missing")
    about = as_object(about, "a patch set")
    return NeededChange(
        number=number_in(value, "_number", None),
        project=text_in(value, "project", None),
        branch=text_in(value, "branch", None),
        status=status_in(value),
        patch_set=number_in(about, "_number", None),
        revision=revision,
        ref=text_in(about, "ref", None),
        message=text_in(object_in(about, "commit"), "message"),
    )
