"""Is what the run depends on alive? Every answer is kept in logs/probes.jsonl."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import requests

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.gates.line_file import LineFile
from ci_scripts.placeholders import fill
from ci_scripts.run_command import run
from ci_scripts.settings import values_to_mask
from ci_scripts.workspace import Workspace, utc_text

if TYPE_CHECKING:
    from ci_scripts.settings_model import Probe

AGAIN_SECONDS = 2.0
LOOK_SECONDS = 0.1
GRACE_SECONDS = 2.0
MAX_TEXT = 500


@dataclass(frozen=True)
class Target:
    """One probe with the placeholders of one shard; ``shard`` is None where it reads the same in all of them."""

    probe: Probe
    shard: str | None
    values: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    """``problem`` is None for green, else what was wrong the second time; it took ``seconds`` from ``time`` on."""

    time: datetime
    seconds: float
    problem: str | None


def require_green(
    context: GateContext,
    shards: Sequence[Mapping[str, str]],
    sleep: Callable[[float], object] = time.sleep,
    phase: str = "before",
) -> None:
    """Ask every probe; one that fails is asked again after 2 s. ``shards`` has the placeholders of each shard;
    a probe that reads the same in all of them is asked once. ``phase`` is before or after (the tests).

    Before the tests the first red one ends it; after them all are asked, because each is evidence.

    Raises InfrastructureError naming the first probe that failed twice.
    """
    log = answers_file(context.workspace)
    first: InfrastructureError | None = None
    for target in targets(context, shards):
        answer = ask_twice(context, target, sleep)
        record(log, phase, target, answer)
        if answer.problem is None or first is not None:
            continue
        first = InfrastructureError(
            f"the probe {target.probe.name} is red: {answer.problem}.",
            next_step="mend what it asks, then run the job again.",
        )
        if phase == "before":
            break
    log.close()
    if first is not None:
        raise first


def targets(context: GateContext, shards: Sequence[Mapping[str, str]]) -> list[Target]:
    """Whom to ask: every probe, once for each shard in which it reads differently."""
    found = []
    for probe in context.settings.probes:
        words = [probe.url or "", probe.tcp or "", *(probe.command or ())]
        seen = {tuple(fill(word, values) for word in words): values for values in reversed(shards)}
        different = list(reversed(seen.values()))
        shared = len(different) == 1
        found += [Target(probe, None if shared else values.get("shard"), values) for values in different]
    return found


def ask_twice(
    context: GateContext,
    target: Target,
    sleep: Callable[[float], object],
    given_up: threading.Event | None = None,
) -> Answer:
    """Ask; when that fails, ask again after ``sleep``. ``given_up`` as in ``ask``."""
    moment, started = datetime.now(UTC), time.monotonic()
    problem = ask(context, target.probe, target.values, given_up)
    if problem is not None:
        sleep(AGAIN_SECONDS)
        problem = ask(context, target.probe, target.values, given_up)
    return Answer(moment, round(time.monotonic() - started, 3), problem)


def answers_file(workspace: Workspace) -> LineFile:
    """logs/probes.jsonl, which ``ci_scripts.verdict.node_evidence`` reads."""
    return LineFile(workspace.logs / "probes.jsonl")


def record(log: LineFile, phase: str, target: Target, answer: Answer) -> None:
    """Note one answer; ``phase`` is before, during or after."""
    log.append(
        {
            "time": utc_text(answer.time),
            "seconds": answer.seconds,
            "phase": phase,
            "probe": target.probe.name,
            "shard": target.shard,
            "state": "green" if answer.problem is None else "red",
            "text": (answer.problem or "")[:MAX_TEXT],
        }
    )


def ask(
    context: GateContext, probe: Probe, values: Mapping[str, str], given_up: threading.Event | None = None
) -> str | None:
    """Ask once; None when all is well, else what is wrong, without secrets. It takes no longer than the probe's time.

    Once ``given_up`` is set nobody waits for the answer any more: a command is stopped, and what is returned is no
    answer.
    """
    problem = _ask(context, probe, values, given_up or threading.Event())
    return None if problem is None else context.record.masked(problem)


def _ask(context: GateContext, probe: Probe, values: Mapping[str, str], given_up: threading.Event) -> str | None:
    seconds = float(probe.timeout_seconds)
    if probe.url is not None:
        url = fill(probe.url, values)
        return _within(seconds, url, lambda: _ask_url(url, seconds), given_up)
    if probe.tcp is not None:
        address = fill(probe.tcp, values)
        return _within(seconds, address, lambda: _ask_tcp(address, seconds), given_up)
    argv = [fill(word, values) for word in probe.command or ()]
    done = run(
        argv,
        cwd=context.settings.config_path.parent,
        env=context.env,
        timeout=seconds,
        check=False,
        watch=lambda: "nobody waits for it any more" if given_up.is_set() else None,
        grace=GRACE_SECONDS,
        secrets=values_to_mask(context.settings, context.secret_values),
    )
    if done.stopped_because:
        return f"{argv[0]}: {done.stopped_because}"
    return None if done.exit_code == 0 else f"{argv[0]} ended with {done.exit_code}: {done.output.strip()[-300:]}"


def _within(seconds: float, whom: str, question: Callable[[], str | None], given_up: threading.Event) -> str | None:
    """The answer to ``question``, which is left alone when the time is over.

    A socket's time-out holds for each read, and for no look-up of a name: a server that sends a byte now and then, or
    a name server that is away, would be waited for much longer.
    """
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(question())
        except Exception as error:
            answers.put(f"{whom}: {type(error).__name__}: {error}")

    threading.Thread(target=answer, name=f"ask {whom}", daemon=True).start()
    deadline = time.monotonic() + seconds
    while not given_up.is_set() and (left := deadline - time.monotonic()) > 0:
        try:
            return answers.get(timeout=min(LOOK_SECONDS, left))
        except queue.Empty:
            continue
    return f"{whom}: no answer within {seconds:g} s"


def _ask_tcp(address: str, timeout: float) -> str | None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
    except (OSError, ValueError, OverflowError) as error:
        return f"{host}:{port}: {error}"
    return None


def _ask_url(url: str, timeout: float) -> str | None:
    try:
        # Only the status counts: a body, which may be of any size, is not read.
        with requests.Session() as session, session.get(url, timeout=timeout, stream=True) as answer:
            return None if answer.status_code < 400 else f"{url} answers {answer.status_code}"
    except requests.RequestException as error:
        return f"{url}: {error}"
