from __future__ import annotations

import json
import os
import re
import unicodedata
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts.change import ChangeUnderTest, change_from, change_from_record
from ci_scripts.errors import ConfigurationError

REVISION = "ded592ed8683143217b56c3915d00eef1d5abb12"
GERRIT = {
    "GERRIT_PROJECT": "openstack/neutron",
    "GERRIT_BRANCH": "master",
    "GERRIT_CHANGE_NUMBER": "18010",
    "GERRIT_PATCHSET_NUMBER": "1",
    "GERRIT_PATCHSET_REVISION": REVISION,
    "GERRIT_REFSPEC": "refs/changes/10/18010/1",
    "GERRIT_CHANGE_URL": "https://review.example.org/c/openstack/neutron/+/18010",
    "GERRIT_EVENT_TYPE": "comment-added",
    "GERRIT_EVENT_COMMENT_TEXT": "UGF0Y2ggU2V0IDE6CgpyZWNoZWNr",
    "GERRIT_HOST": "review.example.org",
    "GERRIT_NAME": "review",
    "GERRIT_PORT": "29418",
    "GERRIT_SCHEME": "ssh",
}
ZUUL = {
    "ZUUL_PROJECT": "openstack/networking-odl",
    "ZUUL_BRANCH": "master",
    "ZUUL_CHANGE": "408294",
    "ZUUL_PATCHSET": "1",
    "ZUUL_REF": "refs/zuul/master/Z8054bc24de3e47bd85ab550e02465160",
    "ZUUL_URL": "http://zm06.example.org/p",
    "ZUUL_PIPELINE": "check",
}
FLAGS = {"change": "1,1", "project": "example/networking-example", "url": "/srv/git/networking-example"}


@pytest.fixture
def samples() -> Path:
    folder = os.environ.get("CI_SAMPLES", "")
    if not folder or not Path(folder, "environment").is_dir():
        pytest.skip("CI_SAMPLES does not name the folder of real samples")
    return Path(folder)


def environment_of(path: Path) -> dict[str, str]:
    text = path.read_text()
    if path.suffix == ".sh":
        return dict(re.findall(r'^declare -x ([A-Z0-9_]+)="([^"]*)"$', text, re.MULTILINE))
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_flags_name_a_change() -> None:
    change = change_from({}, flags=FLAGS)
    assert change == ChangeUnderTest(
        number="1",
        patchset="1",
        project="example/networking-example",
        branch="master",
        ref="refs/changes/01/1/1",
        url="/srv/git/networking-example",
        pipeline="check",
        trigger="flags",
    )
    assert change.name == "1,1"
    assert change.given_by_hand
    with pytest.raises(FrozenInstanceError):
        change.number = "2"  # type: ignore[misc]


def test_a_ref_alone_names_the_change_too() -> None:
    change = change_from({}, flags={"ref": "refs/changes/94/408294/3", "project": "a/b", "change": None})
    assert (change.name, change.url) == ("408294,3", None)


def test_a_person_may_test_a_branch_as_a_change() -> None:
    change = change_from({}, flags={**FLAGS, "ref": "refs/heads/topic", "branch": "stable/2026.1"})
    assert (change.ref, change.branch) == ("refs/heads/topic", "stable/2026.1")


def test_the_configuration_fills_in_what_flags_leave_out() -> None:
    change = change_from(
        {},
        flags={"change": "12/3", "project": "a/b"},
        project_urls={"a/b": "https://git.example.org/a/b"},
        project_branches={"a/b": "main"},
    )
    assert (change.name, change.ref) == ("12,3", "refs/changes/12/12/3")
    assert (change.url, change.branch) == ("https://git.example.org/a/b", "main")


def test_gerrit_trigger_names_a_change() -> None:
    change = change_from(GERRIT)
    assert (change.trigger, change.name, change.revision) == ("gerrit-trigger", "18010,1", REVISION)
    assert change.url == "https://review.example.org/openstack/neutron"
    assert change.change_url == GERRIT["GERRIT_CHANGE_URL"]
    assert (change.event_type, change.comment) == ("comment-added", "Patch Set 1:\n\nrecheck")
    assert not change.given_by_hand


def test_a_configured_address_goes_before_a_guessed_one_not_before_zuul_s_or_a_flag() -> None:
    urls = {"openstack/neutron": "https://mirror.example.org/n", "openstack/networking-odl": "https://mirror/o"}
    assert change_from(GERRIT, project_urls=urls).url == "https://mirror.example.org/n"
    assert change_from(ZUUL, project_urls=urls).url == "http://zm06.example.org/p/openstack/networking-odl"
    assert change_from(GERRIT, flags={"url": "/srv/n"}, project_urls=urls).url == "/srv/n"


def test_flags_go_before_a_file_before_zuul_2_before_gerrit_trigger(tmp_path: Path) -> None:
    file = tmp_path / "zuul.json"
    file.write_text(json.dumps({"zuul": {"change": "5", "patchset": "1", "project": {"name": "a"}, "branch": "b"}}))
    both = {**GERRIT, **ZUUL}
    assert change_from(both, flags=FLAGS, zuul_file=file).trigger == "flags"
    assert change_from(both, zuul_file=file).trigger == "zuul-v3"
    assert change_from(both).trigger == "zuul-v2"
    assert change_from({**GERRIT, "ZUUL_CHANGE": "", "ZUUL_PROJECT": "x"}).trigger == "gerrit-trigger"


def test_a_flag_corrects_one_value_of_a_trigger() -> None:
    change = change_from(GERRIT, flags={"url": "ssh://review.example.org:29418/x", "pipeline": "experimental"})
    assert (change.trigger, change.name) == ("gerrit-trigger", "18010,1")
    assert (change.url, change.pipeline) == ("ssh://review.example.org:29418/x", "experimental")


def test_no_change_is_an_error_with_the_four_ways() -> None:
    with pytest.raises(ConfigurationError) as caught:
        change_from({"PATH": "/usr/bin"})
    assert caught.value.exit_code == 2
    for way in ("GERRIT_CHANGE_NUMBER", "ZUUL_CHANGE", "--zuul-variables", "--change 1,1"):
        assert way in caught.value.next_step


def test_an_event_without_a_change_is_told() -> None:
    environment = {"GERRIT_EVENT_TYPE": "ref-updated", "GERRIT_REFNAME": "refs/heads/master", "GERRIT_PROJECT": "a"}
    with pytest.raises(ConfigurationError, match="event without a change"):
        change_from(environment)


def test_a_merged_change_is_still_a_change() -> None:
    change = change_from({**GERRIT, "GERRIT_EVENT_TYPE": "change-merged", "GERRIT_NEWREV": REVISION})
    assert (change.event_type, change.revision) == ("change-merged", REVISION)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GERRIT_PROJECT", "--upload-pack=touch /tmp/x"),
        ("GERRIT_PROJECT", "../../etc"),
        ("GERRIT_BRANCH", "-x"),
        ("GERRIT_BRANCH", "master\nGERRIT_PROJECT=x"),
        ("GERRIT_CHANGE_NUMBER", "1;id"),
        ("GERRIT_PATCHSET_NUMBER", "$(id)"),
        ("GERRIT_PATCHSET_REVISION", "--all"),
        ("GERRIT_REFSPEC", "+refs/heads/*:refs/heads/*"),
        ("GERRIT_REFSPEC", "refs/changes/10/18010/2"),
        ("GERRIT_CHANGE_URL", "javascript:alert(1)"),
        ("GERRIT_EVENT_TYPE", "comment\nadded"),
    ],
)
def test_hostile_variables_are_refused_and_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        change_from({**GERRIT, name: value})
    assert caught.value.exit_code == 2
    assert name in str(caught.value) or "is not of the change" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_path_or_a_remote_helper_is_not_taken_from_a_trigger() -> None:
    for url in ("/srv/git", "ext::sh -c id #"):
        with pytest.raises(ConfigurationError, match="ZUUL_URL and the project"):
            change_from({**ZUUL, "ZUUL_URL": url})
    assert change_from({**ZUUL, "ZUUL_URL": "file:///srv/git"}).url == "file:///srv/git/openstack/networking-odl"


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        change_from({}, flags={"change": "x", "project": "-y", "url": "ext::z", "branch": "a..b", "pipeline": "a b"})
    for words in ("--change = 'x'", "patch set's number is not given", "--project", "--url", "--branch", "--pipeline"):
        assert words in str(caught.value)


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted({*GERRIT, *ZUUL} - {"GERRIT_NAME", "ZUUL_CHANGE", "GERRIT_CHANGE_NUMBER"})),
    value=st.one_of(st.text(min_size=1), st.from_regex(r"(-|\.\./|ext::|\+|refs/|https://-)[\x00-\x7f]{0,20}")),
    zuul=st.booleans(),
)
def test_whatever_one_variable_says_nothing_hostile_comes_through(name: str, value: str, zuul: bool) -> None:
    environment = {**GERRIT, **(ZUUL if zuul else {}), name: value}
    try:
        change = change_from(environment)
    except ConfigurationError as error:
        assert str(error).isprintable()
        return
    words = {key: word for key, word in change.as_record().items() if word is not None and key != "comment"}
    for word in words.values():
        assert not word.startswith(("-", "+"))
        assert not any(unicodedata.category(character) == "Cc" for character in word)
    for key in ("project", "branch", "ref", "url"):
        assert ".." not in words.get(key, "").split("/")
    assert "::" not in words.get("url", "") or "[" in words["url"]
    comment = (change.comment or "").replace("\n", "")
    assert not any(unicodedata.category(character) == "Cc" for character in comment)


def test_the_record_of_a_run_gives_the_change_back() -> None:
    ahead = "openstack/neutron-lib:master:refs/changes/05/5/1^openstack/networking-odl:master:refs/changes/94/408294/1"
    for change in (change_from(GERRIT), change_from({**ZUUL, "ZUUL_CHANGES": ahead}), change_from({}, flags=FLAGS)):
        run = {
            "trigger": change.trigger,
            "change": change.as_record(),
            "also": [item.as_record() for item in change.also],
        }
        assert change_from_record(json.loads(json.dumps(run))) == change
        assert "trigger" not in change.as_record()


@pytest.mark.parametrize(
    "run",
    [
        {},
        {"trigger": "flags"},
        {"trigger": "flags", "change": []},
        {"trigger": "x", "change": {"number": "1"}},
        {"trigger": "flags", "change": {"number": 1, "project": "../x"}},
        {"trigger": "flags", "change": change_from(GERRIT).as_record(), "also": [{"branch": "--x"}]},
    ],
)
def test_a_forged_record_is_refused(run: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        change_from_record(run)


def test_a_real_environment_of_gerrit_trigger(samples: Path) -> None:
    change = change_from(environment_of(samples / "environment/gerrit-trigger-linaro-change-merged.env"))
    assert (change.name, change.project, change.branch) == ("18010,1", "android-build-configs", "master")
    assert change.url == "http://android-review.linaro.org/android-build-configs"
    assert (change.event_type, change.revision) == ("change-merged", REVISION)


@pytest.mark.parametrize(
    ("file", "name", "project"),
    [
        ("zuul-v2-reproduce-networking-odl.sh", "408294,1", "openstack/networking-odl"),
        ("zuul-v2-wikimedia-one-change.env", "545967,1", "mediawiki/extensions/MobileFrontend"),
    ],
)
def test_real_environments_of_zuul_2(samples: Path, file: str, name: str, project: str) -> None:
    environment = environment_of(samples / "environment" / file)
    change = change_from(environment)
    assert (change.trigger, change.name, change.project, change.branch) == ("zuul-v2", name, project, "master")
    assert (change.ref, change.revision) == (environment["ZUUL_REF"], environment["ZUUL_COMMIT"])
    assert change.also == ()


def test_a_real_inventory_that_lacks_the_patch_set(samples: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        change_from({}, zuul_file=samples / "environment/zuul-sf-inventory-no-items.yaml")
    assert "the patch set's number is not given; the change's ref is not given" in str(caught.value)


def test_changes_of_real_events_pass(samples: Path) -> None:
    seen = 0
    for path in sorted((samples / "events").glob("*.jsonl")):
        for event in map(json.loads, path.read_text().splitlines()):
            change, patch_set = event.get("change"), event.get("patchSet")
            if not change or not patch_set or not patch_set.get("ref"):
                continue
            if (change["number"], patch_set["ref"]) == (49, "refs/changes/42/42/1"):
                # Somebody wrote this one by hand; number and ref are of two changes.
                continue
            flags = {"change": f"{change['number']},{patch_set['number']}", "project": str(change["project"])}
            found = change_from({}, flags={**flags, "branch": change["branch"], "ref": patch_set["ref"]})
            assert found.ref == patch_set["ref"]
            seen += 1
    assert seen >= 15
