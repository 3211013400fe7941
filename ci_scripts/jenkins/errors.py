"""How asking Jenkins can fail. All are `RunnerFailed`, so that retrigger knows them."""

from __future__ import annotations

from ci_scripts.retriggers.runner import RunnerFailed
from ci_scripts.views.clean_text import for_terminal


class JenkinsFailed(RunnerFailed):
    """Jenkins could not be asked, or said no. ``status`` is that of its answer, 0 where there was none."""

    def __init__(self, what: str, *, next_step: str = "", everything: bool = False, status: int = 0) -> None:
        # Names of jobs and what a server says may hold anything.
        super().__init__(for_terminal(what, one_line=True), next_step=next_step, everything=everything)
        self.status = status


class Unreachable(JenkinsFailed):
    """No answer of a Jenkins: refused, restarting for too long, hanging, or something else answers in its place.

    ``begun``: what was asked for may have been done. ``slow``: it hangs; the next question may have an answer.
    """

    def __init__(
        self, what: str, *, next_step: str = "", begun: bool = False, slow: bool = False, status: int = 0
    ) -> None:
        super().__init__(what, next_step=next_step, everything=not slow, status=status)
        self.begun = begun


class NoRight(JenkinsFailed):
    """401 or 403: the user is not known, or lacks a right."""

    def __init__(self, what: str, *, next_step: str = "", status: int = 403) -> None:
        super().__init__(what, next_step=next_step, everything=True, status=status)


class NotThere(JenkinsFailed):
    """404: the job, build or queue item is not there, or the user may not see it."""

    def __init__(self, what: str, *, next_step: str = "") -> None:
        super().__init__(what, next_step=next_step, everything=True, status=404)
