"""What the stages and the gate of a run wrote about themselves, read strictly and within bounds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ci_scripts.untrusted_words import word_problem
from ci_scripts.verdict.untrusted_file import open_regular, read_object

UNIT_TESTS = "run-unit-tests"
# They say 1 when tests failed: that is a result, not a failure of the stage.
TESTING = ("run-tempest", UNIT_TESTS)
NODE_STAGES = ("prepare-gate", "run-gate", "install-driver", "start-gate", *TESTING, "stop-gate")
# They say themselves whether the change had a part in it.
SAY_SO = ("prepare-gate", "run-gate", UNIT_TESTS)
TRUSTED_STAGES = ("summarize-results", "publish-logs", "report-to-gerrit")
EARLY_OUTCOMES = ("SKIPPED", "MERGER_FAILURE")
STATES = ("starting", "running", "stopped", "died", "hung")
MAX_STAGES = 50
MAX_SERVICES = 500
MAX_WORDS = 2_000
TAIL = 4_000


@dataclass(frozen=True)
class StageFact:
    """One stages/<name>.json. ``exit_code`` is None where the stage did not live to write it.

    ``with_change`` says whether the change had a part in it when it ended.
    """

    name: str
    started: str | None
    ended: str | None
    exit_code: int | None
    reason: str | None
    outcome: str | None
    steps: tuple[tuple[str, str | None, float | None], ...] = ()
    with_change: bool = True


@dataclass(frozen=True)
class ServiceFact:
    """One service of the gate as its supervisor last saw it."""

    name: str
    shard: str | None
    state: str
    exit_status: int | None
    started: str | None
    ended: str | None
    log: str | None
    tail: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """Everything but the tests.

    ``services`` is None where the gate left no status. ``early_outcome`` is SKIPPED or MERGER_FAILURE where
    prepare-gate ended the run.
    """

    run: dict[str, Any]
    stages: tuple[StageFact, ...]
    services: tuple[ServiceFact, ...] | None
    problems: tuple[str, ...] = ()
    early_outcome: str | None = None

    def stage(self, name: str) -> StageFact | None:
        """The stage of this name, if it left a file."""
        return next((stage for stage in self.stages if stage.name == name), None)


def read_run_facts(root: Path) -> RunFacts:
    """Read run.json, stages/*.json and logs/gate/gate-status.json of a workspace.

    What is missing is left out; what is damaged is said in ``problems``. Never raises on account of a file.
    """
    problems: list[str] = []
    run = _with_plain_id(_object(root, root / "run.json", problems) or {}, problems)
    stages = []
    for name in _stage_names(root):
        data = _object(root, root / "stages" / f"{name}.json", problems)
        if data is not None:
            stages.append(_stage(name, data))
    status = _object(root, root / "logs" / "gate" / "gate-status.json", problems)
    services = None if status is None else tuple(_services(root, status))
    # By start, so that evidence is told in the order in which things happened.
    stages.sort(key=lambda stage: (stage.started or "", stage.name))
    early = _early_outcome(root, stages)
    return RunFacts(run, tuple(stages), services, tuple(problems), early)


def _with_plain_id(run: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """A run id ends up in paths, addresses and comments: one that is no plain word is left out, and a problem."""
    run_id = run.get("run_id")
    if run_id is None or (isinstance(run_id, str) and word_problem(run_id) is None and ".." not in run_id):
        return run
    problems.append(f"run.json: run_id {ascii(run_id)[:100]} is not one plain word")
    return {key: value for key, value in run.items() if key != "run_id"}


def _early_outcome(root: Path, stages: list[StageFact]) -> str | None:
    """What prepare-gate said if it was the last stage: in its stage file, or in the verdict it wrote."""
    if any(stage.name in NODE_STAGES[1:] for stage in stages):
        return None
    words = [stage.outcome for stage in stages if stage.name == "prepare-gate"]
    verdict = _object(root, root / "verdict.json", [])
    words.append(_words((verdict or {}).get("outcome")))
    return next((word for word in words if word in EARLY_OUTCOMES), None)


def _object(root: Path, path: Path, problems: list[str]) -> dict[str, Any] | None:
    name = path.relative_to(root)
    try:
        data = read_object(path, inside=root)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        problems.append(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}")
        return None
    if data.get("schema") != 1:
        problems.append(f"{name} has schema {str(data.get('schema'))[:20]!r}; this version reads 1")
        return None
    return data


def _stage_names(root: Path) -> list[str]:
    try:
        with os.scandir(root / "stages") as entries:
            names = sorted(entry.name[:-5] for entry in entries if entry.name.endswith(".json"))
    except OSError:
        return []
    return [name for name in names if not name.startswith(".")][:MAX_STAGES]


def _stage(name: str, data: dict[str, Any]) -> StageFact:
    steps = []
    for step in _dicts(data.get("steps"), 500):
        seconds = step.get("seconds")
        steps.append((_words(step.get("name")) or "", _words(step.get("started")), _number(seconds)))
    return StageFact(
        name=name[:100],
        started=_words(data.get("started")),
        ended=_words(data.get("ended")),
        exit_code=_integer(data.get("exit_code")),
        reason=_words(data.get("reason")),
        outcome=_words(data.get("outcome")),
        steps=tuple(steps),
        # All other stages work with what the change is part of.
        with_change=data.get("with_change") is True if name in SAY_SO else True,
    )


def _services(root: Path, status: dict[str, Any]) -> Iterable[ServiceFact]:
    for entry in _dicts(status.get("services"), MAX_SERVICES):
        state = entry.get("state")
        log = _in_workspace(_words(entry.get("log")))
        shard = entry.get("shard")
        yield ServiceFact(
            name=_words(entry.get("name")) or "unnamed",
            shard=None if shard is None else str(shard)[:20],
            # A word that is not known is no sign of health.
            state=state if state in STATES else "starting",
            exit_status=_integer(entry.get("exit_status")),
            started=_words(entry.get("started")),
            ended=_words(entry.get("ended")),
            log=log,
            tail=_tail(root, log) if log and state in ("died", "hung") else None,
        )


def _in_workspace(log: str | None) -> str | None:
    """A path as the node wrote it, made relative: here the workspace may be in another place."""
    found = re.search(r"(?:^|/)(logs/gate/[^/\0]+(?:/[^/\0]+){0,3})\Z", log or "")
    return found.group(1) if found else log


def _tail(root: Path, log: str) -> str | None:
    path = Path(log) if Path(log).is_absolute() else root / log
    try:
        with open_regular(path, root) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            return stream.read(TAIL).decode("utf-8", "replace")
    except OSError:
        return None


def _dicts(value: object, limit: int) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)][:limit] if isinstance(value, list) else []


def _words(value: object) -> str | None:
    return value[:MAX_WORDS] if isinstance(value, str) and value else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def seconds_of_run(facts: RunFacts) -> float | None:
    """Seconds from the start of the first stage on the node to the end of the last one; None if unknown."""
    moments = []
    for stage in facts.stages:
        if stage.name in NODE_STAGES:
            moments += [moment for moment in map(moment_of, (stage.started, stage.ended)) if moment is not None]
    return round((max(moments) - min(moments)).total_seconds(), 3) if len(moments) > 1 else None


def is_good(stage: StageFact) -> bool:
    """Whether a stage came to its end, with failed tests or without."""
    return stage.exit_code in ((0, 1) if stage.name in TESTING else (0,))


def moment_of(text: str | None) -> datetime | None:
    """A time of a file in UTC; None if there is none, it cannot be read, or it has no time zone."""
    try:
        moment = datetime.fromisoformat(text) if text else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
