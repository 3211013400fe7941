"""Git does not give the change: a missing ref, a server that is away, a conflict."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.fakes.fake_openstack import PROJECT, FakeIndex, FakeSite, driver_files
from tests.repositories import Remote


@pytest.fixture
def own_driver(fake_site: FakeSite, fake_index: FakeIndex, tmp_path: Path) -> Remote:
    """A driver's repository of this test alone."""
    remote = Remote(tmp_path / "server" / PROJECT)
    remote.commit(driver_files())
    fake_site.write_config(driver={"project": PROJECT, "source": remote.url})
    return remote


@pytest.mark.parametrize("command", ["ci-prepare-gate", "ci-run-job"])
def test_a_ref_that_does_not_exist(fake_site: FakeSite, command: str) -> None:
    done = fake_site.command(command, *fake_site.change_flags("77,3"))
    assert done.exit_code == 2, done.errors
    said = done.paragraph(command)
    assert "refs/changes/77/77/3" in said
    assert fake_site.index.driver.url in said
    assert "Next: " in said
    assert fake_site.stage("prepare-gate")["exit_code"] == 2
    # Given by hand: nobody waits for a replication.
    assert done.seconds < 20


def test_a_git_server_that_does_not_answer(fake_site: FakeSite) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"git://127.0.0.1:{nobody.getsockname()[1]}/{PROJECT}"
        done = fake_site.command("ci-run-job", *fake_site.change_flags(), "--url", url)
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-run-job")
    assert url in said
    assert "refused" in said
    assert "Next: " in said
    verdict = json.loads(fake_site.workspace.verdict_json.read_text())
    assert verdict["blame"] != "change"
    assert verdict["exit_code"] == 3


@pytest.mark.parametrize("command", ["ci-prepare-gate", "ci-run-job"])
def test_a_merge_conflict(fake_site: FakeSite, own_driver: Remote, command: str) -> None:
    own_driver.change(5, 1, {"README": "mine\n"})
    own_driver.commit({"README": "theirs\n"})
    done = fake_site.command(command, *fake_site.change_flags("5,1"))
    assert done.exit_code == 4, done.errors
    said = done.paragraph(command)
    assert "README" in said
    assert "Next: " in said
    verdict = json.loads(fake_site.workspace.verdict_json.read_text())
    assert (verdict["outcome"], verdict["blame"], verdict["exit_code"]) == ("MERGER_FAILURE", "nobody", 4)
    stage = fake_site.stage("prepare-gate")
    assert (stage["exit_code"], stage["outcome"]) == (4, "MERGER_FAILURE")
