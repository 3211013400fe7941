"""The wrapper's logs are copied as plain files: no link followed, within bounds, masked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci_scripts.gates.devstack_gate.layout import WrapperLayout
from ci_scripts.gates.devstack_gate.wrapper_logs import BLOCK, Bounds, collect
from ci_scripts.workspace import Workspace


@pytest.fixture
def layout(tmp_path: Path) -> WrapperLayout:
    """After the wrapper: its logs moved to BASE, a link in their place."""
    workspace = Workspace(tmp_path / "run")
    workspace.make_folders()
    layout = WrapperLayout(workspace, tmp_path / "stack")
    layout.root.mkdir(parents=True)
    layout.base_logs.mkdir(parents=True)
    layout.logs.symlink_to(layout.base_logs)
    return layout


def content(layout: WrapperLayout) -> dict[str, bytes]:
    found = [path for path in layout.collected.rglob("*") if not path.is_dir()]
    assert not any(path.is_symlink() for path in found)
    return {str(path.relative_to(layout.collected)): path.read_bytes() for path in found}


def test_files_come_with_their_folders(layout: WrapperLayout) -> None:
    (layout.base_logs / "etc" / "neutron").mkdir(parents=True)
    (layout.base_logs / "etc" / "neutron" / "neutron.conf.txt").write_text("[DEFAULT]\n")
    (layout.root / "devstack-gate-pre_test_hook.txt").write_text("killed, so it was not moved\n")
    (layout.root / "test_env.sh").write_text("not a log\n")
    assert collect(layout, ()) == 2
    assert set(content(layout)) == {"etc/neutron/neutron.conf.txt", "devstack-gate-pre_test_hook.txt"}


def test_logs_that_were_not_moved_yet(layout: WrapperLayout) -> None:
    layout.logs.unlink()
    layout.logs.mkdir()
    (layout.logs / "devstack-gate-setup-host.txt").write_text("no route to host\n")
    assert collect(layout, ()) == 1


def test_on_a_node_that_was_used_before_the_logs_of_this_run_win(layout: WrapperLayout) -> None:
    layout.logs.unlink()
    layout.logs.mkdir()
    (layout.logs / "devstack-gate-setup-host.txt").write_text("of this run\n")
    for name in ("devstack-gate-setup-host.txt", "devstack-gate-pre_test_hook.txt"):
        (layout.base_logs / name).write_text("of BASE\n")
    collect(layout, ())
    found = content(layout)
    assert found["devstack-gate-setup-host.txt"] == b"of this run\n"
    assert found["devstack-gate-pre_test_hook.txt"] == b"of BASE\n"


def test_no_link_is_followed(layout: WrapperLayout, tmp_path: Path) -> None:
    outside = tmp_path / "shadow"
    outside.write_text("root:secret\n")
    (layout.base_logs / "a.txt").symlink_to(outside)
    (layout.base_logs / "folder").symlink_to(tmp_path)
    os.mkfifo(layout.base_logs / "fifo.txt")
    assert collect(layout, ()) == 0
    assert set(content(layout)) == {"left-out.txt"}
    left_out = (layout.collected / "left-out.txt").read_text()
    assert "a.txt: neither a file nor a folder" in left_out and "fifo.txt" in left_out and "folder" in left_out


@pytest.mark.parametrize("which", ["logs", "base_logs"])
def test_a_folder_of_logs_that_leads_elsewhere(layout: WrapperLayout, tmp_path: Path, which: str) -> None:
    secret = tmp_path / "etc"
    secret.mkdir()
    (secret / "shadow.txt").write_text("root:secret\n")
    folder = getattr(layout, which)
    folder.unlink() if folder.is_symlink() else folder.rmdir()
    folder.symlink_to(secret)
    assert collect(layout, ()) == 0
    assert content(layout) == {}


def test_what_was_collected_before_does_not_stay(layout: WrapperLayout) -> None:
    layout.collected.mkdir(parents=True)
    (layout.collected / "old.txt").write_text("of another run\n")
    collect(layout, ())
    assert content(layout) == {}


def test_a_large_file_loses_its_middle(layout: WrapperLayout) -> None:
    (layout.base_logs / "big.txt").write_bytes(b"head" + b"." * 1000 + b"tail")
    collect(layout, (), Bounds(head=10, tail=10))
    assert content(layout)["big.txt"] == b"head......\n[... 988 bytes left out ...]\n......tail"


def test_too_many_files_and_folders(layout: WrapperLayout) -> None:
    deep = layout.base_logs
    for number in range(6):
        (deep / f"{number}.txt").write_text("x")
        deep = deep / "deeper"
        deep.mkdir()
    assert collect(layout, (), Bounds(files=3, depth=10)) == 3
    assert "too many logs" in (layout.collected / "left-out.txt").read_text()
    assert collect(layout, (), Bounds(depth=2)) == 3
    assert "deeper/deeper/deeper/: too many folders" in (layout.collected / "left-out.txt").read_text()


def test_names_that_nobody_can_read_are_left_out(layout: WrapperLayout) -> None:
    for name in (b"bell\x07.txt", b"not-utf8-\xff.txt", b".hidden"):
        Path(os.fsdecode(os.path.join(os.fsencode(layout.base_logs), name))).write_text("x")
    assert collect(layout, ()) == 0
    assert (layout.collected / "left-out.txt").read_text().count("not a plain name") == 3


@pytest.mark.parametrize("before", [0, 5, BLOCK - 3, BLOCK - 1, BLOCK, 2 * BLOCK - 4])
def test_secrets_are_masked_wherever_a_block_ends(layout: WrapperLayout, before: int) -> None:
    secret = "hunter2/lab"
    (layout.base_logs / "local.conf.txt").write_text("." * before + secret + " and " + secret)
    collect(layout, (secret,))
    assert content(layout)["local.conf.txt"] == b"." * before + b"*** and ***"


def test_what_cannot_be_masked_is_left_out(layout: WrapperLayout) -> None:
    (layout.base_logs / "ara.html.gz").write_bytes(b"\x1f\x8b")
    assert collect(layout, ("secret",)) == 0
    assert "ara.html.gz: compressed" in (layout.collected / "left-out.txt").read_text()
    assert collect(layout, ()) == 1
