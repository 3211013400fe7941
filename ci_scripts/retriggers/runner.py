"""Who runs the jobs, and what is asked of it: Jenkins and Zuul alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ci_scripts.errors import ConfigurationError, InfrastructureError

if TYPE_CHECKING:
    from ci_scripts.gerrit.records import Change
    from ci_scripts.settings_model import Settings

State = Literal["waiting", "running", "ended", "cancelled", "unseen"]


class RunnerFailed(InfrastructureError):
    """Jenkins or Zuul could not be asked, or said no. ``everything``: it would say the same for each change."""

    def __init__(self, what: str, *, next_step: str = "", everything: bool = False) -> None:
        super().__init__(what, next_step=next_step)
        self.everything = everything


@dataclass(frozen=True)
class Ticket:
    """By this a run is known again: Jenkins' number in the queue or of a build, Zuul's last buildset before it."""

    kind: str
    number: str


class Runner(Protocol):
    """The verbs; each raises RunnerFailed."""

    @property
    def name(self) -> str:
        """As people call it, with its address."""

    def mark(self, change: Change) -> str:
        """Where its record of runs ends now: what comes after this was asked for later."""

    def ask(self, change: Change, mark: str) -> Ticket:
        """Ask for a run of the current patch set."""

    def find(self, change: Change, mark: str) -> Ticket | None:
        """The run of this patch set that was asked for after ``mark``, None where there is none."""

    def state(self, change: Change, ticket: Ticket) -> State:
        """How far a run is. "unseen": it is not there yet, or not any more."""


def open_runner(settings: Settings, environment: Mapping[str, str], which: str | None) -> Runner:
    """The one that ci.yaml names, or of two the one that is called ``which``. Nothing is sent yet.

    Raises ConfigurationError.
    """
    there = [name for name in ("jenkins", "zuul") if getattr(settings, name) is not None]
    if which is not None and which not in there:
        raise ConfigurationError(f"there is no '{which}' section in ci.yaml.", next_step="add it, or choose another.")
    if not there:
        raise ConfigurationError(
            "ci.yaml has neither a 'jenkins' nor a 'zuul' section.",
            next_step="name the one that runs the jobs: jenkins: {url: ..., user: ..., job: ..., password_file: ...}.",
        )
    if which is None and len(there) > 1:
        raise ConfigurationError("ci.yaml has a 'jenkins' and a 'zuul' section.", next_step="choose one with --with.")
    if (which or there[0]) == "jenkins":
        from ci_scripts.jenkins import open_jenkins

        return open_jenkins(settings, environment)
    from ci_scripts.zuul import open_zuul

    return open_zuul(settings, environment)


def token_of(settings: Settings, section: str, environment: Mapping[str, str]) -> str:
    """The section's API token. Raises ConfigurationError."""
    from ci_scripts.credentials import NoPassword, read_password

    try:
        token = read_password(getattr(settings, section), environment)
    except NoPassword as error:
        raise ConfigurationError(
            f"{section}'s token is not there: {error}.", next_step=f"provide it, or correct {section}.{error.key}."
        ) from None
    if token is None:
        raise ConfigurationError(
            f"'{section}' in ci.yaml names no token.", next_step="add password_file or password_environment."
        )
    return token
