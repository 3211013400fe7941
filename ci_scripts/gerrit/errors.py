"""How talking to Gerrit fails."""

from __future__ import annotations

from ci_scripts.errors import InfrastructureError


class GerritFailed(InfrastructureError):
    """Gerrit could not be reached, answered with nonsense, or said no; its text holds no password.

    ``sent``: the request may have arrived although no answer did. ``transient``: again, later, may help.
    """

    def __init__(self, what: str, *, next_step: str = "", sent: bool = False, transient: bool = False) -> None:
        super().__init__(what, next_step=next_step)
        self.sent = sent
        self.transient = transient


class NotLoggedIn(GerritFailed):
    """401: the user name, password or key is not taken."""


class NotAllowed(GerritFailed):
    """403: the account may not do this, such as vote."""


class NotThere(GerritFailed):
    """404: no such change, or one that the account may not see; no such vote."""


class Refused(GerritFailed):
    """400, 409, 422: the change is closed, the patch set is not current, the label has no such value."""
