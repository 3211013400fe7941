"""Named verbs of Jenkins' remote API, by python-jenkins: builds of the test job with Gerrit Trigger's parameters."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit.records import Change
from ci_scripts.retriggers.runner import RunnerFailed, State, Ticket, token_of

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings

QUEUE, BUILD = "queue", "build"
# The parameters by which a build is known to be about a patch set.
NUMBER, PATCH_SET = "GERRIT_CHANGE_NUMBER", "GERRIT_PATCHSET_NUMBER"
LONGEST_SUBJECT = 200
SHOWN = 300
REFUSED = ("[401]", "[403]")
NO_JOB = re.compile(r"job\[[^]]*\] does not exist")


def open_jenkins(settings: Settings, environment: Mapping[str, str]) -> Jenkins:
    """The Jenkins of ci.yaml's section. Nothing is sent yet. Raises ConfigurationError."""
    section = settings.jenkins
    if section is None:
        raise ConfigurationError("there is no 'jenkins' section in ci.yaml.", next_step="add url, user and job.")
    try:
        import jenkins  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigurationError(
            f"asking Jenkins needs a package that is not installed: {error.name or error}.",
            next_step="install openstack-driver-ci[trusted] on the trusted side.",
        ) from error
    token = token_of(settings, "jenkins", environment)
    client = jenkins.Jenkins(section.url, username=section.user, password=token, timeout=section.timeout_seconds)
    return Jenkins(client, section.url, section.job)


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


class Jenkins:
    """One job of one server. ``client`` is python-jenkins'; its errors may quote pages, so they are cut."""

    def __init__(self, client: Any, url: str, job: str) -> None:
        self._client = client
        self._url = url
        self._job = job

    @property
    def name(self) -> str:
        return f"Jenkins {self._url} (job {self._job})"

    def mark(self, change: Change) -> str:
        """The number that the next build will have."""
        with self._asking("about the job"):
            return str(int(self._client.get_job_info(self._job).get("nextBuildNumber", 1)))

    def ask(self, change: Change, mark: str) -> Ticket:
        with self._asking(f"for a build of {change.number},{change.current.number}"):
            return Ticket(QUEUE, str(self._client.build_job(self._job, parameters_of(change))))

    def find(self, change: Change, mark: str) -> Ticket | None:
        """In the queue, else among the builds from number ``mark`` on."""
        with self._asking("about its builds"):
            for item in self._client.get_queue_info():
                if self._is_ours(item) and _is_about(_parameters_in(item), change):
                    return Ticket(QUEUE, str(item["id"]))
            for build in self._client.get_job_info(self._job, depth=1).get("builds", ()):
                if build.get("number", 0) >= int(mark) and _is_about(_parameters_in(build), change):
                    return Ticket(BUILD, str(build["number"]))
        return None

    def state(self, change: Change, ticket: Ticket) -> State:
        with self._asking("about a build"):
            if ticket.kind == QUEUE:
                return self._in_queue(change, int(ticket.number))
            return self._of_build(int(ticket.number))

    def _in_queue(self, change: Change, number: int) -> State:
        import jenkins

        try:
            item = self._client.get_queue_item(number)
        except jenkins.JenkinsException as error:
            # Jenkins forgets an item some minutes after its build has begun.
            if "does not exist" not in str(error):
                raise
            found = self.find(change, "0")
            return "unseen" if found is None else self.state(change, found)
        if item.get("cancelled"):
            return "cancelled"
        started = item.get("executable") or {}
        return self._of_build(int(started["number"])) if "number" in started else "waiting"

    def _of_build(self, number: int) -> State:
        return "running" if self._client.get_build_info(self._job, number).get("building") else "ended"

    def _is_ours(self, item: Mapping[str, Any]) -> bool:
        address = str((item.get("task") or {}).get("url", ""))
        path = "/".join(f"job/{part}" for part in self._job.split("/"))
        return address.rstrip("/").endswith(f"/{path}") or not address

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        import jenkins
        import requests

        try:
            yield
        except (jenkins.JenkinsException, requests.RequestException, ValueError, KeyError, TypeError) as error:
            said = " ".join(str(error).split())[:SHOWN] or type(error).__name__
            refused = any(mark in said for mark in REFUSED)
            mend = "see jenkins.user, its token and the rights of that user." if refused else "see that it answers."
            raise RunnerFailed(
                f"{self.name} could not be asked {what}: {said}.",
                next_step=mend,
                everything=refused or NO_JOB.search(said) is not None or isinstance(error, requests.ConnectionError),
            ) from error


def _parameters_in(about: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a build or a queued item."""
    return {
        str(entry.get("name")): str(entry.get("value"))
        for action in about.get("actions", ())
        for entry in (action or {}).get("parameters", ())
    }


def _is_about(parameters: Mapping[str, str], change: Change) -> bool:
    wanted = (str(change.number), str(change.current.number))
    return (parameters.get(NUMBER), parameters.get(PATCH_SET)) == wanted
