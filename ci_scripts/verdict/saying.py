"""Facts in words, and as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.gate_runs import GateRun
from ci_scripts.verdict.log_scan import SignatureHit
from ci_scripts.verdict.node_evidence import ProbeFact
from ci_scripts.verdict.run_facts import ServiceFact, StageFact
from ci_scripts.verdict.tests_file import TestsReport, utc_text
from ci_scripts.verdict.trial_plan import why_unfit

MOST = 20
STREAM = "logs/testrepository.subunit"
PROBES = "logs/probes.jsonl"


def say_stage(stage: StageFact) -> str:
    """How a stage ended."""
    if stage.exit_code is None:
        return f"{stage.name} began and never said how it ended"
    return f"{stage.name} ended with {stage.exit_code}: {stage.reason or 'no reason given'}"


def say_service(service: ServiceFact) -> str:
    """How a service of the gate ended."""
    where = f"{service.name} of shard {service.shard}" if service.shard is not None else service.name
    if service.state == "starting":
        return f"{where} never became ready"
    how = f" with exit status {service.exit_status}" if service.exit_status is not None else ""
    return f"{where} {service.state}{how}" + (f" at {service.ended}" if service.ended else "")


def of_stage(stage: StageFact, folder: str = ".") -> Evidence:
    """A stage's end."""
    return Evidence("stage", stage.ended or stage.started, say_stage(stage), _in(folder, f"stages/{stage.name}.json"))


def of_service(service: ServiceFact, folder: str = ".") -> Evidence:
    """A service's end, with the end of its log."""
    text = say_service(service)
    if service.tail:
        text += "\n" + service.tail
    return Evidence("service", service.ended, text, service.log or _in(folder, "logs/gate/gate-status.json"))


def of_stream(tests: TestsReport) -> Evidence:
    """What the stream is."""
    stream = tests.stream
    return Evidence("stream", None, f"{stream.format}, {stream.bytes} bytes, {len(stream.tests)} outcomes", STREAM)


def of_probe(fact: ProbeFact, folder: str = ".") -> Evidence:
    """One answer of a probe."""
    state = "red" if fact.red else "green"
    where = f" (shard {fact.shard})" if fact.shard is not None else ""
    text = f"the probe {fact.probe}{where} was {state}" + (f": {fact.text}" if fact.text else "")
    return Evidence("probe", utc_text(fact.time), text, _in(folder, PROBES), fact.line)


def of_signature(hit: SignatureHit) -> Evidence:
    """A known failure in a log, with what to do about it."""
    times = f" ({hit.count} times)" if hit.count > 1 else ""
    text = f"{hit.id}: {hit.meaning}{times}: {hit.text}. To do: {hit.what_to_do}"
    return Evidence("signature", hit.time, text, hit.file, hit.line)


def of_trial(run: GateRun) -> Evidence:
    """How a trial ended, and the counts of its tests."""
    failed = run.failed_stage()
    counts = ", ".join(
        f"{entry.name}: {entry.tests.counts['passed']} passed, {entry.tests.counts['failed']} failed"
        + (f", {entry.tests.counts['incomplete']} did not end" if entry.tests.counts["incomplete"] else "")
        for entry in run.rounds
    )
    end = "was taken to its end" if run.finished() else f"did not come to its end ({why_unfit(run)})"
    outer = run.facts.stage("run-gate") or failed
    text = f"{run.label} ({run.mode}) {end}" + (f"; {counts}" if counts else "")
    return Evidence("control", outer.ended if outer else None, text, _in(run.folder, "run.json"))


def of_rounds(run: GateRun) -> Iterable[Evidence]:
    """The reruns on the gate of the run itself."""
    for entry in run.rounds:
        counts = entry.tests.counts
        words = f"{counts['passed']} passed, {counts['failed']} failed, {counts['incomplete']} did not end"
        how = "failed tests again, alone" if entry.mode == "alone" else "again with their neighbours"
        text = f"{entry.name}: {how}: {words}" + (f"; {entry.problem}" if entry.problem else "")
        yield Evidence("rerun", entry.ended or entry.started, text, entry.stream)


def first_of(reasons: Iterable[str]) -> tuple[str, ...]:
    """The first reasons, and how many more there are."""
    found = list(reasons)
    more = (f"and {len(found) - MOST} more",) if len(found) > MOST else ()
    return (*found[:MOST], *more)


def names_of(names: Sequence[str]) -> str:
    """A few names in one sentence."""
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown


def _in(folder: str, file: str) -> str:
    return file if folder == "." else f"{folder}/{file}"
