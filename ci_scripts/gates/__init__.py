"""The kinds of gate: each has the same functions, and this is their table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Protocol, cast

from ci_scripts.gates.context import GateContext
from ci_scripts.workspace import Workspace

RunWrapper = Callable[[GateContext, float, Callable[[], str | None]], None]

_KINDS = {
    "local": "ci_scripts.gates.local.gate",
    "devstack": "ci_scripts.gates.devstack.gate",
    "devstack-gate": "ci_scripts.gates.devstack_gate.gate",
}
# Where a program of somebody else's calls the hooks: the function that runs it.
_WRAPPERS = {"devstack-gate": "ci_scripts.gates.devstack_gate.wrapper_run"}


class Gate(Protocol):
    """What a kind of gate can do; each raises CIError with the reason and the log."""

    def prepare(self, context: GateContext) -> Mapping[str, str]:
        """Make what the gate needs before it starts; the Python environments by name."""

    def require_stopped(self, workspace: Workspace) -> None:
        """Raise ConfigurationError when a gate runs in this workspace already."""

    def start_services(self, context: GateContext, owner: int | None) -> None:
        """Start the vendor's services; they end when process ``owner`` does."""

    def install_driver(self, context: GateContext) -> str:
        """Install the driver and render its configuration; the driver in words. Writes logs/driver.json."""

    def start(self, context: GateContext) -> None:
        """Bring OpenStack up until a token was issued and used, and configure Tempest."""

    def placeholders(self, context: GateContext) -> list[dict[str, str]]:
        """What the placeholders of ci.yaml stand for once the services run, for each shard."""

    def problem(self, context: GateContext) -> str | None:
        """Why the running gate is not healthy: a service that died or hangs, with the end of its log."""

    def stop(self, context: GateContext) -> None:
        """End everything that was started; does nothing where nothing runs."""


def gate_of(kind: str) -> Gate:
    """The functions of a kind of gate; ci.yaml allows no other kinds than those here."""
    return cast(Gate, importlib.import_module(_KINDS[kind]))


def wrapper_of(kind: str) -> RunWrapper | None:
    """What runs the wrapper that calls the hooks on this kind of gate, within seconds; None where ci-run-gate does.

    Its last argument is asked twice a second for a reason to stop.
    """
    if kind not in _WRAPPERS:
        return None
    return cast(RunWrapper, importlib.import_module(_WRAPPERS[kind]).run_wrapper)


def has_trials(kind: str) -> bool:
    """Whether the same node can take another gate: DevStack's is used once, and its control is in the history."""
    return kind == "local"
