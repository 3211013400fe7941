"""Named verbs of Gerrit, over REST or SSH as ci.yaml says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ci_scripts.credentials import NoPassword, read_password
from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit.errors import GerritFailed, NotAllowed, NotLoggedIn, NotThere, Refused
from ci_scripts.gerrit.pace import Pace, Patience
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
    section = settings.gerrit
    if section is None:
        raise ConfigurationError(
            "there is no 'gerrit' section in ci.yaml.",
            next_step="name the server and the account there: gerrit: {url: ..., user: ..., password_file: ...}.",
        )
    patience = Patience.for_answers_within(section.timeout_seconds)
    pace = Pace(section.requests_per_minute, patience)
    try:
        password = read_password(section, environment)
    except NoPassword as error:
        raise ConfigurationError(
            f"Gerrit's HTTP password is not there: {error}.",
            next_step=f"provide it on the trusted side, or correct gerrit.{error.key}.",
        ) from None
    if section.url is not None and password is not None:
        from ci_scripts.gerrit.rest import RestGerrit
        from ci_scripts.gerrit.rest_connection import RestConnection

        return RestGerrit(RestConnection(section.url, section.user, password, patience, pace))
    if section.ssh is None:
        raise ConfigurationError("gerrit has neither a password nor 'ssh'.", next_step="add one of them.")
    from ci_scripts.gerrit.ssh import SshGerrit
    from ci_scripts.gerrit.ssh_connection import SshConnection

    return SshGerrit(SshConnection(section.ssh, section.user, dict(environment), patience, pace))
