"""The list: every fault of the table, in its order."""

from __future__ import annotations

from benchmarks.blame import (
    ci_faults_controller,
    ci_faults_gate,
    ci_faults_node,
    ci_faults_supply,
    regressions_driver,
    regressions_neutron,
)
from benchmarks.blame.case import DRIVER, NEUTRON, Case
from benchmarks.blame.case_run import CaseRun
from benchmarks.blame.example_site import HARMLESS, Regression
from benchmarks.blame.selections import FEW, NETWORKS_AND_PORTS
from benchmarks.blame.servers import controller_with

REGRESSIONS = (*regressions_driver.REGRESSIONS, *regressions_neutron.REGRESSIONS)
# Like others that are in the table; they run with --more.
MORE = tuple(entry.name for entry in regressions_driver.MORE_HOOKS)


def nothing(run: CaseRun) -> None:
    """A healthy site."""


def controller_with_a_limit(run: CaseRun) -> None:
    """The controller dies of a document of more than 20,000 bytes, which only this change sends."""
    controller_with(run, "chokes bytes=20000")


def one_minute(run: CaseRun) -> None:
    """The time for the tests, which take some seconds."""
    run.config["tempest"]["timeout_minutes"] = 1


ARRANGED = {"kills-controller": controller_with_a_limit, "slow-tests": one_minute}


def _regression(entry: Regression) -> Case:
    arrange = ARRANGED.get(entry.name, nothing)
    more = entry.name in MORE
    return Case(entry.name, "regression", entry.what, arrange, ("change",), entry.regex, entry.project, more=more)


def _healthy(name: str, what: str, project: str, regex: str) -> Case:
    return Case(name, "healthy", what, nothing, ("nobody",), regex, project, HARMLESS[project])


HEALTHY = (
    _healthy("healthy-driver", "a harmless change to the driver", DRIVER, NETWORKS_AND_PORTS),
    _healthy("healthy-neutron", "a harmless change to Neutron", NEUTRON, FEW),
)
CI_FAULTS = (
    *ci_faults_supply.CASES,
    *ci_faults_controller.CASES,
    *ci_faults_gate.CASES,
    *ci_faults_node.CASES,
)
CASES = (*HEALTHY, *CI_FAULTS, *map(_regression, REGRESSIONS))


def chosen(names: list[str], *, more: bool = False) -> tuple[Case, ...]:
    """The cases of these names (NAME* is a beginning), or all. Raises KeyError for a name that is none."""
    for name in names:
        if not any(_fits(case, name) for case in CASES):
            raise KeyError(name)
    if names:
        return tuple(case for case in CASES if any(_fits(case, name) for name in names))
    return tuple(case for case in CASES if more or not case.more)


def _fits(case: Case, name: str) -> bool:
    return case.name.startswith(name[:-1]) if name.endswith("*") else case.name == name
