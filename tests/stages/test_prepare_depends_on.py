"""ci-prepare-gate and Depends-On: a review server over HTTP, real git, and the refs that devstack-gate fetches."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.change import ChangeUnderTest, change_from_record
from ci_scripts.depends_on import DependenciesRefused
from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit import GerritFailed
from ci_scripts.git import MergeConflict
from ci_scripts.stages.change_options import find_change, find_control_run
from ci_scripts.workspace import read_json
from ci_scripts.zuul_refs import zuul_url_of
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.gerrit_state import FakeChange
from tests.fakes.review_server import ReviewServer
from tests.repositories import DRIVER, NEUTRON, Remote, change_ref, git, make_settings
from tests.stages.test_prepare_gate import RUN_ID, RecordingGate, Site

LIB = "openstack/neutron-lib"
NOVA = "openstack/nova"
ZUUL_REF = f"refs/zuul/master/Z{RUN_ID}"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> RecordingGate:
    made = RecordingGate()
    monkeypatch.setattr("ci_scripts.gates.gate_of", lambda kind: made)
    return made


class ReviewedSite(Site):
    """The site of prepare-gate's tests with one project more, and a Gerrit that has their changes."""

    def __init__(self, folder: Path, gerrit: FakeGerrit) -> None:
        super().__init__(folder)
        self.lib = Remote(folder / "server" / LIB)
        self.sections["projects"][LIB] = {"url": self.lib.url}
        self.sections["gate"] = {"kind": "devstack-gate"}
        self.review = ReviewServer(gerrit, {NEUTRON: self.neutron, LIB: self.lib, DRIVER: self.driver})
        gerrit.add_project(NOVA)

    def triggered(self, change: FakeChange, **more: str) -> ChangeUnderTest:
        """As the Gerrit Trigger describes a change."""
        variables = {
            "GERRIT_PROJECT": change.project,
            "GERRIT_BRANCH": change.branch,
            "GERRIT_CHANGE_NUMBER": str(change.number),
            "GERRIT_PATCHSET_NUMBER": str(change.current.number),
            "GERRIT_PATCHSET_REVISION": change.current.revision,
            "GERRIT_REFSPEC": change.current.ref,
            "GERRIT_CHANGE_URL": self.review.page(change),
            "GERRIT_EVENT_TYPE": "patchset-created",
        }
        return find_change(make_settings(self.folder, **self.sections), {**variables, **more}, {}, None)

    def run(self, change: FakeChange) -> dict[str, Any]:
        return self.prepare_change(make_settings(self.folder, **self.sections), self.triggered(change))

    def files(self, project: str) -> set[str]:
        return {path.name for path in (self.workspace.src / project).iterdir()}

    def early_rule(self) -> tuple[str, str, str, int]:
        verdict = read_json(self.workspace.verdict_json)
        return verdict["outcome"], verdict["blame"], verdict["rule"], verdict["exit_code"]


@pytest.fixture
def site(tmp_path: Path, gate: RecordingGate) -> Iterator[ReviewedSite]:
    with FakeGerrit() as gerrit:
        yield ReviewedSite(tmp_path, gerrit)


def fetched(url: str, ref: str, folder: Path) -> set[str]:
    """The files that a git client gets, as devstack-gate's wrapper fetches."""
    git(folder.parent, "init", "--quiet", str(folder))
    git(folder, "fetch", "--quiet", url, ref)
    return set(git(folder, "ls-tree", "--name-only", "FETCH_HEAD").split())


def test_dependencies_are_merged_into_checkouts_and_served(site: ReviewedSite, tmp_path: Path) -> None:
    below = site.review.push(LIB, {"below": "1"})
    lib = site.review.push(LIB, {"lib": "1"}, site.review.page(below))
    other = site.review.push(NEUTRON, {"other": "1"})
    change = site.review.push(NEUTRON, {"mine": "1"}, lib.change_id, f"{site.review.gerrit.url}/{other.number}")
    tip = site.neutron.commit({"later": "1"})
    run = site.run(change)
    assert {"mine", "other", "later"} <= site.files(NEUTRON)
    assert {"lib", "below"} <= site.files(LIB)
    assert [entry["number"] for entry in run["also"]] == [str(one.number) for one in (below, lib, other)]
    assert run["left_out"] == []
    assert run["checkouts"][NEUTRON]["tip"] == tip
    assert run["checkouts"][NEUTRON]["contains_revision"] is True
    assert run["zuul"] == {"url": zuul_url_of(site.workspace), "ref": ZUUL_REF}
    url = run["zuul"]["url"]
    assert {"mine", "other", "later"} <= fetched(f"{url}/{NEUTRON}", ZUUL_REF, tmp_path / "clone-neutron")
    assert {"lib", "below"} <= fetched(f"{url}/{LIB}", ZUUL_REF, tmp_path / "clone-lib")
    assert not (site.workspace.root / "zuul-refs" / DRIVER).exists(), "nothing is merged there"
    again = change_from_record(site.workspace.read_run())
    assert [item.name for item in again.also] == [f"{one.number},1" for one in (below, lib, other)]


def test_the_refs_cost_no_copy_and_stay_when_the_checkout_is_gone(site: ReviewedSite, tmp_path: Path) -> None:
    site.neutron.commit({"large": "".join(f"{number}\n" for number in range(200_000))})
    change = site.review.push(NEUTRON, {"mine": "1"}, on="HEAD~1")
    run = site.run(change)
    bare = site.workspace.root / "zuul-refs" / NEUTRON
    assert sum(path.stat().st_size for path in bare.rglob("*") if path.is_file()) < 50_000
    subprocess.run(["rm", "-rf", str(site.workspace.src)], check=True)
    assert {"mine", "large"} <= fetched(f"{run['zuul']['url']}/{NEUTRON}", ZUUL_REF, tmp_path / "clone")


def test_a_dependency_on_another_branch_has_a_ref_of_its_own(site: ReviewedSite, tmp_path: Path) -> None:
    site.neutron.branch("stable/2026.1")
    backport = site.review.push(NEUTRON, {"backport": "1"}, branch="stable/2026.1")
    change = site.review.push(NEUTRON, {"mine": "1"}, site.review.page(backport))
    run = site.run(change)
    assert "backport" not in site.files(NEUTRON)
    assert run["left_out"] == [f"{backport.number},1 of {NEUTRON}"]
    url, ref = f"{run['zuul']['url']}/{NEUTRON}", f"refs/zuul/stable/2026.1/Z{RUN_ID}"
    assert "mine" in fetched(url, ZUUL_REF, tmp_path / "master")
    stable = fetched(url, ref, tmp_path / "stable")
    assert "backport" in stable and "mine" not in stable
    assert sorted(path.name for path in (site.workspace.root / "zuul-refs").iterdir()) == ["openstack"]


def test_the_local_gate_has_the_dependencies_and_no_refs(site: ReviewedSite) -> None:
    site.sections["gate"] = {"kind": "local"}
    change = site.review.push(NEUTRON, {"mine": "1"}, site.review.page(site.review.push(LIB, {"lib": "1"})))
    run = site.run(change)
    assert "lib" in site.files(LIB)
    assert "zuul" not in run and not (site.workspace.root / "zuul-refs").exists()


def test_gerrit_is_asked_without_a_password(site: ReviewedSite) -> None:
    secret = {"user": "demo-ci", "password_environment": "NOT_ON_THE_NODE", "url": site.review.gerrit.url}
    site.sections["gerrit"] = secret
    change = site.review.push(NEUTRON, {"mine": "1"}, site.review.page(site.review.push(LIB, {"lib": "1"})))
    site.run(change)
    assert {request.user for request in site.review.gerrit.requests} == {""}
    assert all(request.path.startswith("/changes/?") for request in site.review.gerrit.requests)


def test_without_a_depends_on_nobody_is_asked(site: ReviewedSite) -> None:
    site.run(site.review.push(NEUTRON, {"mine": "1"}))
    assert site.review.gerrit.requests == []


def test_a_parent_that_is_not_merged_is_asked_what_it_needs(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    parent = site.review.push(NEUTRON, {"parent": "1"}, site.review.page(lib))
    change = site.review.push(NEUTRON, {"mine": "1"}, on=parent.current.revision)
    site.run(change)
    assert {"mine", "parent"} <= site.files(NEUTRON)
    assert "lib" in site.files(LIB)


def test_a_newer_patch_set_of_a_dependency_is_taken(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"old": "1"})
    change = site.review.push(NEUTRON, {"mine": "1"}, f"{site.review.page(lib)}/1")
    site.review.amend(lib, {"new": "1"})
    site.run(change)
    assert "new" in site.files(LIB) and "old" not in site.files(LIB)


def test_a_dependency_that_is_merged_needs_nothing(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    site.review.gerrit.merge(lib.number)
    run = site.run(site.review.push(NEUTRON, {"mine": "1"}, site.review.page(lib)))
    assert (run["also"], run["left_out"]) == ([], [])


def test_an_abandoned_dependency_is_nothing_to_test(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    site.review.gerrit.abandon(lib.number)
    with pytest.raises(DependenciesRefused, match=f"depends on {lib.number} of {LIB}, which is abandoned"):
        site.run(site.review.push(NEUTRON, {"mine": "1"}, site.review.page(lib)))
    assert site.early_rule() == ("SKIPPED", "nobody", "dependencies-refused", 4)


def test_a_circle_is_nothing_to_test_and_named(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    change = site.review.push(NEUTRON, {"mine": "1"}, site.review.page(lib))
    site.review.amend(lib, {"lib": "2"}, site.review.page(change))
    chain = f"{change.number},1 of {NEUTRON} -> {lib.number},2 of {LIB} -> {change.number} of {NEUTRON}"
    with pytest.raises(DependenciesRefused, match=chain):
        site.run(change)
    assert site.early_rule() == ("SKIPPED", "nobody", "dependencies-refused", 4)


def test_thousands_of_footers_are_nothing_to_test(site: ReviewedSite) -> None:
    many = [f"{site.review.gerrit.url}/{number}" for number in range(100, 2100)]
    with pytest.raises(DependenciesRefused, match="more than 50 changes"):
        site.run(site.review.push(NEUTRON, {"mine": "1"}, *many))
    assert len(site.review.gerrit.requests) <= 50


def test_what_is_not_configured_is_left_out_but_not_what_it_needs(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    nova = site.review.push(NOVA, {}, site.review.page(lib))
    run = site.run(site.review.push(NEUTRON, {"mine": "1"}, site.review.page(nova)))
    assert run["left_out"] == [f"{nova.number},1 of {NOVA}"]
    assert "lib" in site.files(LIB)
    said = site.workspace.console_log.read_text()
    assert f"change {nova.number},1 of {NOVA} is not checked out here: it is left out" in said


def test_malformed_and_unknown_ones_are_said_and_left_out(site: ReviewedSite) -> None:
    words = ("the other change", "https://github.com/a/b/pull/3", f"{site.review.gerrit.url}/4711", "$(reboot)")
    run = site.run(site.review.push(NEUTRON, {"mine": "1"}, *words))
    assert len(run["left_out"]) == 4
    assert "'$(reboot)'" in site.workspace.console_log.read_text()
    assert "mine" in site.files(NEUTRON)


def test_a_dependency_that_conflicts_is_a_merge_conflict_naming_it(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"README": "mine\n"})
    site.lib.commit({"README": "theirs\n"})
    with pytest.raises(MergeConflict, match=f"change {lib.number},1 of {LIB} cannot be merged"):
        site.run(site.review.push(NEUTRON, {"mine": "1"}, site.review.page(lib)))
    assert site.early_rule() == ("MERGER_FAILURE", "nobody", "merge-conflict", 4)


def test_a_gerrit_that_does_not_answer_is_the_cis_failure(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    change = site.review.push(NEUTRON, {"mine": "1"}, site.review.page(lib))
    site.review.gerrit.fail_next(1, kind="html")
    with pytest.raises(GerritFailed, match="answered with a page") as caught:
        site.run(change)
    assert caught.value.exit_code == 3
    assert not site.workspace.verdict_json.exists()


def test_a_hiccup_of_gerrit_is_asked_through(site: ReviewedSite) -> None:
    lib = site.review.push(LIB, {"lib": "1"})
    change = site.review.push(NEUTRON, {"mine": "1"}, site.review.page(lib))
    site.review.gerrit.fail_next(1, status=503)
    site.run(change)
    assert "lib" in site.files(LIB)


def test_by_hand_without_a_gerrit_it_is_left_out(site: ReviewedSite) -> None:
    site.review.push(NEUTRON, {"mine": "1"}, "I" + "a" * 40)
    run = site.prepare(change="1,1")
    assert run["left_out"] == [f"I{'a' * 40} (no Gerrit is known to ask)"]


def test_a_trigger_without_a_gerrit_is_a_configuration_error(site: ReviewedSite) -> None:
    change = site.review.push(NEUTRON, {"mine": "1"}, "I" + "a" * 40)
    described = replace(site.triggered(change), change_url=None)
    with pytest.raises(ConfigurationError, match="no Gerrit is known to ask") as caught:
        site.prepare_change(make_settings(site.folder, **site.sections), described)
    assert "gerrit: {url:" in str(caught.value)


def test_zuuls_own_refs_are_used_and_nothing_is_looked_up(site: ReviewedSite, tmp_path: Path) -> None:
    ref = "refs/zuul/master/Z" + "ab" * 16
    commit = site.neutron.change(7, 1, {"mine": "1"}, message=f"x\n\nDepends-On: {site.review.gerrit.url}/1\n")
    site.neutron.point(ref, commit)
    base = (tmp_path / "server").as_uri()
    variables = {
        "ZUUL_CHANGE": "7",
        "ZUUL_PATCHSET": "1",
        "ZUUL_PROJECT": NEUTRON,
        "ZUUL_BRANCH": "master",
        "ZUUL_REF": ref,
        "ZUUL_URL": base,
        "ZUUL_CHANGES": f"{NEUTRON}:master:{change_ref(7, 1)}",
    }
    settings = make_settings(site.folder, **site.sections)
    run = site.prepare_change(settings, find_change(settings, variables, {}, None))
    assert run["zuul"] == {"url": base, "ref": ref}
    assert site.review.gerrit.requests == []
    assert not (site.workspace.root / "zuul-refs").exists()


def test_a_control_run_serves_the_tip_that_it_tests(site: ReviewedSite, tmp_path: Path) -> None:
    site.neutron.commit({"tip": "1"})
    settings = make_settings(site.folder, **site.sections)
    run = site.prepare_change(settings, find_control_run(settings, {"project": NEUTRON}))
    site.neutron.commit({"later": "1"})
    files = fetched(f"{run['zuul']['url']}/{NEUTRON}", run["zuul"]["ref"], tmp_path / "clone")
    assert "tip" in files and "later" not in files
    assert run["change"]["revision"] == run["checkouts"][NEUTRON]["commit"]
    assert site.review.gerrit.requests == []
