"""Workspaces as a node leaves them, with real streams: a run, its reruns and its trials."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from subunit.v2 import StreamResultToBytes

START = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
WORDS = {"passed": "success", "failed": "fail", "skipped": "skip", "began": None}
NODE = ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest")


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def stream_of(statuses: Mapping[str, str]) -> bytes:
    """Each test a second after the one before; ``began`` is one without an end."""
    output = io.BytesIO()
    writer = StreamResultToBytes(output)
    for number, (name, status) in enumerate(statuses.items()):
        moment, tags = START + timedelta(seconds=number), {f"worker-{number % 2}"}
        writer.status(test_id=name, test_status="inprogress", timestamp=moment, test_tags=tags)
        if WORDS[status] is not None:
            end = moment + timedelta(seconds=0.5)
            writer.status(test_id=name, test_status=WORDS[status], timestamp=end, test_tags=tags)
    return output.getvalue()


def stage_file(root: Path, name: str, exit_code: int | None = 0, **more: Any) -> None:
    record = {"schema": 1, "name": name, "started": "2026-01-31T12:00:00.000Z", "ended": "2026-01-31T12:10:00.000Z"}
    write(root / f"stages/{name}.json", {**record, "exit_code": exit_code, "reason": None, "with_change": True, **more})


def gate_files(root: Path, **run: Any) -> None:
    """run.json, the stages and two shards, all well."""
    write(root / "run.json", {"schema": 1, "run_id": "run-1", "gate": {"kind": "local"}, **run})
    for name in NODE:
        stage_file(root, name)
    services = [
        {"name": name, "shard": shard, "state": "stopped", "exit_status": 0}
        for shard in (0, 1)
        for name in ("keystone", "neutron")
    ]
    write(root / "logs/gate/gate-status.json", {"schema": 1, "services": services})


def stream_files(root: Path, statuses: Mapping[str, str]) -> None:
    write(root / "logs/testrepository.subunit", stream_of(statuses))
    write(root / "logs/selected-tests.txt", "".join(f"{name}\n" for name in statuses))


def round_entry(name: str, mode: str, selected: list[str], **more: Any) -> dict[str, Any]:
    begun, ended = "2026-01-31T12:05:00.000Z", "2026-01-31T12:06:00.000Z"
    entry = {"name": name, "mode": mode, "stream": f"logs/reruns/{name}.subunit", "selected": selected}
    return {**entry, "started": begun, "ended": ended, "problem": None, **more}


def rounds_files(root: Path, *rounds: tuple[str, str, Mapping[str, str]]) -> None:
    """``rounds`` are name, mode and statuses."""
    for name, _, statuses in rounds:
        write(root / f"logs/reruns/{name}.subunit", stream_of(statuses))
    entries = [round_entry(name, mode, list(statuses)) for name, mode, statuses in rounds]
    write(root / "logs/reruns/reruns.json", {"schema": 1, "rounds": entries})


def trial_files(
    root: Path, folder: str, mode: str | None, *rounds: tuple[str, str, Mapping[str, str]], **run: Any
) -> Path:
    """A trial below the run in ``root``; without ``mode`` its run.json does not say what it was for."""
    place = root / "trials" / folder
    number, role = folder.split("-")
    said = {"number": int(number), "role": role, "mode": mode, "why": "to see"}
    gate_files(place, **{"run_id": f"run-1-{number}", **({"trial": said} if mode is not None else {}), **run})
    rounds_files(place, *rounds)
    return place
