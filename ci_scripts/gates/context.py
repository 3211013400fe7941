"""What every kind of gate is given to work with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ci_scripts.stage_log import StageRecord
from ci_scripts.workspace import Workspace

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings


@dataclass(frozen=True)
class GateContext:
    """``run`` is run.json; ``env`` what child processes get, ``stage_env`` what stages in hooks need besides;
    ``secret_values`` fill {secret.NAME} and are masked.
    """

    settings: Settings
    workspace: Workspace
    run: Mapping[str, Any]
    env: Mapping[str, str]
    stage_env: Mapping[str, str]
    secret_values: Mapping[str, str]
    record: StageRecord

    def __post_init__(self) -> None:
        from ci_scripts.settings import values_to_mask

        self.record.mask(values_to_mask(self.settings, self.secret_values))

    @classmethod
    def of_run(
        cls,
        workspace: Workspace,
        record: StageRecord,
        environment: Mapping[str, str],
        flags: Mapping[str, object] = MappingProxyType({}),
    ) -> GateContext:
        """The settings that prepare-gate used, read again, with ``flags`` by dotted path over them.

        ``environment`` is that of this process. Raises ConfigurationError when there is no run or ci.yaml is wrong.
        """
        from ci_scripts.settings import command_environment, load_settings, secret_values, stage_environment

        run = workspace.read_run()
        settings = load_settings(Path(run["config"]), flags=flags, environment=environment)
        return cls(
            settings=settings,
            workspace=workspace,
            run=run,
            env=command_environment(environment),
            stage_env=stage_environment(settings, flags=flags, environment=environment),
            secret_values=secret_values(settings, environment),
            record=record,
        )

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
        return {
            "workspace": str(self.workspace.root),
            "python": sys.executable,
            "openstack_python": str(self.workspace.environments_dir / "openstack" / "bin" / "python"),
            "config_dir": str(self.settings.config_path.parent),
            **{f"secret.{name}": value for name, value in self.secret_values.items()},
        }
