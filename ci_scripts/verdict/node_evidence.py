"""What a node noted beside its tests: answers of the probes, disk and memory, and what was left behind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ci_scripts.verdict.evidence import Evidence
from ci_scripts.verdict.run_facts import moment_of
from ci_scripts.verdict.untrusted_file import open_regular, read_object

PROBES = "logs/probes.jsonl"
RESOURCES = "logs/resources.jsonl"
LEFTOVERS = "logs/leftovers.json"
INTERVAL_SECONDS = 15.0
PHASES = ("before", "during", "after")
COUNTS = ("disk_free", "memory_available", "memory_total", "oom_kills")
MAX_LINES = 200_000
MAX_LINE_BYTES = 4096
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_TEXT = 500
MAX_NAME = 100
MAX_NUMBER = 2**63
MAX_SECONDS = 86_400.0
MAX_INVENTORIES = 500
MAX_LEFT = 100
LEAST_DISK_BYTES = 64 * 1024 * 1024
LEAST_MEMORY_SHARE = 0.02
MAX_KILLS_TOLD = 20

_Fact = TypeVar("_Fact")


@dataclass(frozen=True, slots=True)
class ProbeFact:
    """One answer of one probe: asked at ``time`` (UTC), known ``seconds`` later. ``shard`` is None for one that is
    the same for all shards; ``text`` says what was wrong. ``line`` is the line of logs/probes.jsonl.
    """

    time: datetime
    phase: str
    probe: str
    shard: str | None
    red: bool
    text: str
    line: int
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ResourceFact:
    """One sample, in bytes; None is what the node could not tell. ``oom_kills`` counts from the machine's start."""

    time: datetime
    disk_free: int | None
    memory_available: int | None
    memory_total: int | None
    oom_kills: int | None
    load: float | None
    line: int


@dataclass(frozen=True)
class LeftoverFact:
    """How many things something held before the tests and after; of those that only came, the first 100 by name."""

    name: str
    shard: str | None
    before: int
    after: int
    left_count: int
    left: tuple[str, ...]


def read_probes(root: Path) -> tuple[tuple[ProbeFact, ...], tuple[str, ...]]:
    """The answers in logs/probes.jsonl of a workspace in the order of the file, and what is wrong with the file.

    Never raises on account of the file. Times may go backwards: a clock may be set.
    """
    names: dict[str, str] = {}
    return _read_lines(root, PROBES, lambda entry, line: _probe(entry, line, names))


def red_during(
    probes: Iterable[ProbeFact], started: datetime, ended: datetime, interval: float = INTERVAL_SECONDS
) -> tuple[ProbeFact, ...]:
    """The red answers that fall into a test's time, plus or minus one interval (seconds); both times with a zone.

    What is red at one question may have been so since the one before and until the one after.
    """
    # As numbers: times at the edge of the calendar, which a node may write, cannot be moved.
    first, last = started.timestamp() - interval, ended.timestamp() + interval
    return tuple(fact for fact in probes if fact.red and fact.time.timestamp() <= last and first <= _known(fact))


def _known(fact: ProbeFact) -> float:
    return fact.time.timestamp() + fact.seconds


def read_resources(root: Path) -> tuple[tuple[ResourceFact, ...], tuple[str, ...]]:
    """The samples in logs/resources.jsonl of a workspace, and what is wrong with the file; as ``read_probes``."""
    return _read_lines(root, RESOURCES, _resource)


def resource_evidence(facts: Iterable[ResourceFact]) -> tuple[Evidence, ...]:
    """What was short: the least free space on the disk below 64 MiB, the least memory below 2 % of it, and each time
    the kernel was seen to have killed processes for want of memory (at most 20).
    """
    samples = tuple(facts)
    found = [*_short_disk(samples), *_short_memory(samples)]
    kills: list[Evidence] = []
    before: int | None = None
    for fact in samples:
        if fact.oom_kills is None:
            continue
        if before is not None and fact.oom_kills > before:
            many = fact.oom_kills - before
            what = "a process" if many == 1 else f"{many} processes"
            kills.append(_evidence(fact, f"the kernel killed {what} on this machine for want of memory"))
        before = fact.oom_kills
    return (*found, *kills[:MAX_KILLS_TOLD])


def _short_disk(samples: tuple[ResourceFact, ...]) -> Iterator[Evidence]:
    known = [(fact.disk_free, fact) for fact in samples if fact.disk_free is not None]
    if known:
        free, fact = min(known, key=lambda pair: pair[0])
        if free < LEAST_DISK_BYTES:
            yield _evidence(fact, f"{_mebibytes(free)} of disk were left for the workspace")


def _short_memory(samples: tuple[ResourceFact, ...]) -> Iterator[Evidence]:
    known = [
        (fact.memory_available / fact.memory_total, fact.memory_available, fact)
        for fact in samples
        if fact.memory_available is not None and fact.memory_total
    ]
    if known:
        share, available, fact = min(known, key=lambda entry: entry[0])
        if share < LEAST_MEMORY_SHARE:
            yield _evidence(fact, f"{_mebibytes(available)} of memory were available, {100 * share:.1f} % of it")


def _mebibytes(number: int) -> str:
    return f"{number / 1024 / 1024:.0f} MiB"


def _evidence(fact: ResourceFact, text: str) -> Evidence:
    return Evidence("resource", fact.time.isoformat().replace("+00:00", "Z"), text, RESOURCES, fact.line)


def read_leftovers(root: Path) -> tuple[tuple[LeftoverFact, ...], tuple[str, ...]]:
    """logs/leftovers.json of a workspace, and what is wrong with it or went wrong when it was made.

    Never raises on account of the file; one that is missing says nothing.
    """
    try:
        data = read_object(root / LEFTOVERS, inside=root)
    except (FileNotFoundError, NotADirectoryError):
        return (), ()
    except (OSError, ValueError) as error:
        return (), (_unreadable(LEFTOVERS, error),)
    if data.get("schema") != 1:
        return (), (f"{LEFTOVERS} has schema {str(data.get('schema'))[:20]!r}; this version reads 1",)
    told, entries = data.get("problems"), data.get("inventories")
    problems = [f"{LEFTOVERS}: {text}" for text in map(_text, _list(told)) if text is not None]
    facts = [_leftover(entry) for entry in _list(entries)]
    good = tuple(fact for fact in facts if fact is not None)
    if len(good) < len(facts) or not isinstance(entries, list):
        problems.append(f"{LEFTOVERS}: an entry is not what it should be")
    return good, tuple(problems)


def _list(value: object) -> list[Any]:
    return value[:MAX_INVENTORIES] if isinstance(value, list) else []


def _leftover(entry: object) -> LeftoverFact | None:
    if not isinstance(entry, dict):
        return None
    name, shard, left = _name(entry.get("name")), _shard(entry.get("shard")), entry.get("left")
    before, after, count = (_count(entry.get(key)) for key in ("before", "after", "left_count"))
    if name is None or shard is None or before is None or after is None or count is None or not isinstance(left, list):
        return None
    lines = tuple(line for line in map(_text, left[:MAX_LEFT]) if line is not None)
    return LeftoverFact(name, shard or None, before, after, count, lines)


def _read_lines(
    root: Path, name: str, read: Callable[[dict[str, Any], int], _Fact | None]
) -> tuple[tuple[_Fact, ...], tuple[str, ...]]:
    facts: list[_Fact] = []
    bad: list[int] = []
    cut = ""
    try:
        for number, line in _lines(root / name, root):
            if number > MAX_LINES:
                cut = f"{name} has more than {MAX_LINES} lines or {MAX_FILE_BYTES} bytes; the rest was not read"
                break
            fact = _one(line, number, read)
            if fact is None:
                bad.append(number)
            else:
                facts.append(fact)
    except (FileNotFoundError, NotADirectoryError):
        return (), ()
    except OSError as error:
        return tuple(facts), (_unreadable(name, error),)
    problems = [cut] if cut else []
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        problems.append(f"{name}: line {bad[0]}{more} cannot be used")
    return tuple(facts), tuple(problems)


def _one(line: bytes | None, number: int, read: Callable[[dict[str, Any], int], _Fact | None]) -> _Fact | None:
    try:
        entry = json.loads(line) if line is not None else None
    except (ValueError, RecursionError):
        return None
    return read(entry, number) if isinstance(entry, dict) else None


def _lines(path: Path, root: Path) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers, None for one that is too long; a number beyond MAX_LINES says that there is more."""
    number = size = 0
    with open_regular(path, root) as stream:
        while piece := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            size += len(piece)
            whole = piece if len(piece) <= MAX_LINE_BYTES else None
            while piece and not piece.endswith(b"\n") and size <= MAX_FILE_BYTES:
                piece = stream.readline(MAX_LINE_BYTES)
                size += len(piece)
            if number > MAX_LINES or size > MAX_FILE_BYTES:
                yield MAX_LINES + 1, None
                return
            yield number, whole


def _probe(entry: dict[str, Any], line: int, names: dict[str, str]) -> ProbeFact | None:
    moment, phase, state = _moment(entry.get("time")), entry.get("phase"), entry.get("state")
    probe, shard, text = _name(entry.get("probe")), _shard(entry.get("shard")), _text(entry.get("text"))
    seconds = _number(entry.get("seconds", 0.0))
    if moment is None or probe is None or shard is None or text is None or seconds is None:
        return None
    if phase not in PHASES or state not in ("green", "red") or not 0 <= seconds <= MAX_SECONDS:
        return None
    # There are many lines and few names.
    phase, probe, shard = (names.setdefault(word, word) for word in (str(phase), probe, shard))
    return ProbeFact(moment, phase, probe, shard or None, state == "red", text, line, seconds)


def _resource(entry: dict[str, Any], line: int) -> ResourceFact | None:
    moment, counts = _moment(entry.get("time")), {key: _count(entry.get(key)) for key in COUNTS}
    load = _number(entry.get("load"))
    known = {**counts, "load": load}
    if moment is None or any(value is None and entry.get(key) is not None for key, value in known.items()):
        return None
    return ResourceFact(moment, **counts, load=load, line=line)


def _moment(value: object) -> datetime | None:
    return moment_of(value) if isinstance(value, str) else None


def _shard(value: object) -> str | None:
    """The name of a shard, "" where all are meant, None for what is no such thing."""
    if value is None:
        return ""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) else None


def _name(value: object) -> str | None:
    return _text(value) if isinstance(value, str) and 0 < len(value) <= MAX_NAME else None


def _text(value: object) -> str | None:
    # Half a surrogate pair is good JSON, and cannot be written to any file.
    return value[:MAX_TEXT].encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    # Neither NaN nor an integer that is too large for a float passes.
    return float(value) if abs(value) < MAX_NUMBER else None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value < MAX_NUMBER else None


def _unreadable(name: str, error: Exception) -> str:
    return f"{name} cannot be read: {getattr(error, 'strerror', None) or error}"
