"""What Neutron and the vendor's systems hold, before the tests and after: what is more then was left behind."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.errors import CIError, InfrastructureError, Interrupted, Terminated
from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.placeholders import fill
from ci_scripts.run_command import last_lines, run
from ci_scripts.settings import values_to_mask
from ci_scripts.tempest.neutron_inventory import neutron_lines
from ci_scripts.workspace import SCHEMA, Workspace, write_json_atomically

if TYPE_CHECKING:
    from ci_scripts.settings_model import Inventory

NEUTRON = "neutron"
MAX_LINES = 100_000
MAX_TEXT = 300
MAX_LEFT = 100


@dataclass(frozen=True)
class Holding:
    """What one inventory told: its lines, or why it could not. ``shard`` is None for one that all shards share."""

    name: str
    shard: str | None
    lines: tuple[str, ...] = ()
    problem: str | None = None


def take(context: GateContext, shards: Sequence[ShardAccess]) -> list[Holding]:
    """Ask Neutron of each shard, then the ``inventories`` of ci.yaml: once for each shard in which the command reads
    differently, with the variables that OpenStack's clients read.

    Only an abort is raised: a holding says itself why it could not be asked.
    """
    found = [_holding(context, NEUTRON, str(shard.index), partial(neutron_lines, shard)) for shard in shards]
    for inventory in context.settings.inventories:
        try:
            asked = {_argv(context, inventory, shard): shard for shard in reversed(shards)}
        except CIError as error:
            found.append(Holding(inventory.name, None, problem=str(error)))
            continue
        for argv, shard in reversed(asked.items()):
            label = str(shard.index) if len(asked) > 1 else None
            found.append(_holding(context, inventory.name, label, partial(_ask, context, inventory, argv, shard)))
    return found


def forget_leftovers(workspace: Workspace) -> None:
    """Delete what an earlier run of the tests in this workspace left, before it passes for this one's."""
    with contextlib.suppress(OSError):
        _leftovers_json(workspace).unlink(missing_ok=True)


def _leftovers_json(workspace: Workspace) -> Path:
    return workspace.logs / "leftovers.json"


def write_leftovers(context: GateContext, before: Sequence[Holding], after: Sequence[Holding]) -> None:
    """Write logs/leftovers.json, and say how much was left. Nothing is raised: it is no failure of the run.

    ``before`` and ``after`` are two answers of ``take``.
    """
    first = {(holding.name, holding.shard): holding for holding in before}
    last = {(holding.name, holding.shard): holding for holding in after}
    inventories, problems = [], []
    for key in dict.fromkeys((*first, *last)):
        pair = [(first.get(key), "before"), (last.get(key), "after")]
        bad = [_why(key, holding, when) for holding, when in pair if holding is None or holding.problem is not None]
        problems += bad
        if not bad:
            inventories.append(_compared(first[key], last[key]))
    data = {"schema": SCHEMA, "inventories": inventories, "problems": problems}
    if not context.workspace.logs.is_symlink():
        with contextlib.suppress(OSError):
            write_json_atomically(_leftovers_json(context.workspace), data)
    for entry in inventories:
        if entry["left_count"]:
            where = "" if entry["shard"] is None else f" of shard {entry['shard']}"
            context.record.say(f"the tests left {entry['left_count']} more in {entry['name']}{where}")
    for problem in problems:
        context.record.say(f"no inventory: {problem}")


def _compared(before: Holding, after: Holding) -> dict[str, object]:
    left = sorted((Counter(after.lines) - Counter(before.lines)).elements())
    return {
        "name": after.name,
        "shard": after.shard,
        "before": len(before.lines),
        "after": len(after.lines),
        "left_count": len(left),
        "left": left[:MAX_LEFT],
    }


def _why(key: tuple[str, str | None], holding: Holding | None, when: str) -> str:
    where = "" if key[1] is None else f" of shard {key[1]}"
    problem = "it was not asked" if holding is None else holding.problem
    return f"{key[0]}{where}, {when} the tests: {problem}"


def _holding(context: GateContext, name: str, shard: str | None, ask: Callable[[], list[str]]) -> Holding:
    try:
        lines = ask()
        if len(lines) > MAX_LINES:
            raise InfrastructureError(f"it lists more than {MAX_LINES} things.")
    except (Interrupted, Terminated):
        raise
    except (CIError, OSError) as error:
        return Holding(name, shard, problem=context.record.masked(str(error))[: 2 * MAX_TEXT])
    return Holding(name, shard, tuple(context.record.masked(line)[:MAX_TEXT] for line in lines))


def _argv(context: GateContext, inventory: Inventory, shard: ShardAccess) -> tuple[str, ...]:
    values = {**context.placeholders(), **shard.placeholders()}
    return tuple(fill(word, values) for word in inventory.command)


def _ask(context: GateContext, inventory: Inventory, argv: Sequence[str], shard: ShardAccess) -> list[str]:
    """The lines that the command prints, on standard output and standard error; empty ones do not count."""
    lines: list[str] = []

    def keep(line: str) -> None:
        if line.strip() and len(lines) <= MAX_LINES:
            lines.append(line.strip()[:MAX_TEXT])

    done = run(
        argv,
        cwd=context.settings.config_path.parent,
        env={**context.env, **shard.environment()},
        timeout=inventory.timeout_seconds,
        check=False,
        on_line=keep,
        secrets=values_to_mask(context.settings, context.secret_values),
    )
    if done.stopped_because is not None:
        raise InfrastructureError(f"{argv[0]}: {done.stopped_because}.")
    if done.exit_code != 0:
        raise InfrastructureError(f"{argv[0]} ended with {done.exit_code}: {last_lines(done.output, 3)[-MAX_TEXT:]}")
    return lines
