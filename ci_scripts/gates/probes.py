"""Is what the run depends on alive?"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import requests

from ci_scripts.errors import InfrastructureError
from ci_scripts.gates.context import GateContext
from ci_scripts.placeholders import fill
from ci_scripts.run_command import run
from ci_scripts.settings import values_to_mask

if TYPE_CHECKING:
    from ci_scripts.settings_model import Probe

AGAIN_SECONDS = 2.0


def require_green(
    context: GateContext, shards: list[dict[str, str]], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Ask every probe; one that fails is asked again after 2 s. ``shards`` has the placeholders of each shard;
    a probe that reads the same in all of them is asked once.

    Raises InfrastructureError naming the first probe that failed twice.
    """
    for probe in context.settings.probes:
        for values in _distinct(probe, shards):
            problem = ask(context, probe, values)
            if problem is not None:
                sleep(AGAIN_SECONDS)
                problem = ask(context, probe, values)
            if problem is not None:
                raise InfrastructureError(
                    f"the probe {probe.name} is red: {problem}.",
                    next_step="mend what it asks, then run the job again.",
                )


def _distinct(probe: Probe, shards: list[dict[str, str]]) -> list[dict[str, str]]:
    words = [probe.url or "", probe.tcp or "", *(probe.command or ())]
    seen = {tuple(fill(word, values) for word in words): values for values in reversed(shards)}
    return list(reversed(seen.values()))


def ask(context: GateContext, probe: Probe, values: dict[str, str]) -> str | None:
    """Ask once; None when all is well, else what is wrong, without secrets."""
    problem = _ask(context, probe, values)
    return None if problem is None else context.record.masked(problem)


def _ask(context: GateContext, probe: Probe, values: dict[str, str]) -> str | None:
    if probe.url is not None:
        return _ask_url(fill(probe.url, values), probe.timeout_seconds)
    if probe.tcp is not None:
        host, _, port = fill(probe.tcp, values).rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=probe.timeout_seconds).close()
        except (OSError, ValueError, OverflowError) as error:
            return f"{host}:{port}: {error}"
        return None
    argv = [fill(word, values) for word in probe.command or ()]
    folder = context.settings.config_path.parent
    secrets = values_to_mask(context.settings, context.secret_values)
    seconds = probe.timeout_seconds
    done = run(argv, cwd=folder, env=context.env, timeout=seconds, check=False, grace=2.0, secrets=secrets)
    if done.stopped_because:
        return f"{argv[0]}: {done.stopped_because}"
    return None if done.exit_code == 0 else f"{argv[0]} ended with {done.exit_code}: {done.output.strip()[-300:]}"


def _ask_url(url: str, timeout: float) -> str | None:
    try:
        with requests.Session() as session:
            answer = session.get(url, timeout=timeout)
    except requests.RequestException as error:
        return f"{url}: {error}"
    return None if answer.status_code < 400 else f"{url} answers {answer.status_code}"
