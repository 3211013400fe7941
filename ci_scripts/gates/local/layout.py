"""Where the local gate keeps its files: one folder per shard for what it runs on, one for its logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ci_scripts.workspace import Workspace

INSIDE = Path(__file__).with_name("inside")


@dataclass(frozen=True)
class ShardLayout:
    """Folders of one Keystone and Neutron pair."""

    workspace: Workspace
    index: int

    @property
    def root(self) -> Path:
        return self.workspace.gate_dir / f"shard{self.index}"

    @property
    def keystone(self) -> Path:
        return self.root / "keystone"

    @property
    def neutron(self) -> Path:
        return self.root / "neutron"

    @property
    def tempest(self) -> Path:
        return self.root / "tempest"

    @property
    def logs(self) -> Path:
        return self.workspace.gate_logs / f"shard{self.index}"

    def make_folders(self) -> None:
        for folder in (self.keystone, self.neutron, self.tempest, self.logs):
            folder.mkdir(parents=True, exist_ok=True)


def openstack_environment(workspace: Workspace) -> Path:
    """The run's own environment with Keystone, Neutron and the driver."""
    return workspace.environments_dir / "openstack"


def driver_config_dir(workspace: Workspace) -> Path:
    """What install-driver left of neutron_config; its placeholders are filled when a shard starts."""
    return workspace.gate_dir / "neutron_config"
