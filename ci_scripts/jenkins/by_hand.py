"""A build that a person asks for: its parameters, and waiting until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ci_scripts.errors import ConfigurationError, InfrastructureError
from ci_scripts.jenkins.builds import Build, one_build
from ci_scripts.jenkins.job_runner import NUMBER, PATCH_SET
from ci_scripts.jenkins.server import MOST_BUILDS, Server, parameters_in
from ci_scripts.views.clean_text import for_terminal

# Without these the test job cannot know which change it is about.
NEEDED = (NUMBER, PATCH_SET, "GERRIT_PROJECT", "GERRIT_BRANCH", "GERRIT_REFSPEC")
# A build that is not seen so long after its item left the queue did not begin.
START_SECONDS = 120.0
LONGEST_WHY = 300


@dataclass(frozen=True)
class Asked:
    """A build that was asked for. ``queue_id``: None where the server does not tell; ``mark``: its least number."""

    job: str
    parameters: Mapping[str, str]
    queue_id: int | None
    mark: int


@dataclass(frozen=True)
class Waiting:
    """Seconds between two looks and in all, and who is told what the build waits for or how far it is."""

    poll: float
    longest: float
    tell: Callable[[str], None]


def ask(server: Server, job: str, parameters: Mapping[str, str]) -> Asked:
    """Ask for a build, with those of the parameters that the job declares: Jenkins drops others (SECURITY-170).

    Raises ConfigurationError where the job does not declare what it is to test, InfrastructureError where it is
    disabled, JenkinsFailed.
    """
    state = server.job(job)
    if state.disabled:
        raise InfrastructureError(
            f"job {job} is disabled.", next_step="enable it: ci-operate jenkins resume, or on its page."
        )
    lacking = [name for name in NEEDED if name in parameters and name not in state.parameters]
    if lacking:
        raise ConfigurationError(
            f"job {job} does not declare the parameters {', '.join(lacking)}: Jenkins would drop them.",
            next_step="declare them as string parameters; the definitions in jenkins-jobs do.",
        )
    sent = {name: value for name, value in parameters.items() if name in state.parameters}
    return Asked(job, sent, server.start(job, sent if state.parameters else None), state.next_number)


def wait_for(server: Server, asked: Asked, waiting: Waiting) -> Build:
    """The build when it has ended. Raises InfrastructureError where it was cancelled or takes too long."""
    deadline = time.monotonic() + waiting.longest
    number = _begun(server, asked, waiting, deadline)
    waiting.tell(f"build {number} is running")
    while True:
        data = server.build(asked.job, number)
        # For a moment a build that has ended has no result yet.
        if not data.get("building") and data.get("result"):
            return one_build(server, asked.job, number)
        _pause(waiting, deadline, f"build {number} of {asked.job} is still running")


def _begun(server: Server, asked: Asked, waiting: Waiting, deadline: float) -> int:
    """The number of the build, once it has one."""
    why, unseen_since = "", None
    while True:
        item = _item(server, asked)
        if item is not None:
            unseen_since = None
            if item.get("cancelled"):
                raise InfrastructureError(
                    f"the build of {asked.job} was cancelled while it waited in the queue.",
                    next_step="ask whoever did that: a person, or Gerrit Trigger for a newer patch set.",
                )
            started = item.get("executable")
            if isinstance(started, dict) and isinstance(started.get("number"), int):
                return int(started["number"])
            if item.get("why") and item["why"] != why:
                why = str(item["why"])[:LONGEST_WHY]
                waiting.tell(f"it waits: {why}")
        elif (number := _among_builds(server, asked)) is not None:
            return number
        else:
            unseen_since = unseen_since or time.monotonic()
            if time.monotonic() - unseen_since > START_SECONDS:
                raise InfrastructureError(
                    f"the build of {asked.job} is neither in the queue nor among the builds.",
                    next_step="see the job's page: it may have been deleted.",
                )
        _pause(waiting, deadline, f"the build of {asked.job} still waits in the queue ({why or 'it is not said why'})")


def _item(server: Server, asked: Asked) -> Mapping[str, object] | None:
    if asked.queue_id is not None:
        return server.queue_item(asked.queue_id)
    items = server.queued(asked.job)
    return next((item for item in items if _is_ours(parameters_in(item), asked)), None)


def _among_builds(server: Server, asked: Asked) -> int | None:
    """Jenkins forgets an item of the queue some minutes after its build has begun."""
    builds = [build for build in server.builds(asked.job, MOST_BUILDS) if int(build.get("number", 0)) >= asked.mark]
    known = [build for build in builds if asked.queue_id is not None and build.get("queueId") == asked.queue_id]
    by_words = [build for build in builds if asked.queue_id is None and _is_ours(parameters_in(build), asked)]
    return min((int(build["number"]) for build in known or by_words), default=None)


def _is_ours(parameters: Mapping[str, str], asked: Asked) -> bool:
    """By the change where there is one: a server may fill in the rest."""
    names = [name for name in (NUMBER, PATCH_SET) if name in asked.parameters] or list(asked.parameters)
    return all(parameters.get(name) == asked.parameters[name] for name in names)


def _pause(waiting: Waiting, deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        said = for_terminal(what, one_line=True)
        raise InfrastructureError(
            f"{said} after {waiting.longest / 60:.0f} minutes, and is not waited for any more.",
            next_step="see it with 'ci-operate jenkins builds'.",
        )
    time.sleep(waiting.poll)
