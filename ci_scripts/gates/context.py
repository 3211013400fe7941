"""What every kind of gate is given to work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings


@dataclass(frozen=True)
class GateContext:
    """``run`` is run.json; ``env`` what child processes get; ``secret_values`` fill {secret.NAME} and are masked."""

    settings: Settings
    workspace: Workspace
    run: Mapping[str, Any]
    env: Mapping[str, str]
    secret_values: Mapping[str, str]
    record: StageRecord

    @property
    def branch(self) -> str:
        """The branch of the change under test."""
        return str(self.run["change"]["branch"])

    @property
    def checkouts(self) -> dict[str, Path]:
        """The source trees of the run by project."""
        found = self.run.get("checkouts", {})
        return {name: self.workspace.root / entry["path"] for name, entry in found.items()}

    def placeholders(self) -> dict[str, str]:
        """The placeholders that are the same in every shard."""
        import sys

        return {
            "workspace": str(self.workspace.root),
            "python": sys.executable,
            "openstack_python": str(self.workspace.environments_dir / "openstack" / "bin" / "python"),
            "config_dir": str(self.settings.config_path.parent),
            **{f"secret.{name}": value for name, value in self.secret_values.items()},
        }
