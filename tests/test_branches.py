"""What became of a branch that a server has no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci_scripts.branches import BranchEnded, successors, where_it_went
from ci_scripts.checkouts import fetch, wanted_checkouts
from ci_scripts.errors import ConfigurationError
from ci_scripts.git import MissingRef
from tests.repositories import DRIVER, NEUTRON, Remote, git
from tests.test_checkouts import Site

STABLE = "stable/2023.1"


def test_where_a_branch_may_have_gone() -> None:
    tags = ("refs/tags/2023.1-eol", "refs/tags/2023.1-eom", "refs/tags/2023.1-em")
    assert successors(STABLE) == ("refs/heads/unmaintained/2023.1", *tags)
    assert successors("unmaintained/zed")[:2] == ("refs/heads/stable/zed", "refs/tags/zed-eol")
    assert successors("master") == successors("feature/ovn") == successors("stable/") == ()


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["refs/heads/unmaintained/2023.1"], "the branch stable/2023.1 is unmaintained/2023.1 now"),
        (["refs/tags/2023.1-eom", "refs/heads/unmaintained/2023.1"], "is unmaintained/2023.1 now"),
        (["refs/tags/2023.1-eol", "refs/tags/2023.1-eom"], "has ended: its last commit is the tag 2023.1-eol"),
        (["refs/heads/master"], None),
        ([], None),
    ],
)
def test_what_is_said(there: list[str], said: str | None) -> None:
    words = where_it_went(STABLE, there)
    assert words is None if said is None else said in (words or "")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def fetch_one(site: Site, name: str, **change: Any) -> None:
    wanted = wanted_checkouts(site.settings(), site.change(1, branch=STABLE, **change))[name]
    fetch(wanted, site.cache, site.said.append)


def move(remote: Remote) -> None:
    remote.branch("unmaintained/2023.1")
    git(remote.folder, "tag", "2023.1-eom")


def test_a_change_for_a_branch_that_moved_has_nothing_to_test(site: Site) -> None:
    move(site.neutron)
    with pytest.raises(BranchEnded, match="no branch stable/2023.1: .* is unmaintained/2023.1 now") as caught:
        fetch_one(site, NEUTRON)
    assert caught.value.exit_code == 4
    assert "a living branch" in str(caught.value)


def test_a_change_for_a_branch_that_ended_has_nothing_to_test(site: Site) -> None:
    git(site.neutron.folder, "tag", "-a", "-m", "End of life", "2023.1-eol")
    with pytest.raises(BranchEnded, match="has ended: its last commit is the tag 2023.1-eol"):
        fetch_one(site, NEUTRON)


def test_a_branch_that_is_only_missing_may_be_the_servers_fault(site: Site) -> None:
    with pytest.raises(MissingRef, match="has no branch stable/2023.1") as caught:
        fetch_one(site, NEUTRON)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"driver": {"ref": STABLE}}, "driver.ref"),
        ({"branches": {STABLE: {"driver_ref": STABLE}}}, f"branches.{STABLE}.driver_ref"),
    ],
)
def test_a_driver_branch_that_moved_is_the_configurations(site: Site, sections: dict[str, Any], key: str) -> None:
    site.neutron.branch(STABLE)
    move(site.driver)
    site.sections["driver"] |= sections.get("driver", {})
    site.sections["branches"] = sections.get("branches", {})
    with pytest.raises(ConfigurationError, match="no branch stable/2023.1: .* is unmaintained/2023.1 now") as caught:
        fetch_one(site, DRIVER)
    assert caught.value.exit_code == 2
    assert f"set {key} to what is there" in str(caught.value)


def test_another_projects_configured_branch_that_ended(site: Site) -> None:
    site.neutron.branch(STABLE)
    lib = Remote(site.folder / "server" / "openstack" / "neutron-lib")
    git(lib.folder, "tag", "zed-eol")
    site.sections["projects"]["openstack/neutron-lib"] = {"url": lib.url, "branch": "stable/zed"}
    with pytest.raises(ConfigurationError, match="the tag zed-eol") as caught:
        fetch_one(site, "openstack/neutron-lib")
    assert "set projects.openstack/neutron-lib.branch" in str(caught.value)


def test_a_server_that_does_not_say_changes_no_error(site: Site) -> None:
    wanted = wanted_checkouts(site.settings(), site.change(1, branch=STABLE))[NEUTRON]
    assert site.cache.git.listed((site.folder / "nowhere").as_uri(), successors(STABLE)) == frozenset()
    assert wanted.key == ""
