"""What ci.yaml says of the unit tests, and the settings of a run of them: one worker is one shard."""

from __future__ import annotations

import os
from dataclasses import replace

from ci_scripts.gates.context import GateContext
from ci_scripts.settings_model import Check, Settings
from ci_scripts.settings_unit_tests import UnitTests

MAX_WORKERS = 64


def unit_tests_of(settings: Settings) -> UnitTests:
    """The section, or what it is where ci.yaml has none."""
    return settings.unit_tests or UnitTests()


def workers_of(settings: Settings, by_hand: int | None = None) -> int:
    """How many workers: by hand, else unit_tests.concurrency; auto is one for each processor that we may use."""
    wanted = unit_tests_of(settings).concurrency
    auto = len(os.sched_getaffinity(0))
    return min(MAX_WORKERS, by_hand or (auto if wanted == "auto" else wanted))


def for_workers(context: GateContext, workers: int) -> GateContext:
    """The context of a run with so many workers: a gate of the vendor's services alone, whatever ``gate.kind`` is.

    A worker takes the place of a shard, so that it has the services of its own that are ``per_shard``. No OpenStack
    runs: its database is nobody's business, and checks and inventories are those of the unit tests.
    """
    settings = context.settings
    gate = settings.gate.model_copy(update={"kind": "local", "shards": workers, "database": "sqlite"})
    asked = unit_tests_of(settings).checks
    checks = tuple(Check(name=one.name, command=one.command, timeout_seconds=one.timeout_seconds) for one in asked)
    return replace(context, settings=settings.model_copy(update={"gate": gate, "checks": checks, "inventories": ()}))
