"""How far the wrapper has come, by what it says on its standard output. Pure.

The words are those of devstack-vm-gate-wrap.sh and functions.sh at the pinned commit. What hooks say goes the same way,
so only whole lines count, and a phase never begins again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

START, HOST, PROJECTS = "start the wrapper", "set up the host", "set up the workspace"
PRE, GATE, POST = "pre_test_hook", "gate_hook", "post_test_hook"
DUMP, CLEANING = "worlddump", "clean up the host"
ORDER = (START, HOST, PROJECTS, PRE, GATE, DUMP, POST, CLEANING)
HOOKS = (PRE, GATE, POST)
# What the wrapper says when a phase begins.
BEGINS = {
    "Setting up the hosts": HOST,
    "Setting up the workspace": PROJECTS,
    "Running pre_test_hook": PRE,
    "Running gate_hook": GATE,
    "Running devstack worlddump.py": DUMP,
    "Running post_test_hook": POST,
    "Cleaning up host": CLEANING,
}
FAILED = {
    "ERROR: the pre-test setup script run by this job failed - exit code: ": PRE,
    "ERROR: the main setup script run by this job failed - exit code: ": GATE,
}
NO_TIME = "Already timed out."
TIME_LEFT = re.compile(r"Job timeout set to: (-?\d{1,9}) minutes")
KILLED = 137
_CODE = re.compile(r"\d{1,3}")


@dataclass
class Phases:
    """``codes`` are the exit codes of hooks as the wrapper told them, ``limit`` the minutes that the last hook got,
    ``no_time`` the hook for which none were left.
    """

    now: str = START
    begun: list[str] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)
    limit: int | None = None
    no_time: str | None = None
    _asked: int = 0

    def read(self, line: str) -> str | None:
        """Take one line; the phase that begins with it, if one does."""
        line = line.rstrip("\r")
        if found := TIME_LEFT.fullmatch(line):
            self.limit = int(found[1])
            self._asked += 1
        elif line == NO_TIME and self.no_time is None:
            self.no_time = self._asked_for()
        for words, hook in FAILED.items():
            if line.startswith(words) and _CODE.fullmatch(line.removeprefix(words)):
                self.codes.setdefault(hook, int(line.removeprefix(words)))
        phase = BEGINS.get(line)
        if phase is None or ORDER.index(phase) <= ORDER.index(self.now):
            return None
        self.now, self._asked = phase, 0
        self.begun.append(phase)
        return phase

    def _asked_for(self) -> str:
        """The hook whose time the wrapper has just asked for: gate_hook is named before that, the others after."""
        if self.now == GATE:
            return GATE if self._asked < 2 else POST
        return PRE if ORDER.index(self.now) < ORDER.index(GATE) else POST

    def ended_in(self) -> str:
        """The phase that failed, where the wrapper ended with a code other than 0."""
        if self.no_time is not None:
            return self.no_time
        failed = next((hook for hook in (PRE, GATE) if hook in self.codes), None)
        return failed or (POST if POST in self.begun else self.now)
