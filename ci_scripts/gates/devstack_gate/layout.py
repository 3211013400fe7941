"""Where devstack-gate and what it makes are: in the run's workspace, and below BASE on the node."""

from __future__ import annotations

from pathlib import Path

from ci_scripts.gates.context import GateContext
from ci_scripts.workspace import Workspace

WRAPPER = "devstack-vm-gate-wrap.sh"
# Jobs copy the wrapper before they run it: devstack-gate's own checkout may be changed by the run.
SAFE_WRAPPER = f"safe-{WRAPPER}"
GATE_SCRIPT = "devstack-vm-gate.sh"


class WrapperLayout:
    """The wrapper's own WORKSPACE, inside of the run's: it deletes ``logs`` there, and later makes it a link.

    ``base`` is where the wrapper puts everything on the node (BASE), ``dest`` DevStack's DEST below it.
    """

    def __init__(self, workspace: Workspace, base: Path) -> None:
        self.root = workspace.gate_dir / "wrapper"
        self.checkout = self.root / "devstack-gate"
        self.script = self.root / SAFE_WRAPPER
        self.repositories = self.root / "git"
        self.logs = self.root / "logs"
        self.localrc = self.root / "ci-localrc"
        self.post_config = self.root / "ci-local.conf"
        self.hook_environment = self.root / "ci-hook-environment.sh"
        self.console = workspace.logs / "devstack-gate.log"
        self.collected = workspace.gate_logs / "devstack-gate"
        self.base = base
        self.base_logs = base / "logs"
        self.dest = base / "new"
        self.devstack = self.dest / "devstack"

    @classmethod
    def of(cls, context: GateContext) -> WrapperLayout:
        """That of a run; BASE is ``gate.devstack.base``."""
        return cls(context.workspace, context.settings.gate.devstack.base)
