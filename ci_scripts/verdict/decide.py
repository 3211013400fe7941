"""The decision: an ordered list of named rules over the facts of a run. The first that holds decides.

Pure: the same facts always give the same verdict.
"""

from __future__ import annotations

from ci_scripts.verdict.context_of import context_of
from ci_scripts.verdict.rules_of_blame import BLAME
from ci_scripts.verdict.rules_of_the_run import AFTER_BLAME, BEFORE_BLAME
from ci_scripts.verdict.verdict import Facts, Finding, Rule, Verdict

RULES: tuple[Rule, ...] = (*BEFORE_BLAME, *BLAME, *AFTER_BLAME)


def decide(facts: Facts, *, run_id: str = "", made: str = "", seconds: float | None = None) -> Verdict:
    """The verdict of the first rule that holds. The last rule always does."""
    rule, finding = first_that_holds(facts)
    return Verdict(
        outcome=finding.outcome,
        blame=finding.blame,
        rule=rule.name,
        sentence=rule.sentence,
        otherwise=rule.otherwise,
        reasons=finding.reasons,
        evidence=finding.evidence,
        context=tuple(entry for entry in context_of(facts) if entry not in finding.evidence),
        moved=tuple(entry.text for entry in facts.moved),
        flaky=tuple(entry.symptom.name for entry in facts.judged("flaky")),
        proof=facts.proof,
        counts=facts.tests.counts,
        exit_code=finding.exit_code,
        seconds=seconds,
        run_id=run_id,
        made=made,
    )


def first_that_holds(facts: Facts) -> tuple[Rule, Finding]:
    """The rule that decides, and what it found."""
    for rule in RULES:
        finding = rule.find(facts)
        if finding is not None:
            return rule, finding
    raise AssertionError("the last rule holds for everything")
