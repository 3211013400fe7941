"""Builds of the test job with Gerrit Trigger's parameters: what retrigger asks Jenkins for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ci_scripts.gerrit.records import Change
from ci_scripts.jenkins.errors import NotThere
from ci_scripts.jenkins.server import MOST_BUILDS, Server, parameters_in
from ci_scripts.retriggers.runner import State, Ticket

QUEUE, BUILD = "queue", "build"
# The parameters by which a build is known to be about a patch set.
NUMBER, PATCH_SET = "GERRIT_CHANGE_NUMBER", "GERRIT_PATCHSET_NUMBER"
LONGEST_SUBJECT = 200


def parameters_of(change: Change) -> dict[str, str]:
    """What Jenkins' Gerrit Trigger would say about the current patch set."""
    subject = "".join(one if one.isprintable() else " " for one in change.subject[:LONGEST_SUBJECT])
    return {
        "GERRIT_EVENT_TYPE": "patchset-created",
        "GERRIT_PROJECT": change.project,
        "GERRIT_BRANCH": change.branch,
        "GERRIT_REFSPEC": change.current.ref,
        NUMBER: str(change.number),
        PATCH_SET: str(change.current.number),
        "GERRIT_PATCHSET_REVISION": change.current.revision,
        "GERRIT_CHANGE_ID": change.change_id,
        "GERRIT_CHANGE_URL": change.url,
        "GERRIT_CHANGE_SUBJECT": subject,
        "GERRIT_HOST": urlsplit(change.url).hostname or "",
    }


@dataclass
class JobRunner:
    """One job of one server, as a `Runner`."""

    server: Server
    job: str

    @property
    def name(self) -> str:
        return f"Jenkins {self.server.url} (job {self.job})"

    def mark(self, change: Change) -> str:
        """The number that the next build will have."""
        return str(self.server.job(self.job).next_number)

    def ask(self, change: Change, mark: str) -> Ticket:
        number = self.server.start(self.job, parameters_of(change))
        if number is not None:
            return Ticket(QUEUE, str(number))
        # It is in the queue or a build already, or will be: then the next build is the first that it can be.
        return self.find(change, mark) or Ticket(BUILD, mark)

    def find(self, change: Change, mark: str) -> Ticket | None:
        """In the queue, else among the builds from number ``mark`` on."""
        for item in self.server.queued(self.job):
            if _is_about(parameters_in(item), change):
                return Ticket(QUEUE, str(item["id"]))
        for build in self.server.builds(self.job, MOST_BUILDS):
            if int(build.get("number", 0)) >= int(mark) and _is_about(parameters_in(build), change):
                return Ticket(BUILD, str(build["number"]))
        return None

    def state(self, change: Change, ticket: Ticket) -> State:
        number = int(ticket.number)
        return self._of_build(number) if ticket.kind == BUILD else self._in_queue(change, number)

    def _in_queue(self, change: Change, number: int) -> State:
        item = self.server.queue_item(number)
        if item is None:
            found = self.find(change, "0")
            return "unseen" if found is None else self.state(change, found)
        if item.get("cancelled"):
            return "cancelled"
        started = item.get("executable") or {}
        return self._of_build(int(started["number"])) if "number" in started else "waiting"

    def _of_build(self, number: int) -> State:
        try:
            return "running" if self.server.build(self.job, number).get("building") else "ended"
        except NotThere:
            # Deleted meanwhile, or not begun.
            return "unseen"


def _is_about(parameters: Mapping[str, str], change: Change) -> bool:
    wanted = (str(change.number), str(change.current.number))
    return (parameters.get(NUMBER), parameters.get(PATCH_SET)) == wanted
