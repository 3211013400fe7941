"""The vendor's own commands after the tests. Each counts as a test, once per shard where shards differ."""

from __future__ import annotations

from datetime import UTC, datetime

from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.placeholders import fill
from ci_scripts.run_command import run
from ci_scripts.tempest.stream_writer import StreamWriter

PREFIX = "checks."


def check_ids(context: GateContext, shards: list[ShardAccess]) -> list[str]:
    """The test ids of the checks that will run; they belong to what was selected."""
    return [_id(check.name, shard, shards) for check in context.settings.checks for shard in shards]


def run_checks(context: GateContext, shards: list[ShardAccess], writer: StreamWriter) -> None:
    """Run every check against every shard; output goes to logs/check-<name>-<shard>.log and, cut, into the stream."""
    for check in context.settings.checks:
        for shard in shards:
            values = {**context.placeholders(), **shard.placeholders()}
            started = datetime.now(UTC)
            with context.record.step(f"check {check.name}, shard {shard.index}"):
                done = run(
                    [fill(word, values) for word in check.command],
                    cwd=context.settings.config_path.parent,
                    env={**context.env, **shard.environment()},
                    timeout=check.timeout_seconds,
                    log=context.workspace.logs / f"check-{check.name}-{shard.index}.log",
                    check=False,
                    secrets=[*context.secret_values.values()],
                )
            passed = done.exit_code == 0 and done.stopped_because is None
            said = f"{done.output}\n{done.stopped_because or f'exit code {done.exit_code}'}"
            writer.test("checks", _id(check.name, shard, shards), passed, said, started)


def _id(name: str, shard: ShardAccess, shards: list[ShardAccess]) -> str:
    return f"{PREFIX}{name}" + (f".shard{shard.index}" if len(shards) > 1 else "")
