"""A service of the gate: what the supervisor starts, and what it records about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

STARTING, RUNNING, STOPPED, DIED, HUNG = "starting", "running", "stopped", "died", "hung"


@dataclass(frozen=True)
class Service:
    """One process of the gate. ``health_url`` is asked every few seconds; any answer at all will do."""

    name: str
    shard: int | None
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    log: str
    health_url: str | None = None
    user: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """How people are told of it: neutron, or neutron of shard 1."""
        return self.name if self.shard is None else f"{self.name} (shard {self.shard})"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Service:
        user = data["user"]
        return cls(**{**data, "argv": tuple(data["argv"]), "user": tuple(user) if user else None})


@dataclass
class ServiceStatus:
    """What is known of a service; ``exit_status`` is -N when signal N ended it. Times are ISO 8601 in UTC."""

    name: str
    shard: int | None
    log: str
    state: str = STARTING
    pid: int | None = None
    start_ticks: str | None = None
    started: str | None = None
    ended: str | None = None
    exit_status: int | None = None
    reason: str | None = None

    @property
    def is_bad(self) -> bool:
        return self.state in (DIED, HUNG)


@dataclass
class GateStatus:
    """The supervisor's file: itself and its services."""

    supervisor_pid: int
    supervisor_ticks: str | None
    services: list[ServiceStatus] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateStatus:
        services = [ServiceStatus(**entry) for entry in data["services"]]
        return cls(data["supervisor_pid"], data["supervisor_ticks"], services)


def spec_file(gate_dir: Path) -> Path:
    """What the supervisor is to run: its services and its owner."""
    return gate_dir / "supervisor.json"
