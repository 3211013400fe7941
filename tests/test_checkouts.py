"""What is checked out for a change, on real repositories."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.change import ChangeUnderTest
from ci_scripts.checkouts import (
    Checkout,
    check_out,
    fetch,
    fetched_before,
    files_of_change,
    mended,
    project_addresses,
    wanted_checkouts,
)
from ci_scripts.errors import ConfigurationError, InfrastructureError, NothingToTest
from ci_scripts.git import MergeConflict, MissingRef
from tests.repositories import DRIVER, NEUTRON, Remote, Waits, change_ref, git, make_cache, make_settings


class Site:
    """A server with Neutron and the driver, and a CI that tests them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.neutron = Remote(folder / "server" / "openstack" / "neutron")
        self.driver = Remote(folder / "server" / "example" / "networking-example")
        self.sleep = Waits()
        self.cache, self.said = make_cache(folder, self.sleep)
        self.sections: dict[str, Any] = {
            "projects": {NEUTRON: {"url": self.neutron.url}},
            "driver": {"project": DRIVER, "source": self.driver.url},
        }

    def settings(self) -> Any:
        return make_settings(self.folder, **self.sections)

    def change(self, number: int, project: str = NEUTRON, **more: Any) -> ChangeUnderTest:
        url = self.neutron.url if project == NEUTRON else self.driver.url
        values = {"branch": "master", "ref": change_ref(number, 1), "url": url, "trigger": "gerrit-trigger", **more}
        return ChangeUnderTest(number=str(number), patchset="1", project=project, **values)

    def check_out(self, change: ChangeUnderTest) -> dict[str, Checkout]:
        made = {}
        for name, wanted in wanted_checkouts(self.settings(), change).items():
            target = self.folder / "src" / name

            def make(wanted: Any = wanted, target: Path = target) -> Checkout:
                return check_out(fetch(wanted, self.cache, self.said.append), target, self.cache)

            made[name] = mended(self.cache, wanted.url, make)
        return made

    def again(self, change: ChangeUnderTest, project: str, made: Checkout, *, with_changes: bool) -> Checkout:
        """The checkout of a trial, from what run.json says of the run's own."""
        record = json.loads(json.dumps(made.as_record(self.folder)))
        wanted = wanted_checkouts(self.settings(), change)[project]
        target = self.folder / f"trials/{with_changes}" / project
        return check_out(fetched_before(record, wanted, self.cache, with_changes=with_changes), target, self.cache)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_change_is_merged_onto_the_tip_of_its_branch(site: Site) -> None:
    revision = site.neutron.change(1, 1, {"mine": "1"})
    tip = site.neutron.commit({"theirs": "2"})
    made = site.check_out(site.change(1))
    neutron = made[NEUTRON]
    assert {"mine", "theirs", "README"} <= {path.name for path in neutron.path.iterdir()}
    assert (neutron.tip, neutron.revision, neutron.contains_revision) == (tip, revision, True)
    assert neutron.commit == git(neutron.path, "rev-parse", "HEAD") != tip
    assert git(neutron.path, "rev-parse", "HEAD^1", "HEAD^2").split() == [tip, revision]
    assert neutron.as_record(site.folder) == {
        "path": f"src/{NEUTRON}",
        "url": site.neutron.url,
        "branch": "master",
        "tip": tip,
        "commit": neutron.commit,
        "revision": revision,
        "contains_revision": True,
        "patches": [],
        "merged": [revision],
    }


def test_a_change_on_the_tip_is_checked_out_itself(site: Site) -> None:
    revision = site.neutron.change(1, 1, {"mine": "1"})
    assert site.check_out(site.change(1))[NEUTRON].commit == revision


def test_the_driver_is_held_fixed(site: Site) -> None:
    site.neutron.change(1, 1, {"mine": "1"})
    git(site.driver.folder, "tag", "-a", "-m", "one", "1.0")
    released = site.driver.tip()
    newer = site.driver.commit({"new": "x"})
    assert site.check_out(site.change(1))[DRIVER].commit == newer
    site.sections["driver"]["ref"] = "1.0"
    driver = site.check_out(site.change(1))[DRIVER]
    assert (driver.commit, driver.revision, driver.contains_revision) == (released, None, False)
    assert git(driver.path, "describe") == "1.0"
    site.sections["driver"]["ref"] = newer
    assert site.check_out(site.change(1))[DRIVER].commit == newer


def test_a_branch_has_a_driver_of_its_own(site: Site) -> None:
    site.neutron.branch("stable/2026.1")
    site.neutron.change(1, 1, {"mine": "1"}, on="stable/2026.1")
    site.driver.branch("old")
    old = site.driver.tip("old")
    site.driver.commit({"new": "x"})
    site.sections["branches"] = {"stable/2026.1": {"driver_ref": "old"}}
    assert site.check_out(site.change(1, branch="stable/2026.1"))[DRIVER].commit == old


def test_a_driver_that_is_under_test_is_not_held(site: Site) -> None:
    revision = site.driver.change(2, 1, {"mine": "1"})
    site.sections["driver"]["ref"] = "no-such-branch"
    made = site.check_out(site.change(2, DRIVER))
    assert made[DRIVER].commit == revision
    assert made[NEUTRON].commit == site.neutron.tip()


def test_a_driver_from_packages_is_not_checked_out(site: Site) -> None:
    site.neutron.change(1, 1, {"mine": "1"})
    site.sections["driver"] = {"project": DRIVER, "package": "networking-example"}
    assert list(site.check_out(site.change(1))) == [NEUTRON]
    revision = site.driver.change(2, 1, {"mine": "1"})
    assert site.check_out(site.change(2, DRIVER))[DRIVER].commit == revision


def test_other_projects_take_the_branch_of_the_change_where_it_exists(site: Site) -> None:
    site.driver.branch("stable/2026.1")
    site.driver.change(2, 1, {"mine": "1"}, on="stable/2026.1")
    made = site.check_out(site.change(2, DRIVER, branch="stable/2026.1"))
    assert made[NEUTRON].branch == "master"
    assert "openstack/neutron has no branch stable/2026.1: branch master is taken" in site.said
    site.neutron.branch("stable/2026.1")
    assert site.check_out(site.change(2, DRIVER, branch="stable/2026.1"))[NEUTRON].branch == "stable/2026.1"


def test_the_fallback_can_be_configured(site: Site) -> None:
    site.driver.branch("feature")
    site.driver.change(2, 1, {"mine": "1"}, on="feature")
    site.neutron.branch("main")
    site.sections["projects"][NEUTRON].update(branch="missing", default_branch="main")
    assert site.check_out(site.change(2, DRIVER, branch="feature"))[NEUTRON].branch == "main"
    site.sections["projects"][NEUTRON].update(default_branch="also-missing")
    with pytest.raises(MissingRef, match="feature or branch missing or branch also-missing") as caught:
        site.check_out(site.change(2, DRIVER, branch="feature"))
    assert caught.value.exit_code == 3


def test_dependencies_are_merged_first(site: Site) -> None:
    first = site.neutron.change(1, 1, {"one": "1"})
    other = site.driver.change(2, 1, {"driver": "2"})
    last = site.neutron.change(3, 1, {"three": "3"})
    also = (site.change(1), site.change(2, DRIVER))
    made = site.check_out(site.change(3, also=also))
    assert {"one", "three"} <= {path.name for path in made[NEUTRON].path.iterdir()}
    assert git(made[NEUTRON].path, "rev-parse", "HEAD^1", "HEAD^2").split() == [first, last]
    assert made[NEUTRON].contains_revision
    assert (made[DRIVER].commit, made[DRIVER].revision) == (other, other)


def test_dependencies_for_another_branch_are_left_out(site: Site) -> None:
    site.neutron.branch("stable/2026.1")
    site.neutron.change(1, 1, {"one": "1"}, on="stable/2026.1")
    site.neutron.change(3, 1, {"three": "3"})
    dependency = site.change(1, branch="stable/2026.1")
    neutron = site.check_out(site.change(3, also=(dependency,)))[NEUTRON]
    assert not (neutron.path / "one").exists()


def test_a_conflict_blames_nobody(site: Site) -> None:
    site.neutron.change(1, 1, {"README": "mine\n"})
    site.neutron.commit({"README": "theirs\n"})
    with pytest.raises(MergeConflict, match="change 1,1 of openstack/neutron") as caught:
        site.check_out(site.change(1))
    assert caught.value.exit_code == 4


def test_a_zuul_ref_is_taken_as_it_is(site: Site) -> None:
    ref = "refs/zuul/master/Z" + "0" * 31 + "1"
    merged = site.neutron.change(1, 1, {"one": "1"})
    site.neutron.point(ref, merged)
    site.neutron.commit({"later": "x"})
    elsewhere = Remote(site.folder / "merger" / "openstack" / "neutron")
    git(elsewhere.folder, "fetch", "--quiet", site.neutron.url, f"{ref}:{ref}")
    item = site.change(1, ref=ref, url=elsewhere.url, revision=merged, trigger="zuul-v2")
    made = site.check_out(item)
    assert (made[NEUTRON].commit, made[NEUTRON].contains_revision) == (merged, True)
    assert not (made[NEUTRON].path / "later").exists()
    # As a dependency of the driver's change it is taken in the same way.
    site.driver.change(2, 1, {"mine": "1"})
    made = site.check_out(site.change(2, DRIVER, also=(item,)))
    assert made[NEUTRON].commit == merged


def test_a_ref_that_lags_is_waited_for_and_one_by_hand_is_not(site: Site) -> None:
    revision = site.neutron.change(1, 1, {"one": "1"}, lag=True)
    with pytest.raises(ConfigurationError, match="has no refs/changes/01/1/1") as caught:
        site.check_out(site.change(1, trigger="flags"))
    assert caught.value.exit_code == 2
    assert site.sleep.waited == []
    site.sleep.after, site.sleep.then = 3, lambda: site.neutron.point(change_ref(1, 1), revision)
    assert site.check_out(site.change(1))[NEUTRON].revision == revision
    assert sum(site.sleep.waited) == 3


def test_another_commit_than_the_trigger_named_is_refused(site: Site) -> None:
    site.neutron.change(1, 1, {"one": "1"})
    with pytest.raises(InfrastructureError, match="but the trigger named ffff"):
        site.check_out(site.change(1, revision="f" * 40))


def test_a_project_that_is_not_configured(site: Site) -> None:
    with pytest.raises(NothingToTest, match="example/other is not tested here; configured are .*neutron") as caught:
        wanted_checkouts(site.settings(), replace(site.change(1), project="example/other"))
    assert caught.value.exit_code == 4


def test_addresses_come_from_the_configuration_or_beside_the_change(site: Site) -> None:
    assert project_addresses(site.settings()) == {NEUTRON: site.neutron.url, DRIVER: site.driver.url}
    site.sections["projects"] = {NEUTRON: {}, "openstack/neutron-lib": {}}
    wanted = wanted_checkouts(site.settings(), site.change(1, url="https://review.example.org/r/openstack/neutron"))
    assert wanted["openstack/neutron-lib"].url == "https://review.example.org/r/openstack/neutron-lib"
    with pytest.raises(ConfigurationError, match="openstack/neutron-lib is fetched from"):
        wanted_checkouts(site.settings(), site.change(1, url="/srv/git/somewhere"))


def test_changed_files_are_those_of_the_patch_set(site: Site) -> None:
    first = site.neutron.change(1, 1, {"one": "1"})
    site.neutron.change(2, 1, {"two": "2", "doc/x": "x"}, on=first)
    fetched = fetch(wanted_checkouts(site.settings(), site.change(2))[NEUTRON], site.cache, site.said.append)
    assert sorted(files_of_change(fetched, site.cache)) == ["doc/x", "two"]


def make_patch(site: Site, name: str, old: str, new: str) -> Path:
    """A patch against README at the tip of Neutron's master."""
    git(site.neutron.folder, "checkout", "--quiet", "master")
    readme = site.neutron.folder / "README"
    assert old in readme.read_text()
    readme.write_text(readme.read_text().replace(old, new))
    (site.folder / name).write_text(git(site.neutron.folder, "diff") + "\n")
    git(site.neutron.folder, "checkout", "--quiet", "README")
    return site.folder / name


def test_patches_are_applied_and_the_commit_is_that_before(site: Site) -> None:
    revision = site.neutron.change(1, 1, {"mine": "1"})
    make_patch(site, "a.patch", "neutron", "neutron\npatched")
    site.sections["projects"][NEUTRON]["patches"] = ["a.patch"]
    neutron = site.check_out(site.change(1))[NEUTRON]
    assert "patched" in (neutron.path / "README").read_text()
    assert neutron.commit == revision == git(neutron.path, "rev-parse", "HEAD")
    assert neutron.patches == ("a.patch",)


def test_a_patch_is_merged_three_way(site: Site) -> None:
    site.neutron.commit({"README": "".join(f"line {n}\n" for n in range(9))})
    make_patch(site, "a.patch", "line 4", "line four")
    site.neutron.commit({"README": "new\n" + "".join(f"line {n}\n" for n in range(9)).replace("line 1\n", "")})
    site.neutron.change(1, 1, {"mine": "1"})
    site.sections["projects"][NEUTRON]["patches"] = ["a.patch"]
    assert "line four" in (site.check_out(site.change(1))[NEUTRON].path / "README").read_text()


def test_a_patch_that_is_out_of_date_is_the_cis_fault(site: Site) -> None:
    make_patch(site, "a.patch", "neutron", "patched")
    site.neutron.commit({"README": "rewritten\n"})
    site.neutron.change(1, 1, {"mine": "1"})
    site.sections["projects"][NEUTRON]["patches"] = ["a.patch"]
    with pytest.raises(InfrastructureError, match="own patch a.patch .*out of date") as caught:
        site.check_out(site.change(1))
    assert caught.value.exit_code == 3
    assert git(site.folder / "src" / NEUTRON, "status", "--porcelain") == ""


def test_a_patch_against_the_change_is_not_the_changes_fault(site: Site) -> None:
    make_patch(site, "a.patch", "neutron", "patched")
    revision = site.neutron.change(1, 1, {"README": "mine\n"})
    site.sections["projects"][NEUTRON]["patches"] = ["a.patch"]
    with pytest.raises(InfrastructureError, match="not with change 1,1; the change is not to blame") as caught:
        site.check_out(site.change(1))
    assert caught.value.exit_code == 3
    assert git(site.folder / "src" / NEUTRON, "rev-parse", "HEAD") == revision


def test_damage_that_only_a_checkout_meets_is_mended(site: Site) -> None:
    site.neutron.change(1, 1, {"mine": "1"})
    site.check_out(site.change(1))
    packs = list((site.cache.repository(site.neutron.url) / "objects" / "pack").glob("*.pack"))
    git(site.neutron.folder, "commit", "--quiet", "--allow-empty", "-m", "no new tree")
    site.check_out(site.change(1))
    for pack in packs:
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:40])
    shutil.rmtree(site.folder / "src")
    made = site.check_out(site.change(1))
    assert (made[NEUTRON].path / "mine").exists()
    assert any("WARNING" in text for text in site.said)


@pytest.mark.parametrize("with_changes", [True, False])
def test_a_checkout_is_made_again_from_the_same_commits_without_asking_the_server(
    site: Site, with_changes: bool
) -> None:
    revision = site.neutron.change(1, 1, {"mine": "1"})
    tip = site.neutron.commit({"theirs": "2"})
    change = site.change(1)
    made = site.check_out(change)[NEUTRON]
    site.neutron.commit({"later": "3"})
    site.neutron.folder.rename(site.neutron.folder.with_name("gone"))
    again = site.again(change, NEUTRON, made, with_changes=with_changes)
    names = {path.name for path in again.path.iterdir()}
    assert "theirs" in names and "later" not in names
    assert ("mine" in names) is with_changes
    assert again.tip == tip
    if with_changes:
        assert again.merged == made.merged == (revision,)
        assert git(again.path, "rev-parse", "HEAD^{tree}") == git(made.path, "rev-parse", "HEAD^{tree}")
    else:
        assert (again.commit, again.merged, again.revision, again.contains_revision) == (tip, (), None, False)


def test_dependencies_are_merged_again_with_the_change_and_left_out_without_it(site: Site) -> None:
    site.neutron.change(1, 1, {"one": "1"})
    site.driver.change(2, 1, {"driver": "2"})
    site.neutron.change(3, 1, {"three": "3"})
    change = site.change(3, also=(site.change(1), site.change(2, DRIVER)))
    made = site.check_out(change)
    for with_changes in (True, False):
        neutron = site.again(change, NEUTRON, made[NEUTRON], with_changes=with_changes)
        driver = site.again(change, DRIVER, made[DRIVER], with_changes=with_changes)
        names = {path.name for checkout in (neutron, driver) for path in checkout.path.iterdir()}
        assert ({"one", "driver", "three"} <= names) is with_changes
        assert bool({"one", "driver", "three"} & names) is with_changes


def test_a_driver_at_a_tag_and_a_branch_that_was_fallen_back_to_stay_what_they_were(site: Site) -> None:
    site.driver.branch("stable/2026.1")
    site.driver.change(2, 1, {"mine": "1"}, on="stable/2026.1")
    change = site.change(2, DRIVER, branch="stable/2026.1")
    neutron = site.check_out(change)[NEUTRON]
    assert site.again(change, NEUTRON, neutron, with_changes=True).branch == neutron.branch == "master"
    git(site.driver.folder, "tag", "1.0")
    site.sections["driver"]["ref"] = "1.0"
    site.neutron.change(1, 1, {"mine": "1"})
    driver = site.check_out(site.change(1))[DRIVER]
    git(site.driver.folder, "tag", "--delete", "1.0")
    assert site.again(site.change(1), DRIVER, driver, with_changes=False).commit == driver.commit


def test_where_zuul_merged_the_change_its_branch_is_asked_for(site: Site) -> None:
    ref = "refs/zuul/master/Z" + "0" * 31 + "1"
    merged = site.neutron.change(1, 1, {"one": "1"})
    site.neutron.point(ref, merged)
    change = site.change(1, ref=ref, revision=merged, trigger="zuul-v2")
    made = site.check_out(change)[NEUTRON]
    assert site.again(change, NEUTRON, made, with_changes=True).commit == merged
    bare = site.again(change, NEUTRON, made, with_changes=False)
    assert bare.commit == site.neutron.tip() and not (bare.path / "one").exists()
    site.neutron.folder.rename(site.neutron.folder.with_name("gone"))
    with pytest.raises(InfrastructureError):
        site.again(change, NEUTRON, made, with_changes=False)


def test_patches_are_applied_to_the_checkout_of_a_control_run_too(site: Site) -> None:
    site.neutron.change(1, 1, {"mine": "1"})
    make_patch(site, "a.patch", "neutron", "neutron\npatched")
    site.sections["projects"][NEUTRON]["patches"] = ["a.patch"]
    change = site.change(1)
    bare = site.again(change, NEUTRON, site.check_out(change)[NEUTRON], with_changes=False)
    assert "patched" in (bare.path / "README").read_text() and not (bare.path / "mine").exists()
