"""What moved between two runs: packages, checkouts, Python, kernel, configuration. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ci_scripts.history.records import Snapshot

What = Literal["package", "checkout", "python", "kernel", "setting"]

MOST_LINES = 50
SHOWN_OF_COMMIT = 10
SHOWN_OF_VALUE = 80
# Whose packages are meant where none is named.
MAIN_ENVIRONMENT = "openstack"
UNITS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"))


@dataclass(frozen=True)
class Moved:
    """One thing that differs. ``before`` is None for what is new, ``after`` for what is gone."""

    what: What
    name: str
    before: str | None
    after: str | None
    environment: str = ""


def moved(now: Snapshot, then: Snapshot) -> tuple[Moved, ...]:
    """What differs in ``now``, packages first, each kind by name.

    What one of the two does not know at all (no packages of an environment, no settings, no such checkout: the run
    ended before it had them) is not compared.
    """
    return (
        *_packages(now, then),
        *_of_both("checkout", now.commits, then.commits),
        *_pythons(now, then),
        *_of_both("kernel", _named("kernel", now.kernel), _named("kernel", then.kernel)),
        *(_different("setting", now.settings, then.settings) if now.settings and then.settings else ()),
    )


def say(moves: Sequence[Moved], then: Snapshot, now_time: datetime) -> list[str]:
    """One line for each move: ``oslo.db 18.1.1 -> 19.0.0 since run 20260129T120000Z-1a2b3c, 2 days ago``.

    A move in several environments is one line; at most ``MOST_LINES``, then how many more.
    """
    since = f"since run {then.run_id}" + (f", {_ago(now_time, then.time)}" if then.time is not None else "")
    environments: dict[Moved, list[str]] = {}
    for move in moves:
        everywhere = Moved(move.what, move.name, move.before, move.after)
        environments.setdefault(everywhere, []).append(move.environment)
    lines = [f"{_say_move(move, where)} {since}" for move, where in environments.items()]
    more = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], *([f"and {more} more {since}"] if more > 0 else [])]


def _packages(now: Snapshot, then: Snapshot) -> Iterator[Moved]:
    for environment, packages in now.packages.items():
        earlier = then.packages.get(environment)
        if packages and earlier:
            yield from _different("package", _by_one_name(packages, earlier), earlier, environment)


def _pythons(now: Snapshot, then: Snapshot) -> Iterator[Moved]:
    for environment, version in now.python.items():
        earlier = then.python.get(environment)
        if earlier is not None and earlier != version:
            yield Moved("python", "Python", earlier, version, environment)


def _by_one_name(packages: Mapping[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
    """``packages`` under the spelling of ``earlier``: oslo.db, oslo-db and Oslo_DB are one package (PEP 503)."""
    spelled = {_canonical(name): name for name in earlier}
    return {spelled.get(_canonical(name), name): version for name, version in packages.items()}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _named(name: str, value: str | None) -> dict[str, str]:
    return {name: value} if value is not None else {}


def _of_both(what: What, now: Mapping[str, str], then: Mapping[str, str]) -> Iterator[Moved]:
    common = now.keys() & then.keys()
    yield from _different(what, {name: now[name] for name in common}, {name: then[name] for name in common})


def _different(what: What, now: Mapping[str, str], then: Mapping[str, str], environment: str = "") -> Iterator[Moved]:
    for name in sorted(now.keys() | then.keys()):
        before, after = then.get(name), now.get(name)
        if before != after:
            yield Moved(what, name, before, after, environment)


def _say_move(move: Moved, environments: list[str]) -> str:
    where = "" if MAIN_ENVIRONMENT in environments else ", ".join(filter(None, environments))
    before, after = (_shown(move.what, value) for value in (move.before, move.after))
    if move.before is None:
        said = f"{move.name} {after} is new"
    elif move.after is None:
        said = f"{move.name} {before} is gone"
    else:
        said = f"{move.name} {before} -> {after}"
    return said + (f" (in {where})" if where else "")


def _shown(what: What, value: str | None) -> str:
    if value is None:
        return ""
    if what == "checkout":
        return value.removeprefix("sha256:")[:SHOWN_OF_COMMIT]
    return value if len(value) <= SHOWN_OF_VALUE else f"{value[:SHOWN_OF_VALUE]}..."


def _ago(now: datetime, then: datetime) -> str:
    seconds = (now - then).total_seconds()
    if seconds < 0:
        return f"at {then:%Y-%m-%d %H:%M} UTC, which is later than now"
    for length, unit in UNITS:
        count = int(seconds // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "less than a minute ago"
