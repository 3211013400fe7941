"""All evidence of a case beside what its rule rests on: for the report and for ci-operate explain."""

from __future__ import annotations

from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.saying import MOST, of_probe, of_rounds, of_service, of_signature, of_stage, of_trial
from ci_scripts.verdict.verdict import Facts

MAX_CONTEXT = 200


def context_of(facts: Facts) -> tuple[Evidence, ...]:
    """What moved first, then what happened in the order of the way of a change; at most 200 entries."""
    run = facts.case.run
    found: list[Evidence] = [*facts.moved]
    found += [of_stage(stage) for stage in facts.run.stages if stage.exit_code not in (0, None)]
    found += [of_service(entry) for entry in facts.run.services or () if entry.state in ("died", "hung")]
    found += [of_probe(fact) for fact in run.red_probes()[:MOST]]
    found += facts.resources
    found += [of_signature(hit) for hit in facts.signatures[:MOST]]
    found += of_rounds(run)
    found += [of_trial(trial) for trial in facts.case.trials]
    for left in run.leftovers:
        if left.left_count:
            where = f" (shard {left.shard})" if left.shard is not None else ""
            text = f"{left.name}{where}: {left.before} things before the tests, {left.after} after"
            text += f"; left behind: {', '.join(left.left[:5])}"
            found.append(Evidence("leak", None, text[:1000], "logs/leftovers.json"))
    problems = [
        *facts.left_out,
        *facts.unread,
        *run.problems,
        *(problem for trial in facts.case.trials for problem in trial.problems),
    ]
    found += [Evidence("file", None, problem) for problem in problems]
    return tuple(found[:MAX_CONTEXT])
