"""A round: some tests once more, into a stream of their own in logs/reruns/, with what was asked in reruns.json."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ci_scripts import aborts
from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.access import read_access
from ci_scripts.gates.context import GateContext
from ci_scripts.tempest import checks
from ci_scripts.tempest.crew import Crew, GateWatch, Part, TimeIsUp
from ci_scripts.tempest.progress import Progress
from ci_scripts.tempest.runners import Runner, TempestRunner
from ci_scripts.tempest.stream_writer import StreamWriter
from ci_scripts.verdict.read_stream import read_stream
from ci_scripts.verdict.tests_file import TestsReport, compare
from ci_scripts.workspace import SCHEMA, Workspace, read_json, utc_text, write_json_atomically


@dataclass(frozen=True)
class RoundPlan:
    """``mode`` is alone, neighbours or all; ``seconds`` the most it may take."""

    name: str
    mode: str
    parts: tuple[Part, ...]
    seconds: float
    one_at_a_time: bool = False
    with_checks: bool = False

    def with_seconds(self, seconds: float) -> RoundPlan:
        """The same within another time."""
        return replace(self, seconds=seconds)

    def as_json(self) -> dict[str, Any]:
        """As a trial's trial.json holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RoundPlan:
        """Raises KeyError or TypeError where it is none."""
        parts = tuple(Part(part["worker"], part["shard"], tuple(part["tests"])) for part in data["parts"])
        return cls(**{**data, "parts": parts})


def rounds_folder(workspace: Workspace) -> Path:
    """Where the streams of reruns are, with reruns.json."""
    return workspace.reruns


def forget_rounds(workspace: Workspace) -> None:
    """Old results must not pass for those of this run."""
    shutil.rmtree(rounds_folder(workspace), ignore_errors=True)


def write_plans(workspace: Workspace, plans: Sequence[RoundPlan]) -> None:
    """What ci-run-tempest is to run in the workspace of a trial."""
    write_json_atomically(_plans_file(workspace), {"schema": SCHEMA, "rounds": [plan.as_json() for plan in plans]})


def read_plans(workspace: Workspace) -> list[RoundPlan]:
    """Raises InfrastructureError for a file that is missing or damaged."""
    path = _plans_file(workspace)
    try:
        return [RoundPlan.from_json(entry) for entry in read_json(path)["rounds"]]
    except (KeyError, TypeError) as error:
        raise InfrastructureError(f"{path} is damaged: {error!r}.", next_step="run ci-run-gate --control.") from error


def _plans_file(workspace: Workspace) -> Path:
    return workspace.root / "rounds.json"


def run_round(context: GateContext, plan: RoundPlan, *, watched: bool, runner: Runner | None = None) -> TestsReport:
    """Run it on the gate that is up; what became of its tests. A round whose time was up says so in reruns.json.

    ``runner`` is whose tests they are, Tempest's by default.

    Raises InfrastructureError when the gate breaks or a worker fails.
    """
    folder = rounds_folder(context.workspace)
    folder.mkdir(parents=True, exist_ok=True)
    shards = read_access(context.workspace)
    selected = [test for part in plan.parts for test in part.tests]
    selected += checks.check_ids(context, shards) if plan.with_checks else []
    stream = folder / f"{plan.name}.subunit"
    entry: dict[str, Any] = {
        "name": plan.name,
        "mode": plan.mode,
        "stream": str(stream.relative_to(context.workspace.root)),
        "started": utc_text(),
        "ended": None,
        "problem": None,
        "selected": selected,
    }
    _note(folder, entry)
    deadline = time.monotonic() + plan.seconds
    crew = Crew(runner or TempestRunner(context), folder / plan.name, deadline, GateWatch(context))
    say = context.record.say
    with (
        context.record.step(f"run {len(selected)} tests again ({plan.name})"),
        Progress(len(selected), say, watched=watched) as progress,
        StreamWriter(stream, progress.ended) as writer,
    ):
        try:
            with aborts.deferred():
                crew.start([(part.worker, shards[part.shard]) for part in plan.parts])
            crew.run([part.tests for part in plan.parts], writer, progress, one_at_a_time=plan.one_at_a_time)
            if plan.with_checks:
                checks.run_checks(context, shards, writer)
        except TimeIsUp as error:
            entry["problem"] = error.what
            say(error.what)
        finally:
            with aborts.deferred():
                crew.stop()
    _note(folder, {**entry, "ended": utc_text()})
    return compare(read_stream(stream), selected)


def _note(folder: Path, entry: dict[str, Any]) -> None:
    path = folder / "reruns.json"
    known: Sequence[dict[str, Any]] = read_json(path)["rounds"] if path.exists() else ()
    rounds = [*(other for other in known if other["name"] != entry["name"]), entry]
    write_json_atomically(path, {"schema": SCHEMA, "rounds": rounds})
