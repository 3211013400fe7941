"""How a trial goes: through a gate as its run did, or through unit tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ci_scripts.gates import gate_of
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.hooks import run_hooks
from ci_scripts.verdict.gate_runs import GateRun
from ci_scripts.verdict.run_facts import UNIT_TESTS
from ci_scripts.workspace import Workspace

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings


@dataclass(frozen=True)
class Way:
    """``stage`` is recorded while ``run`` takes the trial through within so many seconds, after ``prepare`` has made
    its environments. ``tests_seconds`` is the most that all tests may take.
    """

    stage: str
    prepare: Callable[[GateContext], Mapping[str, str]]
    run: Callable[[GateContext, float], None]
    tests_seconds: float


def ran_unit_tests(workspace: Workspace) -> bool:
    """Whether the run there was one of unit tests, which needs no gate."""
    return (workspace.stages_dir / f"{UNIT_TESTS}.json").exists()


def way_of(run: GateRun, settings: Settings) -> Way:
    """The way that ``run`` went."""
    if run.facts.stage(UNIT_TESTS) is None:
        gate = gate_of(settings.gate.kind)
        return Way("run-gate", gate.prepare, run_hooks, float(settings.tempest_timeout_seconds))
    from ci_scripts.unit_tests.configuration import unit_tests_of
    from ci_scripts.unit_tests.run import run_trial

    # Their environment is made with the driver in it, when the services are up.
    return Way(UNIT_TESTS, lambda context: {}, run_trial, 60.0 * unit_tests_of(settings).timeout_minutes)
