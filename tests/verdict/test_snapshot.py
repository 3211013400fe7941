"""What a run was made of, from workspaces as a run leaves them and as a hostile node may."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.verdict.snapshot import LOCAL, Snapshot, read_snapshot

NEUTRON, DRIVER = "openstack/neutron", "example/networking-example"
TIP, MERGED, REVISION = "3" * 40, "a" * 40, "b" * 40
PACKAGES = f"""\
# openstack: Python 3.12.1
networking-example @ file:///srv/ws/src/{DRIVER}
neutron @ file:///srv/ws/environments/wheels/neutron/neutron-29.0.0-py3-none-any.whl
oslo.db==18.1.1
patched @ https://user:word@index.example.org/patched-1.0.tar.gz#sha256=12
-e file:///srv/ws/src/editable

# tempest: Python 3.11.7
tempest==47.0.0
oslo.db==18.0.0
"""


def run_json(**more: Any) -> dict[str, Any]:
    return {
        "run_id": "20260131T120000Z-1a2b3c",
        "created": "2026-01-31T12:00:00.123Z",
        "change": {"project": NEUTRON, "number": "3", "ref": "refs/changes/03/3/1"},
        "also": [],
        "driver": {"project": DRIVER},
        "checkouts": {
            NEUTRON: {"tip": TIP, "commit": MERGED, "revision": REVISION},
            DRIVER: {"tip": "c" * 40, "commit": "c" * 40, "revision": None},
        },
        "tools": {"python": "3.11.7", "git": "2.39.5"},
        "machine": {"kernel": "6.1.0-44-amd64"},
        "settings": {"gate.shards": 2, "gate.database": "sqlite", "services": []},
        **more,
    }


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_run_is_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "packages.txt", PACKAGES)

    assert read_snapshot(tmp_path, run_json()) == Snapshot(
        "20260131T120000Z-1a2b3c",
        datetime(2026, 1, 31, 12, 0, 0, 123000, UTC),
        packages={
            "openstack": {
                "networking-example": LOCAL,
                "neutron": LOCAL,
                "oslo.db": "18.1.1",
                "patched": "https://index.example.org/patched-1.0.tar.gz#sha256=12",
            },
            "tempest": {"tempest": "47.0.0", "oslo.db": "18.0.0"},
        },
        commits={NEUTRON: TIP, DRIVER: "c" * 40},
        python={"ci": "3.11.7", "openstack": "3.12.1", "tempest": "3.11.7"},
        kernel="6.1.0-44-amd64",
        settings={"gate.shards": "2", "gate.database": "sqlite", "services": "[]"},
    )


def test_a_run_that_ended_early_knows_little(tmp_path: Path) -> None:
    early = read_snapshot(tmp_path, {"run_id": "early", "tools": {"python": "3.11.7"}})

    assert early == Snapshot("early", None, python={"ci": "3.11.7"})
    assert read_snapshot(tmp_path, {}) == Snapshot("", None)


def test_what_zuul_merged_has_no_tip_that_is_known(tmp_path: Path) -> None:
    zuul = {"project": NEUTRON, "ref": f"refs/zuul/master/Z{'0' * 32}"}
    assert read_snapshot(tmp_path, run_json(change=zuul)).commits == {DRIVER: "c" * 40}
    of_driver = {"project": DRIVER, "ref": "refs/changes/01/1/1"}
    assert read_snapshot(tmp_path, run_json(change=of_driver, also=[zuul])).commits == {DRIVER: "c" * 40}


@pytest.mark.parametrize(
    ("commit", "found"),
    [(f"sha256:{'d' * 64}", {DRIVER: f"sha256:{'d' * 64}"}), (None, {}), ("; rm -rf", {}), (["x"], {})],
)
def test_a_driver_from_a_path_is_known_by_its_files(tmp_path: Path, commit: object, found: dict[str, str]) -> None:
    write(tmp_path / "logs" / "driver.json", json.dumps({"schema": 1, "commit": commit}))
    assert read_snapshot(tmp_path, run_json(checkouts={})).commits == found
    assert read_snapshot(tmp_path, run_json()).commits[DRIVER] == "c" * 40


@pytest.mark.parametrize(
    "strange", [None, 7, "text", ["list"], {"": {"": ""}}, {"a": [[]]}, {"tip": {}}, [{"project": []}]]
)
def test_nothing_of_a_strange_run_json_is_believed(tmp_path: Path, strange: object) -> None:
    keys = ("run_id", "created", "change", "also", "driver", "checkouts", "tools", "machine")
    found = read_snapshot(tmp_path, dict.fromkeys(keys, strange))

    assert (found.time, found.commits, found.packages, found.python, found.kernel) == (None, {}, {}, {}, None)


def test_what_a_node_made_up_is_bounded_and_harmless_to_print(tmp_path: Path) -> None:
    lines = [f"# e{number}: Python 3.11.7" for number in range(50)]
    lines += [f"p{number}==1" for number in range(10_000)]
    lines += ["evil==\x1b[31m", "# openstack: Python 3.11; rm -rf", "name ==1", "x==" + "1" * 5000]
    write(tmp_path / "logs" / "packages.txt", "\n".join(lines))
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    settings = {**{f"s{number}": "\x1b]0;x\x07" for number in range(5_000)}, "n" * 900: "v" * 9000}
    found = read_snapshot(tmp_path, run_json(settings={"deep": deep, **settings}))

    assert len(found.packages) == 10 and sum(map(len, found.packages.values())) == 2_000
    assert len(found.settings) == 999 and "deep" not in found.settings
    assert set(found.settings.values()) == {"\ufffd]0;x\ufffd"}


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_file_is_not_read(tmp_path: Path, kind: str) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text(PACKAGES)
    root = tmp_path / "ws"
    for name in ("packages.txt", "driver.json"):
        path = root / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        {"link": lambda p: p.symlink_to(outside), "fifo": os.mkfifo, "folder": Path.mkdir}[kind](path)

    assert read_snapshot(root, run_json(checkouts={})).packages == {}
