"""Builds of a job as people ask for them: which change, how far, and our verdict. What Jenkins says is not trusted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from ci_scripts.jenkins.errors import JenkinsFailed
from ci_scripts.jenkins.job_runner import NUMBER, PATCH_SET
from ci_scripts.jenkins.server import Server, objects_in, parameters_in

State = Literal["queued", "running", "ended"]
BLAMES = ("change", "ci", "nobody", "unknown")
# As jenkins-jobs/ writes it into the description of a build.
VERDICT = re.compile(r"\b([A-Z][A-Z_]{2,30})(?: in [0-9a-z. ]{1,20})?, blame: (change|ci|nobody|unknown)\b")
LONGEST = 200
LONGEST_DESCRIPTION = 10_000


@dataclass(frozen=True)
class Verdict:
    """Outcome and blame, as the node said it: what is reported is decided anew on the trusted side."""

    outcome: str = ""
    blame: str = ""


@dataclass(frozen=True)
class Build:
    """``number`` is None while it waits, for ``why``; ``result`` is Jenkins' word, empty until it ends.

    ``change`` and ``patch_set`` are empty for a build without a change. ``seconds`` is how long it took.
    """

    number: int | None
    state: State
    change: str
    patch_set: str
    project: str
    result: str = ""
    verdict: Verdict = Verdict()
    started: datetime | None = None
    seconds: float | None = None
    queue_id: int | None = None
    why: str = ""
    url: str = ""

    def as_record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "number": self.number,
            "state": self.state,
            "change": self.change,
            "patch_set": self.patch_set,
            "project": self.project,
            "result": self.result,
            "outcome": self.verdict.outcome,
            "blame": self.verdict.blame,
            "started": self.started.isoformat() if self.started else None,
            "seconds": self.seconds,
            "queue_id": self.queue_id,
            "why": self.why,
            "url": self.url,
        }


def builds_of(server: Server, job: str, most: int) -> list[Build]:
    """What waits, then the newest builds, newest first. Raises JenkinsFailed."""
    server.job(job)
    waiting = [_waiting(item) for item in server.queued(job)]
    return [*waiting, *(_with_verdict(server, job, build) for build in server.builds(job, most))]


def one_build(server: Server, job: str, number: int) -> Build:
    """One build with its verdict. Raises JenkinsFailed."""
    return _with_verdict(server, job, server.build(job, number))


def verdict_in(description: object) -> Verdict:
    """The verdict that a build's description tells; empty where it tells none."""
    text = re.sub(r"<[^>]{0,200}>", " ", str(description or "")[:LONGEST_DESCRIPTION])
    found = VERDICT.search(text)
    return Verdict(found[1], found[2]) if found else Verdict()


def verdict_of_file(text: str) -> Verdict:
    """The verdict of a verdict.json; empty where it makes no sense."""
    try:
        data = json.loads(text)
        outcome, blame = data["outcome"], data["blame"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return Verdict()
    good = isinstance(outcome, str) and re.fullmatch(r"[A-Z][A-Z_]{2,30}", outcome) and blame in BLAMES
    return Verdict(outcome, blame) if good else Verdict()


def _with_verdict(server: Server, job: str, data: Mapping[str, Any]) -> Build:
    verdict = verdict_in(data.get("description"))
    path = _archived_verdict(data)
    if not verdict.outcome and path and not data.get("building"):
        try:
            verdict = verdict_of_file(server.artifact(job, int(data["number"]), path))
        except JenkinsFailed as error:
            # Deleted, or handed out by another server: then the build has no verdict for us.
            if error.everything and error.status not in (302, 303, 307, 403, 404):
                raise
    return _build(data, verdict)


def _archived_verdict(data: Mapping[str, Any]) -> str:
    paths = [
        str(entry.get("relativePath"))
        for entry in objects_in(data.get("artifacts"))
        if entry.get("fileName") == "verdict.json"
    ]
    # That of a trial lies deeper.
    return min((path for path in paths if ".." not in path), key=lambda path: (path.count("/"), path), default="")


def _build(data: Mapping[str, Any], verdict: Verdict) -> Build:
    parameters, building = parameters_in(data), bool(data.get("building"))
    began = _number(data.get("timestamp"))
    return Build(
        number=int(data["number"]),
        state="running" if building else "ended",
        change=_short(parameters.get(NUMBER)),
        patch_set=_short(parameters.get(PATCH_SET)),
        project=_short(parameters.get("GERRIT_PROJECT")),
        result="" if building else _short(data.get("result")),
        verdict=verdict,
        started=datetime.fromtimestamp(began / 1000, UTC) if began and 0 < began < 1e14 else None,
        seconds=None if building else _seconds(data.get("duration")),
        queue_id=_whole(data.get("queueId")),
        url=_short(data.get("url")),
    )


def _waiting(item: Mapping[str, Any]) -> Build:
    parameters = parameters_in(item)
    return Build(
        number=None,
        state="queued",
        change=_short(parameters.get(NUMBER)),
        patch_set=_short(parameters.get(PATCH_SET)),
        project=_short(parameters.get("GERRIT_PROJECT")),
        queue_id=_whole(item.get("id")),
        why=_short(item.get("why")),
    )


def _short(value: object) -> str:
    return "" if value is None else str(value)[:LONGEST]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _seconds(value: object) -> float | None:
    number = _number(value)
    return None if number is None or number < 0 else round(number / 1000, 1)
