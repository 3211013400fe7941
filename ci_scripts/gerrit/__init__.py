"""Named verbs of Gerrit, over REST or SSH as ci.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ci_scripts.gerrit.errors import GerritFailed, NotAllowed, NotLoggedIn, NotThere, Refused
from ci_scripts.gerrit.records import Account, Change, Gerrit, Message, PatchSet, Review, Vote

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings

__all__ = [
    "Account",
    "Change",
    "Gerrit",
    "GerritFailed",
    "Message",
    "NotAllowed",
    "NotLoggedIn",
    "NotThere",
    "PatchSet",
    "Refused",
    "Review",
    "Vote",
    "open_gerrit",
]


def open_gerrit(settings: Settings, environment: Mapping[str, str]) -> Gerrit:
    """The server that ci.yaml's ``gerrit`` section names. Nothing is sent yet.

    Raises ConfigurationError where there is no such section or the password is missing.
    """
    raise NotImplementedError
