"""Named verbs of one Jenkins, by python-jenkins. Each raises JenkinsFailed, NotThere where the job is not there."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ci_scripts.jenkins.errors import JenkinsFailed, NoRight, NotThere

if TYPE_CHECKING:
    from ci_scripts.jenkins.client import Client

READ, CONFIGURE, CREATE, DELETE, BUILD = "Job/Read", "Job/Configure", "Job/Create", "Job/Delete", "Job/Build"
JOB_TREE = "fullName,buildable,disabled,nextBuildNumber,inQueue,property[parameterDefinitions[name,type]]"
BUILD_FIELDS = (
    "number,queueId,result,building,timestamp,duration,description,url,"
    "actions[parameters[name,value]],artifacts[fileName,relativePath]"
)
QUEUE_TREE = "items[id,why,cancelled,inQueueSince,task[name,url],actions[parameters[name,value]],executable[number]]"
# So many Jenkins hands out without being asked for more.
MOST_BUILDS = 100
LONGEST_NAME = 512


@dataclass(frozen=True)
class JobState:
    """``parameters`` are those that the job declares: Jenkins drops others."""

    name: str
    disabled: bool
    next_number: int
    parameters: frozenset[str]


@dataclass
class Server:
    """``client`` is `client.Client`. Names of jobs are whole names: ``folder/job``."""

    client: Client

    @property
    def url(self) -> str:
        return self.client.url

    def user_name(self) -> str:
        """Whom Jenkins takes us for; empty where it does not say."""
        with self._asking("who we are", "Overall/Read"):
            found = self.client.get_whoami()
        return str(found.get("fullName") or found.get("id") or "")

    def is_there(self) -> None:
        """Ask for the least there is."""
        with self._asking("its state", "Overall/Read"):
            self.client.json("", "mode,useSecurity,quietingDown")

    def plugins(self) -> list[Any] | None:
        """The installed plug-ins as python-jenkins has them; None where the list is not ours to see."""
        try:
            with self._asking("its plug-ins", "Overall/Administer"):
                found = self.client.get_plugins()
                return list(found.values())
        except (NoRight, NotThere):
            return None

    def all_jobs(self) -> list[str]:
        """The names of all jobs and folders."""
        with self._asking("its jobs", READ):
            return sorted(str(job["fullname"]) for job in self.client.get_all_jobs())

    def job(self, name: str) -> JobState:
        with self._asking(f"job {name}", READ):
            found = self.client.json(path_of(name), JOB_TREE)
            declared = [
                str(one.get("name"))
                for entry in objects_in(found.get("property"))
                for one in objects_in(entry.get("parameterDefinitions"))
            ]
            # Hudson and jobs of older kinds have no field "disabled"; a folder has neither.
            disabled = found.get("disabled")
            if disabled is None:
                disabled = found.get("buildable") is False
            return JobState(name, bool(disabled), int(found.get("nextBuildNumber") or 1), frozenset(declared))

    def config(self, name: str) -> str | None:
        """The XML of a job, None where there is no such job."""
        try:
            with self._asking(f"the configuration of job {name}", "Job/ExtendedRead"):
                return str(self.client.get_job_config(name))
        except NotThere:
            return None

    def create(self, name: str, xml: str) -> None:
        with self._asking(f"making job {name}", CREATE):
            self.client.create_job(name, xml)

    def change(self, name: str, xml: str) -> None:
        with self._asking(f"changing job {name}", CONFIGURE):
            self.client.reconfig_job(name, xml)

    def delete(self, name: str) -> None:
        with self._asking(f"deleting job {name}", DELETE):
            self.client.delete_job(name)

    def set_disabled(self, name: str, disabled: bool) -> None:
        """And see that it is so: a folder, for one, cannot be disabled."""
        verb = "disabling" if disabled else "enabling"
        with self._asking(f"{verb} job {name}", CONFIGURE):
            (self.client.disable_job if disabled else self.client.enable_job)(name)
        if self.job(name).disabled != disabled:
            raise JenkinsFailed(
                f"{verb} job {name}: Jenkins {self.url} took it and did nothing.",
                next_step="see the job's page: is it a job that can be disabled?",
            )

    def builds(self, name: str, most: int) -> list[dict[str, Any]]:
        """The newest builds, newest first, as the remote API tells them."""
        with self._asking(f"the builds of job {name}", READ):
            try:
                found = self.client.json(path_of(name), f"builds[{BUILD_FIELDS}]{{0,{most}}}")
            except JenkinsFailed as error:
                # Before 1.568 there were no ranges.
                if error.status != 500:
                    raise
                found = self.client.json(path_of(name), f"builds[{BUILD_FIELDS}]")
            return [build for build in objects_in(found.get("builds")) if isinstance(build.get("number"), int)][:most]

    def build(self, name: str, number: int) -> dict[str, Any]:
        """One build as the remote API tells it."""
        with self._asking(f"build {number} of job {name}", READ):
            return {**self.client.json(f"{path_of(name)}{number}/", BUILD_FIELDS), "number": number}

    def artifact(self, name: str, number: int, path: str) -> str:
        """The text of an archived file of a build."""
        from urllib.parse import quote

        import requests

        with self._asking(f"{path} of build {number} of job {name}", "Run/Artifacts"):
            address = self.client.address(f"{path_of(name)}{number}/artifact/{quote(path)}")
            return str(self.client.jenkins_open(requests.Request("GET", address)))

    def queued(self, name: str) -> list[dict[str, Any]]:
        """What waits in the queue for this job."""
        with self._asking("the queue", READ):
            return [
                item
                for item in objects_in(self.client.json("queue/", QUEUE_TREE).get("items"))
                if is_of_job(item, name)
            ]

    def queue_item(self, number: int) -> dict[str, Any] | None:
        """An item of the queue, None when Jenkins has forgotten it: some minutes after its build has begun."""
        try:
            with self._asking(f"item {number} of the queue", READ):
                return dict(self.client.json(f"queue/item/{number}/", QUEUE_TREE.partition("[")[2].removesuffix("]")))
        except NotThere:
            return None

    def start(self, name: str, parameters: Mapping[str, str] | None) -> int | None:
        """Ask for a build; its number in the queue, None from a server that does not tell (Hudson).

        ``parameters`` is None for a job that declares none. They go into the body: addresses are logged.
        """
        import requests

        verb = "build" if parameters is None else "buildWithParameters"
        with self._asking(f"a build of job {name}", BUILD):
            request = requests.Request("POST", self.client.address(f"{path_of(name)}{verb}"), data=parameters or {})
            place = str(self.client.jenkins_request(request).headers.get("Location", ""))
        found = re.search(r"/queue/item/([0-9]{1,18})/?$", place)
        return int(found[1]) if found else None

    @contextlib.contextmanager
    def _asking(self, what: str, right: str) -> Iterator[None]:
        import jenkins  # type: ignore[import-untyped]

        try:
            with self.client.doing(what, right):
                yield
        except jenkins.NotFoundException as error:
            raise self._not_there(what, right) from error
        except (jenkins.JenkinsException, ValueError, KeyError, TypeError, AttributeError) as error:
            said = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", str(error))[:300] or type(error).__name__
            if "folder" in said and "does not exist" in said:
                raise self._not_there(what, right) from error
            raise JenkinsFailed(
                f"{what}: Jenkins {self.url} answered what makes no sense: {said}.", next_step="see Jenkins' own log."
            ) from error

    def _not_there(self, what: str, right: str) -> NotThere:
        return NotThere(
            f"{what}: it does not exist on Jenkins {self.url} (404): deleted, renamed, or {self.client.user} may not "
            "see it.",
            next_step=f"see its name and the right {right} of {self.client.user}; ci-operate jenkins update makes the "
            "jobs of the definitions again.",
        )


def path_of(name: str) -> str:
    """A job's address below the server's: ``job/folder/job/name/``."""
    from urllib.parse import quote

    return "".join(f"job/{quote(part, safe='')}/" for part in name.split("/"))


def is_of_job(item: Mapping[str, Any], name: str) -> bool:
    """Whether an item of the queue is a build of this job; where the item does not say, its short name decides."""
    from urllib.parse import urlsplit

    task = item.get("task") or {}
    address = urlsplit(str(task.get("url", ""))).path
    if address:
        return address.rstrip("/").endswith("/" + path_of(name).rstrip("/"))
    return str(task.get("name", "")) == name.rpartition("/")[2]


def parameters_in(about: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a build or a queued item."""
    return {
        str(entry.get("name")): str(entry.get("value"))
        for action in objects_in(about.get("actions"))
        for entry in objects_in(action.get("parameters"))
    }


def objects_in(value: object) -> list[dict[str, Any]]:
    """The objects of a list; none where it is no list, or holds something else."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
