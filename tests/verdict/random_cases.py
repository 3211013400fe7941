"""Strategies of hypothesis: runs, trials and facts of every shape, and the answers of gates to wanted trials."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from ci_scripts.verdict.asked_for import AskedFor
from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import MODES, Case, GateRun
from ci_scripts.verdict.log_scan import SignatureHit
from ci_scripts.verdict.proof import Proof
from ci_scripts.verdict.rerun_facts import RoundFact
from ci_scripts.verdict.tests_file import TestsReport
from ci_scripts.verdict.trial_plan import WantedTrial
from ci_scripts.verdict.verdict import Facts
from tests.verdict.made_cases import (
    CHECK,
    ELSEWHERE,
    HALF_PROVED,
    OTHER_CODE,
    PROVED,
    STAGES,
    START,
    A,
    B,
    C,
    left,
    other,
    red,
    report,
    round_of,
    service,
    stage,
    the_run,
    trial,
)

FIXTURE = "setUpClass (m.First)"
NAMES = (A, B, C, CHECK, FIXTURE)
names = st.sampled_from(NAMES)
statuses = st.dictionaries(names, st.sampled_from(["passed", "passed", "failed", "skipped"]), max_size=5)
STAGE_NAMES = (*(entry.name for entry in STAGES), "stop-gate", "control-runs")
codes = st.sampled_from([0, 0, 0, 1, 2, 3, 3, 70, 130, 143, None])
outcomes = st.sampled_from([None, None, "TIMED_OUT", "DISK_FULL"])
state = st.sampled_from(["stopped", "stopped", "running", "starting", "died", "hung"])


@st.composite
def reports(draw: st.DrawFn) -> TestsReport:
    known = draw(statuses)
    rest = [name for name in NAMES if name not in known]
    hung = draw(st.lists(st.sampled_from(rest), unique=True, max_size=2)) if rest else []
    missing = [name for name in draw(st.lists(names, unique=True, max_size=2)) if name not in (*known, *hung)]
    truncated = draw(st.sampled_from([False, False, False, True]))
    return report(known, missing=missing, hung=hung, selected=draw(st.integers(0, 9)) > 0, truncated=truncated)


@st.composite
def rounds(draw: st.DrawFn, mode: str | None = None, number: int = 1) -> RoundFact:
    known = draw(statuses)
    missing = [name for name in draw(st.lists(names, unique=True, max_size=2)) if name not in known]
    ended = draw(st.sampled_from(["2026-01-31T12:10:00Z", "2026-01-31T12:10:00Z", None]))
    problem = draw(st.sampled_from([None, None, "its time was up"]))
    wanted = mode or draw(st.sampled_from(["alone", "alone", "neighbours", "all"]))
    return round_of(wanted, known, number, missing=missing, ended=ended, problem=problem)


@st.composite
def parts(draw: st.DrawFn) -> dict[str, Any]:
    """Stages, services, probes and leftovers of a gate, well or not."""
    stages = list(STAGES)
    for name in draw(st.lists(st.sampled_from(STAGE_NAMES), unique=True, max_size=2)):
        kept = [entry for entry in stages if entry.name != name]
        broken = stage(name, draw(codes), draw(outcomes), with_change=draw(st.booleans()))
        stages = [*kept, broken] if draw(st.integers(0, 4)) else kept
    probes = draw(st.lists(random_probes(), max_size=2)) if draw(st.booleans()) else []
    lost = [service(name, draw(state)) for name in ("neutron", "controller")] if draw(st.booleans()) else []
    left_behind = draw(
        st.lists(st.builds(left, st.sampled_from(["neutron", "controller"]), st.integers(0, 3)), max_size=2)
    )
    services = [service("keystone"), *lost] if draw(st.integers(0, 9)) else draw(st.sampled_from([None, []]))
    return {"stages": stages, "services": services, "probes": probes, "leftovers": left_behind}


@st.composite
def random_probes(draw: st.DrawFn) -> Any:
    moment = START + timedelta(seconds=draw(st.sampled_from([-3600, -10, 0, 300, 610, 3600])))
    return red(draw(st.sampled_from(["before", "during", "after"])), moment=moment)


@st.composite
def trials(draw: st.DrawFn) -> GateRun:
    role, mode = draw(st.sampled_from(["control", "change"])), draw(st.sampled_from(MODES))
    number = draw(st.integers(1, 20))
    return trial(number, role, mode, *draw(st.lists(rounds(), max_size=3)), **draw(parts()))


@st.composite
def runs(draw: st.DrawFn) -> GateRun:
    damaged = draw(st.sampled_from([(), (), (), ("run.json cannot be read",)]))
    run = draw(st.sampled_from([{}, {}, {"left_out": ["9,1 of p"]}, {"gate": None}]))
    again = draw(st.lists(rounds(), max_size=4))
    return the_run(tests=draw(reports()), rounds=again, damaged=damaged, run=run, **draw(parts()))


cases = st.builds(lambda run, more: Case(run, tuple(more)), runs(), st.lists(trials(), max_size=5))

HITS = (SignatureHit("disk-full-x", "ci", "no space", "free some", "logs/x.log", 1, "no space", 1, None),)
SHORT = (Evidence("resource", None, "12 MiB of disk were left for the workspace"),)


@st.composite
def all_facts(draw: st.DrawFn, case: st.SearchStrategy[Case] = cases) -> Facts:
    return Facts(
        draw(case),
        draw(st.sampled_from([PROVED, PROVED, PROVED, OTHER_CODE, HALF_PROVED, Proof()])),
        signatures=draw(st.sampled_from([(), HITS])),
        resources=draw(st.sampled_from([(), SHORT])),
        elsewhere=draw(st.sampled_from([{}, {}, ELSEWHERE, {A: (other("r1", None),)}])),
        asked_for=draw(st.sampled_from([None, None, None, AskedFor("7", "2", "p")])),
        missing=draw(st.sampled_from([(), (), (), ("the archive is cut",)])),
    )


@st.composite
def convicting(draw: st.DrawFn) -> Facts:
    """Facts near to those that blame a change: a test that failed twice, and a pair of trials of every quality."""
    run = the_run(
        tests=report({A: "failed", B: draw(st.sampled_from(["passed", "failed"]))}),
        rounds=[round_of("alone", {A: "failed"})],
        probes=draw(st.lists(random_probes(), max_size=1)),
    )
    more = []
    for number, role in enumerate(["control", "change"] * draw(st.integers(1, 2)), 1):
        usual = "passed" if role == "control" else "failed"
        result = {A: draw(st.sampled_from([usual, usual, usual, "passed", "failed", "skipped"]))}
        whole = draw(st.integers(0, 3)) > 0
        mode = draw(st.sampled_from(["alone", "alone", "alone", "all"]))
        seen = round_of(mode, result if whole else {}, missing=[] if whole else [A])
        more.append(trial(number, role, mode, seen, **(draw(parts()) if draw(st.booleans()) else {})))
    return Facts(Case(run, tuple(more)), PROVED)


def answer(draw: st.DrawFn, wanted: WantedTrial) -> GateRun:
    """What a gate may give for a wanted trial: anything."""
    count = {"start": 0, "alone": 1, "neighbours": min(wanted.rounds, 3), "all": 1}[wanted.mode]
    made = [draw(rounds(wanted.mode, number)) for number in range(1, count + 1)]
    if draw(st.booleans()):
        asked = wanted.suspects or (A, CHECK)
        status = draw(st.sampled_from(["passed", "failed"]))
        made = [round_of(wanted.mode, dict.fromkeys(asked, status), number) for number in range(1, count + 1)]
    return trial(wanted.number, wanted.role, wanted.mode, *made, **(draw(parts()) if draw(st.booleans()) else {}))
