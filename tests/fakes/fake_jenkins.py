"""A Jenkins in memory over real HTTP on loopback, after its remote API: crumbs, folders, a queue, builds, rights.

Stands in for Jenkins, which is in no package registry. A build begins when there is a free executor and ends when a
test says so (`end`) or by itself (``looks``: how often it is looked at before it ends).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree.ElementTree import ParseError

from tests.fakes.jenkins_http import TOKEN, USER, Answer, Handler
from tests.fakes.jenkins_jobs import FOLDER_XML, FakeBuild, FakeJob, job_xml, parameters_action

__all__ = ["TOKEN", "USER", "FakeJenkins"]

NOT_FOUND: Answer = (404, "<html><head><title>Error 404 Not Found</title></head></html>", {})
# Which right a request needs, by its method and the end of its path.
RIGHTS = (
    ("POST", "/createItem", "Job/Create"),
    ("POST", "/config.xml", "Job/Configure"),
    ("POST", "/disable", "Job/Configure"),
    ("POST", "/enable", "Job/Configure"),
    ("POST", "/doDelete", "Job/Delete"),
    ("POST", "/build", "Job/Build"),
    ("POST", "/buildWithParameters", "Job/Build"),
    ("POST", "/stop", "Job/Cancel"),
    ("GET", "/config.xml", "Job/ExtendedRead"),
    ("GET", "/pluginManager/api/json", "Overall/Administer"),
    ("GET", "/api/json", "Overall/Read"),
)


@dataclass
class FakeJenkins:
    """``asked`` is called with the parameters while a build is being asked for; ``forget``: the queue is empty.

    ``denied`` are rights that the user lacks; ``misbehaves`` is how every path that contains the key is answered:
    "html", "hang", "drip", "huge", "elsewhere"; ``restarts`` is how many requests are answered with 503.
    """

    job: str = "ci/test-neutron"
    executors: int = 100
    looks: int = 2
    crumbs: bool = True
    forget: bool = False
    asked: Callable[[dict[str, str]], None] = lambda parameters: None
    builds: list[FakeBuild] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[tuple[str, int]] = field(default_factory=list)
    most_running: int = 0
    earlier: int = 40
    denied: set[str] = field(default_factory=set)
    misbehaves: dict[str, str] = field(default_factory=dict)
    restarts: int = 0
    plugins: dict[str, str] = field(default_factory=lambda: {"gerrit-trigger": "2.40.0"})

    def __post_init__(self) -> None:
        self.lock, self.over = threading.RLock(), threading.Event()
        self.crumb = "c1"
        self.jobs = {self.job: FakeJob(self.job, job_xml(), earlier=self.earlier)}
        parts = self.job.split("/")[:-1]
        for place in range(len(parts)):
            self.add_folder("/".join(parts[: place + 1]))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.jenkins = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> FakeJenkins:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def path(self) -> str:
        return _path(self.job)

    def add_folder(self, name: str) -> None:
        self.jobs[name] = FakeJob(name, FOLDER_XML)

    def fail_next(self, path: str, status: int, count: int = 1) -> None:
        """The next requests whose path contains ``path`` are answered with ``status``; 0 cuts the connection after."""
        self.faults += [(path, status)] * count

    def restart(self, requests: int) -> None:
        """So many requests are answered as by a Jenkins that starts; sessions and their crumbs end."""
        self.restarts, self.crumb = requests, f"{self.crumb}+"

    def changes(self) -> list[int]:
        """The changes that were asked for, in order."""
        return [int(build.parameters["GERRIT_CHANGE_NUMBER"]) for build in self.builds]

    def changed(self) -> list[str]:
        """The paths of what was posted."""
        return [path for method, path in self.requests if method == "POST"]

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """Status, JSON or text, and headers."""
        if path == "/crumbIssuer/api/json":
            crumb = {"crumbRequestField": "Jenkins-Crumb", "crumb": self.crumb}
            return (200, crumb, {}) if self.crumbs else NOT_FOUND
        for verb, end, right in RIGHTS:
            if method == verb and path.endswith(end) and right in self.denied:
                return _denied(right)
        if path in ("/api/json", "/me/api/json", "/pluginManager/api/json", "/queue/api/json"):
            return self._of_server(path)
        if found := re.fullmatch(r"/queue/item/(\d+)/api/json", path):
            return self._queued(int(found[1]))
        if found := re.fullmatch(r"((?:/job/[^/]+)*)/createItem", path):
            return self._create(unquote(found[1]), query["name"], body)
        found = re.fullmatch(r"((?:/job/[^/]+)+)/((?:\d+/)?(?:api/json|[A-Za-z.]+|artifact/.+))", path)
        job = self.jobs.get("/".join(unquote(found[1]).split("/job/")[1:])) if found else None
        if found is None or job is None:
            return NOT_FOUND
        if numbered := re.fullmatch(r"(\d+)/(.+)", found[2]):
            return self._of_build(job, int(numbered[1]), numbered[2])
        return self._of_job(method, job, found[2], query, body)

    def _of_server(self, path: str) -> Answer:
        if path == "/me/api/json":
            return 200, {"fullName": "The Operator", "id": USER}, {}
        if path == "/pluginManager/api/json":
            entries = [{"shortName": name, "longName": name, "version": text} for name, text in self.plugins.items()]
            return 200, {"plugins": entries}, {}
        if path == "/queue/api/json":
            return 200, {"items": [self._item(build) for build in self.builds if not build.number]}, {}
        return 200, {"mode": "NORMAL", "useSecurity": True, "quietingDown": False, "jobs": self._listed("")}, {}

    def _listed(self, folder: str) -> list[dict[str, Any]]:
        below = [job for job in self.jobs.values() if job.name.rpartition("/")[0] == folder]
        return [
            {
                "name": job.name.rpartition("/")[2],
                "url": f"{self.url}{_path(job.name)}/",
                **({"jobs": self._listed(job.name)} if job.is_folder else {"color": "blue"}),
            }
            for job in below
        ]

    def _create(self, place: str, name: str, body: bytes) -> Answer:
        folder = "/".join(place.split("/job/")[1:])
        whole = f"{folder}/{name}" if folder else name
        if folder and not (folder in self.jobs and self.jobs[folder].is_folder):
            return NOT_FOUND
        if whole in self.jobs:
            return 400, "", {"X-Error": f"A job already exists with the name {name}"}
        try:
            job = FakeJob(whole, "<project/>")
            job.configure(body.decode())
        except ParseError:
            return 500, "<html><h1>Oops!</h1><p>A problem occurred while processing the request.</p></html>", {}
        self.jobs[whole] = job
        return 200, "", {}

    def _of_job(self, method: str, job: FakeJob, verb: str, query: dict[str, str], body: bytes) -> Answer:
        home = {"Location": f"{self.url}{_path(job.name)}/"}
        if verb == "api/json":
            return 200, self._job(job), {}
        if verb == "config.xml" and method == "GET":
            return 200, job.xml, {"Content-Type": "application/xml"}
        if verb == "config.xml":
            job.configure(body.decode())
            return 200, "", {}
        if verb in ("disable", "enable") and not job.is_folder:
            job.switch(verb == "disable")
            return 302, "", home
        if verb == "doDelete":
            gone = [name for name in self.jobs if name == job.name or name.startswith(f"{job.name}/")]
            for name in gone:
                del self.jobs[name]
            return 302, "", {"Location": f"{self.url}/"}
        if verb in ("build", "buildWithParameters"):
            given = {**query, **dict(parse_qsl(body.decode(), keep_blank_values=True))}
            return self._build(job, verb == "buildWithParameters", given)
        return NOT_FOUND

    def _build(self, job: FakeJob, with_parameters: bool, given: dict[str, str]) -> Answer:
        if job.disabled:
            return 409, "", {"X-Error": f"{job.name} is not buildable"}
        if with_parameters != bool(job.declared):
            return 500, "<html><p>This build is not parameterized!</p></html>", {}
        # SECURITY-170: what is not declared is dropped; what is not given has its default.
        build = FakeBuild(len(self.builds) + 1, {name: given.get(name, "") for name in job.declared}, job=job.name)
        self.builds.append(build)
        self._start()
        self.asked(build.parameters)
        return 201, "", {"Location": f"{self.url}/queue/item/{build.queue}/"}

    def _start(self) -> None:
        for build in self.builds:
            running = sum(bool(one.number) and not one.ended for one in self.builds)
            if not build.number and not build.cancelled and running < self.executors:
                numbers = [one.number for one in self.builds if one.number and one.job == build.job]
                build.number = 1 + max(numbers, default=self.jobs[build.job].earlier)
        running = sum(not one.ended and not one.cancelled for one in self.builds)
        self.most_running = max(self.most_running, running)

    def _item(self, build: FakeBuild) -> dict[str, Any]:
        task = {"name": build.job.rpartition("/")[2], "url": f"{self.url}{_path(build.job)}/"}
        item = {
            "id": build.queue,
            "task": task,
            "actions": [{}, parameters_action(build)],
            "cancelled": build.cancelled,
        }
        return {**item, **({"executable": {"number": build.number}} if build.number else {"why": "Waiting"})}

    def _queued(self, number: int) -> Answer:
        found = [build for build in self.builds if build.queue == number]
        if not found or (self.forget and found[0].number):
            return NOT_FOUND
        return 200, self._item(found[0]), {}

    def _of_build(self, job: FakeJob, number: int, verb: str) -> Answer:
        found = [build for build in self.builds if build.number == number and build.job == job.name]
        if not found:
            return NOT_FOUND
        build = found[0]
        if verb == "stop":
            build.ended, build.result = True, "ABORTED"
            return 302, "", {"Location": f"{self.url}{_path(job.name)}/{number}/"}
        if verb.startswith("artifact/"):
            content = build.artifacts.get(unquote(verb.removeprefix("artifact/")))
            return (
                NOT_FOUND
                if content is None
                else (200, content.decode(errors="replace"), {"Content-Type": "text/plain"})
            )
        build.looks += 1
        if self.looks and build.looks >= self.looks:
            build.ended = True
            self._start()
        return 200, build.as_json(f"{self.url}{_path(job.name)}/"), {}

    def _job(self, job: FakeJob) -> dict[str, Any]:
        if job.is_folder:
            return {
                "_class": "com.cloudbees.hudson.plugins.folder.Folder",
                "name": job.name.rpartition("/")[2],
                "fullName": job.name,
            }
        built = sorted((one for one in self.builds if one.number and one.job == job.name), key=lambda one: -one.number)
        builds = [build.as_json(f"{self.url}{_path(job.name)}/") for build in built]
        if job.earlier:
            old = {"GERRIT_CHANGE_NUMBER": "1", "GERRIT_PATCHSET_NUMBER": "1"}
            builds.append(FakeBuild(0, old, number=job.earlier, ended=True).as_json(f"{self.url}{_path(job.name)}/"))
        last = builds[0]["number"] if builds else 0
        declared = {
            "parameterDefinitions": [{"name": name, "type": "StringParameterDefinition"} for name in job.declared]
        }
        return {
            "_class": "hudson.model.FreeStyleProject",
            "name": job.name.rpartition("/")[2],
            "fullName": job.name,
            "nextBuildNumber": last + 1,
            "builds": builds,
            "buildable": not job.disabled,
            "disabled": job.disabled,
            "property": [{}, declared] if job.declared else [],
        }


def _path(job: str) -> str:
    return "".join(f"/job/{part}" for part in job.split("/"))


def _denied(right: str) -> Answer:
    page = f"<html><h1>Access Denied</h1><p>{USER} is missing the {right} permission</p></html>"
    return 403, page, {"X-You-Are-Authenticated-As": USER}
