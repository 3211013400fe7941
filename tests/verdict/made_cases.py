"""Runs with their trials, made by hand: a good run, and what a test changes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ci_scripts.history.records import ControlRecord, OtherFailure
from ci_scripts.verdict.gate_runs import Case, GateRun
from ci_scripts.verdict.node_evidence import LeftoverFact, ProbeFact
from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.proof import Proof, ProofItem
from ci_scripts.verdict.read_stream import StreamContent
from ci_scripts.verdict.rerun_facts import RoundFact
from ci_scripts.verdict.run_facts import RunFacts, ServiceFact, StageFact
from ci_scripts.verdict.tests_file import TestsReport, compare
from ci_scripts.verdict.verdict import Facts, Verdict

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
END = START + timedelta(minutes=10)
A, B, C = "m.First.test_a", "m.First.test_b", "m.Second.test_c"
CHECK = "checks.controller-holds-what-neutron-holds"
PROVED = Proof((ProofItem("patch set under test", True, "held"), ProofItem("driver loaded by Neutron", True, "fake")))
SHA = "a" * 40
RUN_JSON: dict[str, Any] = {"schema": 1, "run_id": "run-1", "gate": {"kind": "local"}}


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def stage(
    name: str,
    exit_code: int | None = 0,
    outcome: str | None = None,
    reason: str | None = None,
    *,
    with_change: bool = True,
) -> StageFact:
    """A stage that took the ten minutes from START to END."""
    ended = None if exit_code is None else text(END)
    return StageFact(name, text(START), ended, exit_code, reason, outcome, with_change=with_change)


def service(name: str, state: str = "stopped", exit_status: int | None = None, shard: str | None = "0") -> ServiceFact:
    return ServiceFact(name, shard, state, exit_status, text(START), text(END), f"logs/gate/shard0/{name}.log")


NODE = ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest")
STAGES = tuple(stage(name) for name in NODE)
HEALTHY = (service("keystone"), service("neutron"))


def report(
    statuses: Mapping[str, str],
    *,
    missing: Iterable[str] = (),
    selected: bool = True,
    truncated: bool = False,
    hung: Iterable[str] = (),
) -> TestsReport:
    """What a stream with these outcomes gives; ``missing`` were selected too, ``hung`` began and did not end."""
    tests = [
        TestOutcome(name, status, START + timedelta(seconds=number), 0.5, f"worker-{number % 2}")  # type: ignore[arg-type]
        for number, (name, status) in enumerate(statuses.items())
    ]
    tests += [TestOutcome(name, "incomplete", START, None, "worker-0", "the stream ends") for name in hung]
    content = StreamContent("v2", tests, ["it is cut"] if truncated else [], truncated, 100)
    return compare(content, [*statuses, *hung, *missing] if selected else None)


def round_of(mode: str, statuses: Mapping[str, str], number: int = 1, **more: Any) -> RoundFact:
    """A round that came to its end, but for ``problem=`` or ``ended=None``; ``more`` as for ``report``."""
    name = f"neighbours-{number}" if mode == "neighbours" else mode
    problem, ended = more.pop("problem", None), more.pop("ended", text(END))
    return RoundFact(name, mode, text(START), ended, problem, f"logs/reruns/{name}.subunit", report(statuses, **more))


def alone(**statuses: str) -> RoundFact:
    """The failed tests alone: ``alone(a="failed")`` is A failed again."""
    return round_of("alone", named(statuses))


def beside(*rounds: Mapping[str, str]) -> tuple[RoundFact, ...]:
    """Rounds with their neighbours, one after the other."""
    return tuple(round_of("neighbours", named(statuses), number) for number, statuses in enumerate(rounds, 1))


def named(statuses: Mapping[str, str]) -> dict[str, str]:
    known = {"a": A, "b": B, "c": C, "check": CHECK}
    return {known.get(name, name): status for name, status in statuses.items()}


def red(phase: str = "during", probe: str = "controller", moment: datetime = START, **more: Any) -> ProbeFact:
    return ProbeFact(moment, phase, probe, more.get("shard"), True, "refused", more.get("line", 1))


def left(name: str, count: int, shard: str | None = "0", before: int = 2) -> LeftoverFact:
    lines = tuple(f"thing {number}" for number in range(count))
    return LeftoverFact(name, shard, before, before + count, count, lines)


def facts_of_run(
    stages: Sequence[StageFact] = STAGES,
    services: Sequence[ServiceFact] | None = HEALTHY,
    **run: Any,
) -> RunFacts:
    return RunFacts({**RUN_JSON, **run}, tuple(stages), None if services is None else tuple(services))


def with_stages(*changed: StageFact) -> tuple[StageFact, ...]:
    """The stages of a good run, with these instead of those of the same name, or beside them."""
    names = {entry.name: entry for entry in changed}
    kept = tuple(names.pop(entry.name, entry) for entry in STAGES)
    return (*kept, *names.values())


def the_run(statuses: Mapping[str, str] | None = None, **more: Any) -> GateRun:
    """The run itself: ``statuses`` by short name (a, b, c, check), ``more`` by the names of GateRun and RunFacts."""
    tests = more.pop("tests", None) or report(named(statuses or {"a": "passed", "b": "passed", "c": "skipped"}))
    return _gate_run(".", "run", "", tests, more)


def trial(number: int, role: str, mode: str, *rounds: RoundFact, **more: Any) -> GateRun:
    """A trial that was taken to its end, but for what ``more`` says."""
    return _gate_run(f"trials/{number}-{role}", role, mode, compare(StreamContent(), None), {**more, "rounds": rounds})


def control(mode: str, *rounds: RoundFact, number: int = 1, **more: Any) -> GateRun:
    return trial(number, "control", mode, *rounds, **more)


def change(mode: str, *rounds: RoundFact, number: int = 2, **more: Any) -> GateRun:
    return trial(number, "change", mode, *rounds, **more)


def _gate_run(folder: str, role: Any, mode: str, tests: TestsReport, more: dict[str, Any]) -> GateRun:
    stages, services = more.pop("stages", STAGES), more.pop("services", HEALTHY)
    problems = more.pop("damaged", ())
    found = facts_of_run(stages, services, **more.pop("run", {}))
    found = dataclasses.replace(found, problems=tuple(problems), early_outcome=more.pop("early_outcome", None))
    parts = {name: tuple(more.pop(name, ())) for name in ("rounds", "probes", "leftovers")}
    assert not more, more
    return GateRun(folder, role, mode, found, tests, **parts)  # type: ignore[arg-type]


def case_of(run: GateRun, *trials: GateRun) -> Case:
    return Case(run, trials)


def facts(run: GateRun, *trials: GateRun, **more: Any) -> Facts:
    """All evidence, proved, without a history, but for what ``more`` says."""
    return Facts(Case(run, trials), more.pop("proof", PROVED), **more)


# A failed test that failed again alone; with the trials that blame the change; with those that show it no more.
FAILS, PASSES = alone(a="failed"), alone(a="passed")
AGAIN = the_run({"a": "failed", "b": "passed"}, rounds=[FAILS])
BLAMED = (control("alone", PASSES), change("alone", FAILS))
FLAKY_ROUNDS = (PASSES, *beside({"a": "passed", "b": "passed"}, {"a": "passed", "b": "passed"}))
FLAKY = the_run({"a": "failed", "b": "passed"}, rounds=FLAKY_ROUNDS)
NOT_REPRODUCED = (
    control("alone", PASSES),
    change("alone", PASSES),
    control("all", round_of("all", {A: "passed"}), number=3),
    change("all", round_of("all", {A: "passed"}), number=4),
)
OTHER_CODE = Proof((ProofItem("patch set under test", False, "p at x does not hold y"),))
HALF_PROVED = Proof(
    (ProofItem("patch set under test", True, "held"), ProofItem("driver installed", False, "no commit"))
)


def other(run_id: str, number: str | None, **more: Any) -> OtherFailure:
    role = "change" if number is not None else "control"
    values = {"time": START, "role": role, "project": "p", "patch_set": "1", "outcome": "FAILURE", "blame": "unknown"}
    return OtherFailure(run_id=run_id, change=number, **{"flaky": False, **values, **more})


ELSEWHERE = {A: (other("r1", "11"), other("r2", "12"))}


def past(**more: Any) -> ControlRecord:
    passed, failed = frozenset(more.pop("passed", ())), frozenset(more.pop("failed", ()))
    return ControlRecord("run-0", START - timedelta(hours=3), "SUCCESS", failed, passed, more.pop("probes_green", True))


def elsewhere_than_local(run: GateRun) -> GateRun:
    return dataclasses.replace(run, facts=dataclasses.replace(run.facts, run={"gate": {"kind": "devstack"}}))


def run_with(**parts: Any) -> GateRun:
    """The run of AGAIN with other parts of it."""
    made = {"statuses": {"a": "failed", "b": "passed"}, "rounds": [FAILS], **parts}
    return the_run(made.pop("statuses"), **made)


Expected = tuple[str, str, str, int]
BEFORE = with_stages(stage("run-gate", 3, None, "the probe controller is red", with_change=False))


def brief(verdict: Verdict) -> Expected:
    return verdict.rule, verdict.outcome, verdict.blame, verdict.exit_code
