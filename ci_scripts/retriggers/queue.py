"""Asking for runs: each patch set once, in order, and not more at a time than the lab can take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ci_scripts.gerrit import Account, Change, Gerrit, GerritFailed, NotLoggedIn
from ci_scripts.retriggers.record import Retrigger, Wish
from ci_scripts.retriggers.runner import Runner, RunnerFailed, State, Ticket
from ci_scripts.withdrawal.own_comments import own_comments

# A run that is not seen so long after it was asked for did not begin.
START_SECONDS = 120.0
# Then it is the server, and not the changes.
FAILURES_IN_A_ROW = 5


@dataclass(frozen=True)
class Pacing:
    """At most ``in_flight`` runs at a time. Times in seconds: between two looks, and how long a run is waited for."""

    in_flight: int
    poll_seconds: float
    run_seconds: float
    start_seconds: float = START_SECONDS
    wait_for_last: bool = False


@dataclass(frozen=True)
class Step:
    """What became of a wish: "asked", "ended", "lost", "left" or "failed"; and why."""

    wish: Wish
    what: str
    why: str = ""


@dataclass
class _Flight:
    wish: Wish
    change: Change
    ticket: Ticket
    began: float = field(default_factory=time.monotonic)
    seen: bool = False


class Queue:
    """``tell`` is called for each step."""

    def __init__(
        self, gerrit: Gerrit, own: Account, runner: Runner, record: Retrigger, tell: Callable[[Step], None]
    ) -> None:
        self._gerrit, self._own, self._runner, self._record, self._tell = gerrit, own, runner, record, tell
        self._flying: list[_Flight] = []
        self._failed: list[Step] = []
        self._in_a_row = 0

    def run(self, pacing: Pacing) -> list[Step]:
        """Ask for everything that is not over; the steps that failed are returned.

        It ends when the last run was asked for, or has ended where the pacing says so. What is asked for is in the
        journal before and after, so the same call goes on after a kill.

        Raises RunnerFailed and GerritFailed where the server would refuse the others too.
        """
        waiting = deque(wish for wish in self._record.wishes if wish.change not in self._record.over)
        self._take_up(waiting)
        while True:
            self._look(pacing)
            while waiting and len(self._flying) < pacing.in_flight:
                self._next(waiting.popleft())
            if not waiting and not (self._flying and pacing.wait_for_last):
                break
            time.sleep(pacing.poll_seconds)
        if not self._failed:
            self._record.end()
        return self._failed

    def _take_up(self, waiting: deque[Wish]) -> None:
        """What an earlier call has asked for is in flight already."""
        for wish in [wish for wish in waiting if wish.change in self._record.tickets]:
            waiting.remove(wish)
            try:
                change = self._gerrit.change(wish.change)
            except NotLoggedIn:
                raise
            except GerritFailed as error:
                self._fail(wish, error.what)
                continue
            if change.current.number == wish.patch_set:
                self._flying.append(_Flight(wish, change, self._record.tickets[wish.change]))
            else:
                self._end(wish, "ended", "a newer patch set is there")

    def _look(self, pacing: Pacing) -> None:
        for flight in list(self._flying):
            state, age = self._state(flight), time.monotonic() - flight.began
            flight.seen = flight.seen or state in ("running", "waiting")
            if state == "ended" or (state == "unseen" and flight.seen):
                how, why = "ended", ""
            elif state == "cancelled":
                how, why = "lost", "it was cancelled"
            elif state == "unseen" and age > pacing.start_seconds:
                how, why = "lost", "it never began"
            elif age > pacing.run_seconds:
                how, why = "lost", "it is not waited for any more"
            else:
                continue
            self._flying.remove(flight)
            self._end(flight.wish, how, why)

    def _state(self, flight: _Flight) -> State:
        try:
            state = self._runner.state(flight.change, flight.ticket)
        except RunnerFailed as error:
            # One look that fails is no harm: it keeps its place until it is known to be over.
            self._count(error)
            return "running"
        self._in_a_row = 0
        return state

    def _next(self, wish: Wish) -> None:
        try:
            change = self._gerrit.change(wish.change)
            if why := self._not_needed(wish, change):
                self._record.left(wish, why)
                self._tell(Step(wish, "left", why))
                return
            ticket = self._ask(wish, change)
        except NotLoggedIn:
            raise
        except (RunnerFailed, GerritFailed) as error:
            self._fail(wish, error.what)
            if isinstance(error, RunnerFailed):
                self._count(error)
            return
        self._in_a_row = 0
        self._record.asked(wish, ticket)
        self._flying.append(_Flight(wish, change, ticket))
        self._tell(Step(wish, "asked"))

    def _ask(self, wish: Wish, change: Change) -> Ticket:
        mark = self._record.marks.get(wish.change)
        if mark is not None and (found := self._runner.find(change, mark)) is not None:
            # An earlier call was killed after it had asked.
            return found
        if mark is None:
            mark = self._runner.mark(change)
            self._record.asking(wish, mark)
        try:
            return self._runner.ask(change, mark)
        except RunnerFailed as error:
            if error.everything:
                raise
            found = self._runner.find(change, mark)
            if found is None:
                raise
            return found

    def _not_needed(self, wish: Wish, change: Change) -> str:
        if not change.is_open:
            return "merged" if change.status == "MERGED" else "abandoned"
        if change.current.number != wish.patch_set:
            return "a newer patch set is there"
        said = [comment for comment in own_comments(change.messages, self._own) if not comment.is_withdrawal]
        new = [comment for comment in said if comment.message.patch_set == wish.patch_set]
        return "it has a new verdict" if any(one.message.number not in wish.known for one in new) else ""

    def _end(self, wish: Wish, what: str, why: str) -> None:
        self._record.ended(wish, why or what)
        self._tell(Step(wish, what, why))

    def _fail(self, wish: Wish, what: str) -> None:
        self._record.failed(wish, what)
        step = Step(wish, "failed", what)
        self._failed.append(step)
        self._tell(step)

    def _count(self, error: RunnerFailed) -> None:
        self._in_a_row += 1
        if error.everything or self._in_a_row >= FAILURES_IN_A_ROW:
            raise RunnerFailed(
                f"the others were not tried: {error.what}",
                next_step=f"{error.next_step or 'mend it.'} Then give the same command again: it goes on from here.",
            ) from error
