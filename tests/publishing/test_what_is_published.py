"""What is published of a workspace, and what a hostile node had put there is not."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ci_scripts.publishing import selection
from ci_scripts.publishing.masking import Mask
from ci_scripts.publishing.selection import Selection, select
from tests.publishing.made_runs import HOSTILE, made_run, write


def names(found: Selection) -> dict[str, str]:
    return {"/".join(item.name): "/".join(item.source) for item in found.items}


def chosen(root: Path, *, judged: bool = True) -> Selection:
    return select(root, Mask([]), judged=judged)


def test_the_names_that_upstream_asks_for(tmp_path: Path) -> None:
    root = made_run(tmp_path)
    write(root / "logs/local.conf", "[[local|localrc]]\n")
    write(root / "trials/1-control/logs/gate/neutron.log", "x\n")
    assert names(chosen(root)) == {
        "console.txt.gz": "logs/console.log",
        "junit.xml.gz": "report/junit.xml",
        "local.conf": "logs/local.conf",
        "logs/gate/shard0/neutron.log.txt.gz": "logs/gate/shard0/neutron.log",
        "logs/tempest/worker-0.log.txt.gz": "logs/tempest/worker-0.log",
        "report/index.html": "report/index.html",
        "run.json.txt.gz": "run.json",
        "stages/run-tempest.json.txt.gz": "stages/run-tempest.json",
        "tempest.txt.gz": "logs/tempest/worker-0.log",
        "testr_results.html.gz": "logs/testr_results.html",
        "tests.json.gz": "tests.json",
        "trials/1-control/logs/gate/neutron.log.txt.gz": "trials/1-control/logs/gate/neutron.log",
        "verdict.json": "verdict.json",
    }
    assert chosen(root).reasons() == ["logs/testrepository.subunit: a stream of results, which are in the report"]


def test_without_a_verdict_no_page_is_ours(tmp_path: Path) -> None:
    root = made_run(tmp_path, judged=False)
    for name in ("report/index.html", "logs/testr_results.html", "tests.json", "trials/1/logs/testr_results.html"):
        write(root / name, HOSTILE)
    found = names(chosen(root, judged=False))
    assert all(name.endswith(".txt.gz") for name in found)
    assert "report/index.html" not in found.values() and "logs/testr_results.html" not in found.values()
    assert found["trials/1/logs/testr_results_html.txt.gz"] == "trials/1/logs/testr_results.html"


def test_only_what_is_on_the_list_is_looked_at(tmp_path: Path) -> None:
    root = made_run(tmp_path)
    before = names(chosen(root))
    for name in (
        "environment.sh",
        "src/x/y.log",
        "environments/e/z.log",
        "gate/shard0/keystone.conf",
        "secret.log",
        ".lock",
    ):
        write(root / name, "x")
    write(root / "trials/1/environment.sh", "x")
    write(root / "trials/.hidden/logs/x.log", "x")
    assert names(chosen(root)) == before


def test_links_pipes_sockets_and_dots_stay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = write(tmp_path / "outside/passwd", "root:x:0:0\n").parent
    root = made_run(tmp_path / "run")
    before = names(chosen(root))
    logs = root / "logs"
    (logs / "passwd.log").symlink_to("/etc/passwd")
    (logs / "folder").symlink_to(outside)
    (logs / "hard.log").hardlink_to(outside / "passwd")
    (logs / "dangling").symlink_to("nowhere")
    os.mkfifo(logs / "pipe.log")
    monkeypatch.chdir(logs)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    write(logs / ".htaccess", "x")
    write(logs / ".git/config", "x")
    (root / "trials/1").mkdir(parents=True)
    (root / "trials/1/logs").symlink_to("/var/log")
    found = chosen(root)
    assert names(found) == before
    said = "\n".join(found.reasons())
    for name, reason in (
        ("passwd.log", "is a link"),
        ("hard.log", "hard link"),
        ("pipe.log", "no regular"),
        (".git", "dot"),
    ):
        assert any(name in line and reason in line for line in said.splitlines())


@pytest.mark.parametrize("name", ["logs", "report", "stages", "trials"])
def test_a_folder_that_is_a_link_is_not_entered(tmp_path: Path, name: str) -> None:
    root = made_run(tmp_path / "run")
    write(root / "trials/1/logs/x.log", "x")
    (root / name).rename(tmp_path / "elsewhere")
    (root / name).symlink_to(tmp_path / "elsewhere")
    if name == "report":
        # The file is refused when it is opened.
        return
    assert not [source for source in names(chosen(root)).values() if source.startswith(f"{name}/") and name != "logs"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_stay_out(tmp_path: Path) -> None:
    root = made_run(tmp_path)
    try:
        os.mknod(root / "logs/zero.log", 0o20666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no devices can be made here")
    assert "logs/zero.log: is no regular file" in chosen(root).reasons()


def test_there_are_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = made_run(tmp_path)
    write(root / "logs" / Path(*["deep"] * 30) / "x.log", "x")
    for number in range(30):
        write(root / f"logs/many/{number:02d}.log", "x")
        write(root / f"logs/folders/{number:02d}/x.log", "x")
    monkeypatch.setattr(selection, "MAX_FILES", 20)
    monkeypatch.setattr(selection, "MAX_FOLDERS", 25)
    monkeypatch.setattr(selection, "MAX_REASONS", 10)
    found = chosen(root)
    assert len(found.items) == 20 and len(found.reasons()) == 11
    assert found.reasons()[-1].startswith("and ")
    monkeypatch.setattr(selection, "MAX_ENTRIES", 5)
    assert any("entries" in reason for reason in chosen(root).reasons())


def test_names_cannot_drive_a_terminal_or_hold_a_credential(tmp_path: Path) -> None:
    root = made_run(tmp_path)
    (root / "logs/\x1b]0;owned\x07").symlink_to("x")
    write(root / "logs/pass-hunter2.log", "x")
    found = select(root, Mask(["hunter2"]), judged=True)
    assert "\x1b" not in "".join(found.reasons())
    assert "logs/pass-___.log.txt.gz" in names(found)
