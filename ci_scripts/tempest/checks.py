"""The vendor's own commands after the tests. Each counts as a test, once per shard where shards differ."""

from __future__ import annotations

from datetime import UTC, datetime

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.placeholders import fill
from ci_scripts.run_command import last_lines, run
from ci_scripts.settings import values_to_mask
from ci_scripts.tempest.stream_writer import StreamWriter

PREFIX = "checks."


def check_ids(context: GateContext, shards: list[ShardAccess]) -> list[str]:
    """The test ids of the checks that will run; they belong to what was selected."""
    return [_id(check.name, shard, shards) for check in context.settings.checks for shard in shards]


def run_checks(context: GateContext, shards: list[ShardAccess], writer: StreamWriter) -> None:
    """Run every check against every shard; output goes to logs/check-<name>-<shard>.log and, cut, into the stream.

    A check's exit code: 0 it holds; 3 it could not ask (as in our own table); 126, 127, a signal: it could not be run;
    any other: it does not hold.

    Raises InfrastructureError for a check that could not ask or did not end in its time.
    """
    for check in context.settings.checks:
        for shard in shards:
            values = {**context.placeholders(), **shard.placeholders()}
            log = context.workspace.logs / f"check-{check.name}-{shard.index}.log"
            started = datetime.now(UTC)
            with context.record.step(f"check {check.name}, shard {shard.index}"):
                done = run(
                    [fill(word, values) for word in check.command],
                    cwd=context.settings.config_path.parent,
                    env={**context.env, **shard.environment()},
                    timeout=check.timeout_seconds,
                    log=log,
                    check=False,
                    secrets=values_to_mask(context.settings, context.secret_values),
                )
            if done.stopped_because is not None or not _has_asked(done.exit_code):
                why = done.stopped_because or last_lines(done.output, 3)
                raise InfrastructureError(f"the check {check.name} could not be carried out: {why}.", log=log)
            said = f"{done.output}\nexit code {done.exit_code}"
            writer.test("checks", _id(check.name, shard, shards), done.exit_code == 0, said, started)


def _has_asked(exit_code: int) -> bool:
    return 0 <= exit_code < 126 and exit_code != InfrastructureError.exit_code


def _id(name: str, shard: ShardAccess, shards: list[ShardAccess]) -> str:
    return f"{PREFIX}{name}" + (f".shard{shard.index}" if len(shards) > 1 else "")
