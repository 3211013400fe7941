"""The git program's verbs and the cache, on real repositories and a real server."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.git import (
    CorruptRepository,
    MergeConflict,
    MissingRef,
    changed_files,
    git_environment,
    is_ancestor,
    is_corrupt,
    is_transient,
    read_commit,
    server_of,
    without_password,
)
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


def damage(repository: Path) -> None:
    """As a full disk or a power failure leaves it: files of objects are there and empty."""
    for path in (repository / "objects").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_bytes(b"")


def test_fetch_brings_branch_change_and_tags(tmp_path: Path, remote: Remote) -> None:
    git(remote.folder, "tag", "-a", "-m", "one", "1.0")
    revision = remote.change(1, 1, {"a": "1"})
    cache, _ = make_cache(tmp_path)
    commits = cache.fetch(remote.url, [MASTER, change_ref(1, 1)])
    assert commits == {MASTER: remote.tip(), change_ref(1, 1): revision}
    assert list(cache.git.refs(cache.repository(remote.url), "refs/tags")) == ["refs/tags/1.0"]


def test_fetch_brings_only_what_is_asked_for(tmp_path: Path, remote: Remote) -> None:
    remote.branch("other")
    other = remote.commit({"big": "x"}, branch="other")
    cache, _ = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER])
    with pytest.raises(CorruptRepository):
        read_commit(cache.repository(remote.url), other)


def test_a_known_commit_needs_no_server(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path)
    tip = cache.fetch(remote.url, [MASTER])[MASTER]
    shutil.move(remote.folder, tmp_path / "gone")
    assert cache.fetch(remote.url, [tip]) == {tip: tip}


def test_fetch_follows_a_branch_that_was_rewritten(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER])
    git(remote.folder, "commit", "--quiet", "--amend", "--allow-empty", "-m", "another")
    assert cache.fetch(remote.url, [MASTER])[MASTER] == remote.tip()


def test_a_ref_of_a_trigger_is_waited_for(tmp_path: Path, remote: Remote) -> None:
    revision = remote.change(1, 1, {"a": "1"}, lag=True)
    sleep = Waits(after=5, then=lambda: remote.point(change_ref(1, 1), revision))
    cache, said = make_cache(tmp_path, sleep)
    commits = cache.fetch(remote.url, [change_ref(1, 1)], wait_for=[change_ref(1, 1)])
    assert commits[change_ref(1, 1)] == revision
    assert sleep.waited == [1.0, 2.0, 4.0]
    assert "not at" in said[0] and "replication" in said[0]


def test_a_ref_that_never_comes_is_given_up(tmp_path: Path, remote: Remote) -> None:
    sleep = Waits()
    cache, _ = make_cache(tmp_path, sleep)
    with pytest.raises(MissingRef, match="refs/changes/01/1/1, also not after 59 s") as caught:
        cache.fetch(remote.url, [change_ref(1, 1)], wait_for=[change_ref(1, 1)])
    assert 55 <= sum(sleep.waited) <= 60
    assert caught.value.exit_code == 3


def test_a_ref_by_hand_is_not_waited_for(tmp_path: Path, remote: Remote) -> None:
    sleep = Waits()
    cache, _ = make_cache(tmp_path, sleep)
    with pytest.raises(MissingRef) as caught:
        cache.fetch(remote.url, [change_ref(1, 1)])
    assert caught.value.ref == change_ref(1, 1)
    assert sleep.waited == []


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


def test_a_damaged_cache_is_made_anew_once(tmp_path: Path, remote: Remote) -> None:
    cache, said = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER])
    packs = list((cache.repository(remote.url) / "objects" / "pack").glob("*.pack"))
    remote.commit({"a": "1"})
    cache.fetch(remote.url, [MASTER])
    for pack in packs:
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])
    tip = remote.commit({"a": "2"})
    assert cache.fetch(remote.url, [MASTER])[MASTER] == tip
    assert any("WARNING" in text and "anew" in text for text in said)
    assert len(list(cache.folder.glob("*.corrupt-*"))) == 1


def test_a_cache_without_head_is_made_anew(tmp_path: Path, remote: Remote) -> None:
    outer = tmp_path / "cache"
    outer.mkdir()
    # A repository around it must not be taken for the cache.
    git(outer, "init", "--quiet")
    cache, said = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER])
    (cache.repository(remote.url) / "HEAD").unlink()
    assert cache.fetch(remote.url, [MASTER])[MASTER] == remote.tip()
    assert any("WARNING" in text for text in said)
    assert git(outer, "for-each-ref") == ""


def test_a_cache_whose_objects_are_all_empty_recovers(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path)
    cache.fetch(remote.url, [MASTER])
    damage(cache.repository(remote.url))
    tip = cache.fetch(remote.url, [MASTER])[MASTER]
    cache.check_out(remote.url, "master", tip, tmp_path / "target")
    assert (tmp_path / "target" / "README").exists()


def test_a_damaged_server_is_not_blamed_on_the_cache(tmp_path: Path, remote: Remote) -> None:
    damage(remote.folder / ".git")
    cache, _ = make_cache(tmp_path)
    with pytest.raises(InfrastructureError, match="server|gives"):
        cache.fetch(remote.url, [MASTER])


def test_a_branch_that_became_a_folder(tmp_path: Path, remote: Remote) -> None:
    remote.branch("feature")
    cache, _ = make_cache(tmp_path)
    cache.fetch(remote.url, ["refs/heads/feature"])
    git(remote.folder, "branch", "-D", "feature")
    remote.branch("feature/one")
    assert cache.fetch(remote.url, ["refs/heads/feature/one"]) == {"refs/heads/feature/one": remote.tip()}


def test_two_fetches_at_once(tmp_path: Path, remote: Remote) -> None:
    revisions = {change_ref(n, 1): remote.change(n, 1, {f"f{n}": "x"}) for n in range(1, 5)}
    caches = [make_cache(tmp_path, sleep=threading.Event().wait)[0] for _ in revisions]
    found: dict[str, str] = {}

    def work(number: int) -> None:
        ref = change_ref(number + 1, 1)
        found[ref] = caches[number].fetch(remote.url, [MASTER, ref])[ref]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(caches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == revisions


def test_a_lock_that_stays_names_its_holder(tmp_path: Path, remote: Remote) -> None:
    holder, _ = make_cache(tmp_path)
    sleep = Waits()
    cache, said = make_cache(tmp_path, sleep, lock=2.0)
    with holder._locked(holder.repository(remote.url)), pytest.raises(InfrastructureError, match=r"process \d+ since"):
        cache.fetch(remote.url, [MASTER])
    assert sum(sleep.waited) >= 2.0
    assert "waiting" in said[0]
    assert cache.fetch(remote.url, [MASTER])


def test_old_leftovers_of_a_killed_git_go(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path, transfer=60.0)
    cache.fetch(remote.url, [MASTER])
    leftover = cache.repository(remote.url) / "refs" / "heads" / "master.lock"
    leftover.touch()
    import os

    os.utime(leftover, (0, 0))
    tip = remote.commit({"a": "2"})
    assert cache.fetch(remote.url, [MASTER])[MASTER] == tip


def test_many_fetches_leave_few_packs_and_every_object(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path)
    first = remote.change(1, 1, {"f": "1"})
    cache.fetch(remote.url, [change_ref(1, 1)])
    repository = cache.repository(remote.url)
    # Nothing points at it any more, but a checkout may still borrow it.
    git(repository, "update-ref", "-d", change_ref(1, 1))
    for number in range(2, 26):
        remote.change(number, 1, {"f": str(number)})
        cache.fetch(remote.url, [change_ref(number, 1)])
    assert len(list((repository / "objects" / "pack").glob("*.pack"))) <= 21
    assert read_commit(repository, first).hexsha == first


def test_a_checkout_is_a_repository_of_its_own(tmp_path: Path, remote: Remote) -> None:
    git(remote.folder, "tag", "-a", "-m", "one", "1.0")
    cache, _ = make_cache(tmp_path)
    tip = cache.fetch(remote.url, [MASTER])[MASTER]
    target = tmp_path / "src" / "project"
    cache.check_out(remote.url, "master", tip, target)
    shutil.rmtree(remote.folder)
    assert git(target, "describe") == "1.0"
    assert git(target, "rev-parse", "--abbrev-ref", "HEAD") == "master"
    assert git(target, "status", "--porcelain") == ""
    (target / "new").write_text("x")
    git(target, "add", "new")
    git(target, "commit", "--quiet", "-m", "mine")
    mine = git(target, "rev-parse", "HEAD")
    with pytest.raises(CorruptRepository):
        read_commit(cache.repository(remote.url), mine)
    assert not any(path.stat().st_nlink > 1 for path in target.rglob("*") if path.is_file())


def test_a_checkout_replaces_what_was_there(tmp_path: Path, remote: Remote) -> None:
    cache, _ = make_cache(tmp_path)
    tip = cache.fetch(remote.url, [MASTER])[MASTER]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "keep").touch()
    target = tmp_path / "target"
    target.symlink_to(elsewhere)
    cache.check_out(remote.url, "master", tip, target)
    (target / "leftover").touch()
    cache.check_out(remote.url, "master", tip, target)
    assert sorted(path.name for path in target.iterdir()) == [".git", "README"]
    assert (elsewhere / "keep").exists()


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


def test_the_same_project_has_one_place(tmp_path: Path) -> None:
    cache, _ = make_cache(tmp_path)
    place = cache.repository("https://review.example.org/a/b")
    assert place == cache.repository("ssh://me@review.example.org/a/b.git")
    assert place.name == "review.example.org%2Fa%2Fb.git"
    assert place != cache.repository("https://review.example.org/a_b")
    long = cache.repository("https://review.example.org/" + "a/" * 200 + "b")
    assert len(long.name) < 160
    assert long != cache.repository("https://review.example.com/" + "a/" * 200 + "b")
