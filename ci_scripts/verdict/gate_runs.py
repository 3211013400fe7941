"""A run and its trials, each as what its gate showed: stages, services, tests, reruns, probes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from ci_scripts.verdict.node_evidence import LeftoverFact, ProbeFact, read_leftovers, read_probes, red_during
from ci_scripts.verdict.read_stream import read_stream
from ci_scripts.verdict.rerun_facts import RoundFact, read_rounds
from ci_scripts.verdict.run_facts import (
    TESTING,
    UNIT_TESTS,
    RunFacts,
    StageFact,
    is_good,
    moment_of,
    read_run_facts,
)
from ci_scripts.verdict.tests_file import TestsReport, compare, read_selection

TRIALS = "trials"
CONTROL, CHANGE = "control", "change"
MODES = ("start", "alone", "neighbours", "all")
MAX_TRIALS = 20
_FOLDER = re.compile(r"([1-9][0-9]?)-(control|change)\Z")
IN_ORDER = ("prepare-gate", "run-gate", "install-driver", "start-gate", *TESTING)


@dataclass(frozen=True)
class GateRun:
    """What one gate showed. ``role`` is run, control or change; ``folder`` relative to the run's workspace."""

    folder: str
    role: Literal["run", "control", "change"]
    mode: str
    facts: RunFacts
    tests: TestsReport
    rounds: tuple[RoundFact, ...] = ()
    probes: tuple[ProbeFact, ...] = ()
    leftovers: tuple[LeftoverFact, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def shards(self) -> int:
        """How many pairs of Keystone and Neutron there were; of unit tests, how many workers."""
        if self.facts.stage(UNIT_TESTS) is not None:
            # A worker takes the place of a shard.
            return 1 + max((_number_in((test.worker or "").rpartition("-")[2]) for test in self.tests.tests), default=0)
        return len({service.shard for service in self.facts.services or () if service.name == "neutron"}) or 1

    @property
    def label(self) -> str:
        """How people are told of it: the run, control run 1, run 2 with the change."""
        if self.role == "run":
            return "the run"
        return f"control run {self.number}" if self.role == CONTROL else f"trial {self.number} with the change"

    @property
    def number(self) -> int:
        """A trial's number, 0 for the run itself."""
        return _number_in(self.folder.rpartition("/")[2].partition("-")[0])

    def failed_stage(self) -> StageFact | None:
        """The innermost stage that failed: what a hook called says more than run-gate, which called the hook."""
        for name in ("prepare-gate", "install-driver", "start-gate", *TESTING, "run-gate"):
            stage = self.facts.stage(name)
            if stage is not None and not is_good(stage):
                return stage
        return None

    @property
    def outer(self) -> StageFact | None:
        """The stage that took it from the start of the services to their end: run-gate, or that of unit tests."""
        return self.facts.stage("run-gate") or self.facts.stage(UNIT_TESTS)

    def finished(self) -> bool:
        """Whether it was taken through its gate to the end, with nothing of the gate lost on the way."""
        return self.failed_stage() is None and self.outer is not None and is_good(self.outer)

    def left_in(self, inventory: str) -> int:
        """How many things the tests left behind in an inventory, in all shards."""
        return sum(left.left_count for left in self.leftovers if left.name == inventory)

    def asked(self, inventory: str) -> frozenset[str | None]:
        """The shards in which an inventory could be asked, before the tests and after."""
        return frozenset(left.shard for left in self.leftovers if left.name == inventory)

    def red_probes(self) -> tuple[ProbeFact, ...]:
        """Red answers between the start of the first hook and the end, plus or minus one interval."""
        started, ended = self.times()
        if started is None or ended is None or ended < started:
            # Without times, or with a clock that jumped back, nobody can say which were meanwhile.
            return tuple(fact for fact in self.probes if fact.red)
        return red_during(self.probes, started, ended)

    def times(self) -> tuple[datetime | None, datetime | None]:
        """Start and end of ``outer``, None where they are not known."""
        outer = self.outer
        return (moment_of(outer.started), moment_of(outer.ended)) if outer is not None else (None, None)


@dataclass(frozen=True)
class Case:
    """A run with its trials, in the order in which they were made."""

    run: GateRun
    trials: tuple[GateRun, ...] = ()

    def of(self, role: str, mode: str) -> tuple[GateRun, ...]:
        """The trials of one role and mode."""
        return tuple(trial for trial in self.trials if trial.role == role and trial.mode == mode)


def read_case(root: Path) -> Case:
    """Everything that a workspace says of its run and trials. Never raises on account of a file."""
    run = _read(root, ".", "run", "")
    trials = []
    for name in _trial_names(root)[:MAX_TRIALS]:
        match = _FOLDER.match(name)
        assert match is not None
        role: Literal["control", "change"] = "control" if match.group(2) == CONTROL else "change"
        trial = _read(root / TRIALS / name, f"{TRIALS}/{name}", role, "")
        said = trial.facts.run.get("trial")
        mode = said.get("mode") if isinstance(said, dict) else None
        # One of which nobody knows what it was for, or that was made for another run in this folder, proves nothing.
        if mode in MODES and trial.facts.run.get("run_id") == f"{run.facts.run.get('run_id')}-{trial.number}":
            trials.append(replace(trial, mode=mode))
    return Case(run, tuple(trials))


def _read(root: Path, folder: str, role: Literal["run", "control", "change"], mode: str) -> GateRun:
    facts = read_run_facts(root)
    selected = read_selection(root / "logs" / "selected-tests.txt", inside=root)
    tests = compare(read_stream(root / "logs" / "testrepository.subunit", inside=root), selected)
    rounds, problems = read_rounds(root)
    probes, more = read_probes(root)
    leftovers, most = read_leftovers(root)
    return GateRun(folder, role, mode, facts, tests, rounds, probes, leftovers, (*problems, *more, *most))


def _number_in(word: str) -> int:
    return int(word) if word.isascii() and word.isdecimal() else 0


def _trial_names(root: Path) -> list[str]:
    folder = root / TRIALS
    if folder.is_symlink():
        return []
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    names = [name for name in found if _FOLDER.match(name)]
    return sorted(names, key=lambda name: (int(name.partition("-")[0]), name))
