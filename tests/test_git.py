"""The git program's verbs, on real repositories and a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.git import (
    MergeConflict,
    changed_files,
    git_environment,
    is_ancestor,
    read_commit,
    server_of,
    without_password,
)
from ci_scripts.git_words import is_corrupt, is_transient
from tests.repositories import Daemon, Remote, Waits, change_ref, git, make_cache

MASTER = "refs/heads/master"


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "server" / "project")


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    server = Daemon(tmp_path / "server")
    yield server
    server.stop()


def test_a_server_that_comes_back_is_asked_again(tmp_path: Path, remote: Remote, daemon: Daemon) -> None:
    sleep = Waits(then=daemon.start)
    cache, said = make_cache(tmp_path, sleep)
    assert cache.fetch(daemon.url(remote), [MASTER])[MASTER] == remote.tip()
    assert sleep.waited == [3.0]
    assert "trying again in 3 s" in said[0]


def test_a_server_that_stays_away_is_named(tmp_path: Path, remote: Remote, daemon: Daemon) -> None:
    sleep = Waits()
    cache, _ = make_cache(tmp_path, sleep)
    with pytest.raises(InfrastructureError, match=rf"127.0.0.1:{daemon.port} .*after 3 tries.*refused") as caught:
        cache.fetch(daemon.url(remote), [MASTER])
    assert sleep.waited == [3.0, 6.0]
    assert caught.value.log == tmp_path / "logs" / "git.log"
    assert "refused" in caught.value.log.read_text()


def test_a_repository_that_is_not_there_is_not_tried_again(tmp_path: Path, remote: Remote, daemon: Daemon) -> None:
    daemon.start()
    sleep = Waits()
    cache, _ = make_cache(tmp_path, sleep)
    with pytest.raises(InfrastructureError, match="nothing"):
        cache.fetch(daemon.url(remote) + "-nothing", [MASTER])
    assert sleep.waited == []


@pytest.mark.parametrize("url", ["ext::sh -c 'touch hostile'", "--upload-pack=touch hostile"])
def test_hostile_addresses_run_nothing(tmp_path: Path, url: str) -> None:
    cache, _ = make_cache(tmp_path)
    with pytest.raises(InfrastructureError):
        cache.fetch(url, [MASTER])
    assert not list(tmp_path.rglob("hostile"))


def test_hostile_refs_run_nothing(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path)
    with pytest.raises(InfrastructureError):
        cache.fetch(remote.url, ["--upload-pack=touch hostile"])
    assert not list(tmp_path.rglob("hostile"))


def test_hooks_of_the_machine_do_not_run(tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    template = tmp_path / "template" / "hooks"
    template.mkdir(parents=True)
    hook = template / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/hostile\n")
    hook.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f"[init]\ntemplateDir = {template.parent}\n[core]\nhooksPath = {template}\n")
    cache, _ = make_cache(tmp_path)
    monkeypatch.setitem(cache.git.environment, "GIT_CONFIG_GLOBAL", str(config))  # type: ignore[arg-type]
    tip = cache.fetch(remote.url, [MASTER])[MASTER]
    cache.check_out(remote.url, "master", tip, tmp_path / "target")
    assert not (tmp_path / "hostile").exists()


def test_merge_gives_the_same_commit_each_time(tmp_path: Path, remote: Remote) -> None:
    revision = remote.change(1, 1, {"a": "1"})
    tip = remote.commit({"b": "2"})
    cache, _ = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER, change_ref(1, 1)])
    heads = []
    for name in ("one", "two"):
        cache.check_out(remote.url, "master", tip, tmp_path / name)
        cache.git.merge(tmp_path / name, revision, "change 1,1 of project")
        heads.append(git(tmp_path / name, "rev-parse", "HEAD"))
    assert heads[0] == heads[1]
    assert is_ancestor(tmp_path / "one", revision, "HEAD") and is_ancestor(tmp_path / "one", tip, "HEAD")
    assert not is_ancestor(tmp_path / "one", "HEAD", tip)
    assert git(tmp_path / "one", "log", "-1", "--format=%an <%ae> %cn <%ce>") == "CI <ci@localhost> CI <ci@localhost>"


def test_a_conflict_is_told_and_undone(tmp_path: Path, remote: Remote) -> None:
    revision = remote.change(1, 1, {"README": "mine\n"})
    tip = remote.commit({"README": "theirs\n"})
    cache, _ = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER, change_ref(1, 1)])
    target = tmp_path / "target"
    cache.check_out(remote.url, "master", tip, target)
    with pytest.raises(MergeConflict, match="change 1,1 of project cannot be merged .*README") as caught:
        cache.git.merge(target, revision, "change 1,1 of project")
    assert caught.value.exit_code == 4
    assert git(target, "status", "--porcelain") == ""


def test_unrelated_history_is_a_conflict(tmp_path: Path, remote: Remote) -> None:
    git(remote.folder, "checkout", "--quiet", "--orphan", "other")
    stranger = remote._commit({"README": "stranger\n"}, "stranger")
    remote.point(change_ref(1, 1), stranger)
    cache, _ = make_cache(tmp_path)
    commits = cache.fetch(remote.url, [MASTER, change_ref(1, 1)])
    cache.check_out(remote.url, "master", commits[MASTER], tmp_path / "target")
    with pytest.raises(MergeConflict, match="no history"):
        cache.git.merge(tmp_path / "target", stranger, "change 1,1")


def test_changed_files(remote: Remote) -> None:
    renamed = remote.commit({"doc/a": "same text\n", "ü": "x"})
    assert sorted(changed_files(remote.folder, renamed)) == ["doc/a", "ü"]
    git(remote.folder, "mv", "doc/a", "code.py")
    moved = remote._commit({}, "move")
    assert sorted(changed_files(remote.folder, moved)) == ["code.py", "doc/a"]
    side = remote.change(1, 1, {"side": "x"}, on=renamed)
    git(remote.folder, "merge", "--quiet", "--no-ff", "-m", "merge", side)
    assert changed_files(remote.folder, remote.tip()) == ["side"]
    root = git(remote.folder, "rev-list", "--max-parents=0", "HEAD")
    assert changed_files(remote.folder, root) == ["README"]


def test_reading_ignores_a_repository_in_our_environment(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    tip = read_commit(remote.folder, "master")
    assert changed_files(remote.folder, tip.hexsha) == ["README"]


def test_what_git_sees_of_the_environment() -> None:
    seen = git_environment({"PATH": "/bin", "GIT_DIR": "/x", "GIT_SSH_COMMAND": "ssh -i key", "GIT_EXTERNAL_DIFF": "x"})
    assert "GIT_DIR" not in seen and "GIT_EXTERNAL_DIFF" not in seen
    assert seen["GIT_SSH_COMMAND"] == "ssh -i key"
    assert (seen["GIT_TERMINAL_PROMPT"], seen["LC_ALL"]) == ("0", "C")
    assert "ext" not in seen["GIT_ALLOW_PROTOCOL"].split(":")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("fatal: unable to access 'https://x/': Could not resolve host: x", True),
        ("fatal: unable to access 'https://x/': Failed to connect to x port 443: Connection timed out", True),
        ("error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502\nfatal: early EOF", True),
        ("fatal: the remote end hung up unexpectedly", True),
        ("error: RPC failed; curl 56\nfatal: early EOF\nfatal: pack has bad object at offset 12", True),
        ("fatal: Unable to create '/c/x.git/packed-refs.lock': File exists.", True),
        ("error: cannot lock ref 'refs/heads/master': is at a but expected b", True),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 429", True),
        ("ssh: connect to host x port 22: Connection refused\nfatal: Could not read from remote repository.", True),
        ("remote: Repository not found.\nfatal: repository not found", False),
        ("git@x: Permission denied (publickey).\nfatal: the remote end hung up unexpectedly", False),
        ("fatal: Authentication failed for 'https://x/'", False),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", False),
        ("fatal: transport 'ext' not allowed", False),
        ("fatal: '/x' does not appear to be a git repository", False),
    ],
)
def test_what_may_pass_by_itself(said: str, expected: bool) -> None:
    assert is_transient(said) is expected
    assert not is_corrupt(said)


def test_addresses_are_shown_without_passwords() -> None:
    assert without_password("https://me:secret@x/p") == "https://x/p"
    assert without_password("fetch https://me@x/p") == "fetch https://me@x/p"
    assert server_of("https://me:secret@x:8443/p") == "x:8443"
    assert server_of("/srv/git/p") == "/srv/git/p"
