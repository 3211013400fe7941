"""How a running gate is reached: what start-gate writes and run-tempest and the checks read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError
from ci_scripts.workspace import SCHEMA, Workspace, read_json, write_text_atomically


@dataclass(frozen=True)
class ShardAccess:
    """One pair of Keystone and Neutron: addresses, the administrator, and Tempest's folder for it."""

    index: int
    keystone_url: str
    neutron_url: str
    service_urls: Mapping[str, str]
    username: str
    password: str
    project_name: str
    domain_name: str
    region: str
    tempest_dir: str

    def environment(self) -> dict[str, str]:
        """The variables that OpenStack's clients read (openrc), for a check."""
        return {
            "OS_AUTH_URL": self.keystone_url,
            "OS_USERNAME": self.username,
            "OS_PASSWORD": self.password,
            "OS_PROJECT_NAME": self.project_name,
            "OS_USER_DOMAIN_NAME": self.domain_name,
            "OS_PROJECT_DOMAIN_NAME": self.domain_name,
            "OS_REGION_NAME": self.region,
            "OS_IDENTITY_API_VERSION": "3",
        }

    def placeholders(self) -> dict[str, str]:
        """What {keystone.url}, {neutron.url}, {shard} and {service.NAME.url} stand for."""
        urls = {f"service.{name}.url": url for name, url in self.service_urls.items()}
        return {
            "shard": str(self.index),
            "keystone.url": self.keystone_url,
            "neutron.url": self.neutron_url,
            **urls,
        }


def _access_file(workspace: Workspace) -> Path:
    return workspace.gate_dir / "access.json"


def write_access(workspace: Workspace, shards: list[ShardAccess]) -> None:
    """Write it for the stages that follow; readable by its owner only, it holds a password."""
    data = {"schema": SCHEMA, "shards": [asdict(shard) for shard in shards]}
    write_text_atomically(_access_file(workspace), json.dumps(data, indent=1) + "\n", mode=0o600)


def read_access(workspace: Workspace) -> list[ShardAccess]:
    """Raises ConfigurationError where no gate is running."""
    if not _access_file(workspace).exists():
        raise ConfigurationError("no gate is running in this workspace.", next_step="run ci-start-gate first.")
    data: dict[str, Any] = read_json(_access_file(workspace))
    return [ShardAccess(**entry) for entry in data["shards"]]


def remove_access(workspace: Workspace) -> None:
    """The gate is gone: nobody may take its old addresses for real."""
    _access_file(workspace).unlink(missing_ok=True)
