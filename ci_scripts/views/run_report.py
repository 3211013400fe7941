"""What a view is made from."""

from __future__ import annotations

from dataclasses import dataclass

from ci_scripts.verdict.gate_runs import GateRun
from ci_scripts.verdict.rerun_facts import RoundFact
from ci_scripts.verdict.run_facts import RunFacts
from ci_scripts.verdict.tests_file import TestsReport
from ci_scripts.verdict.verdict import Verdict


@dataclass(frozen=True)
class RunReport:
    """A run with its verdict. ``packages`` are the lines of logs/packages.txt; ``rounds`` are reruns on its own gate,
    ``trials`` those on fresh ones.
    """

    verdict: Verdict
    tests: TestsReport
    facts: RunFacts
    packages: tuple[str, ...] = ()
    rounds: tuple[RoundFact, ...] = ()
    trials: tuple[GateRun, ...] = ()

    @property
    def title(self) -> str:
        """The change in few words, as far as run.json tells."""
        change = self.facts.run.get("change")
        change = change if isinstance(change, dict) else {}
        number, patchset = change.get("number"), change.get("patchset")
        project = str(change.get("project") or "")[:200]
        if not number:
            return project or "Run without a change"
        return f"{project} {str(number)[:20]},{str(patchset)[:20]}".strip()
