"""The git cache: what comes in, what is waited for, what happens when it is damaged."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.git import (
    CorruptRepository,
    MissingRef,
    read_commit,
)
from tests.repositories import Remote, Waits, change_ref, git, make_cache

MASTER = "refs/heads/master"


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    return Remote(tmp_path / "server" / "project")


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


def test_a_shallow_cache_is_made_anew(tmp_path: Path, remote: Remote) -> None:
    for number in range(3):
        remote.commit({"a": str(number)})
    cache, said = make_cache(tmp_path)
    place = cache.repository(remote.url)
    place.parent.mkdir(parents=True)
    # As somebody fills a cache by hand who wants to save time.
    git(tmp_path, "clone", "--quiet", "--bare", "--depth=1", "--no-local", remote.url, str(place))
    remote.change(1, 1, {"mine": "1"}, on="HEAD~2")
    tip = remote.tip()
    assert cache.fetch(remote.url, [MASTER, change_ref(1, 1)])[MASTER] == tip
    assert len(git(place, "rev-list", tip).split()) == 4
    assert any("shallow" in text and "anew" in text for text in said)


def test_a_shallow_server_is_named(tmp_path: Path, remote: Remote) -> None:
    remote.commit({"a": "1"})
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", "--no-local", remote.url, str(shallow))
    cache, said = make_cache(tmp_path)
    with pytest.raises(InfrastructureError, match="its repository is shallow") as caught:
        cache.fetch(shallow.as_uri(), [MASTER])
    assert "git fetch --unshallow" in str(caught.value) and said == []


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
    # GitPython reads packed references by itself, and is particular about their header.
    assert read_commit(target, "refs/tags/1.0").hexsha == read_commit(target, "HEAD").hexsha == tip
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


def test_the_same_project_has_one_place(tmp_path: Path) -> None:
    cache, _ = make_cache(tmp_path)
    place = cache.repository("https://review.example.org/a/b")
    assert place == cache.repository("ssh://me@review.example.org/a/b.git")
    assert place.name == "review.example.org%2Fa%2Fb.git"
    assert place != cache.repository("https://review.example.org/a_b")
    long = cache.repository("https://review.example.org/" + "a/" * 200 + "b")
    assert len(long.name) < 160
    assert long != cache.repository("https://review.example.com/" + "a/" * 200 + "b")
