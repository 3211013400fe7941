"""What a view is made from."""

from __future__ import annotations

from dataclasses import dataclass

from ci_scripts.verdict.run_facts import RunFacts
from ci_scripts.verdict.tests_file import TestsReport
from ci_scripts.verdict.verdict import Verdict


@dataclass(frozen=True)
class RunReport:
    """A run with its verdict. ``packages`` are the lines of logs/packages.txt."""

    verdict: Verdict
    tests: TestsReport
    facts: RunFacts
    packages: tuple[str, ...] = ()

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
