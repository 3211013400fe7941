from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.change import ChangeUnderTest, change_from
from ci_scripts.errors import ConfigurationError

BUILD_SET = "Z8054bc24de3e47bd85ab550e02465160"
V2 = {
    "ZUUL_PROJECT": "openstack/neutron",
    "ZUUL_BRANCH": "master",
    "ZUUL_CHANGE": "7",
    "ZUUL_PATCHSET": "2",
    "ZUUL_REF": f"refs/zuul/master/{BUILD_SET}",
    "ZUUL_COMMIT": "fd975d87091843d6b3bddec69654ba5c5a707ba7",
    "ZUUL_URL": "http://zm06.example.org/p/",
    "ZUUL_PIPELINE": "gate",
    "ZUUL_UUID": "86deca87c8af4cd3830520d95f20cd26",
    "ZUUL_CHANGES": "openstack/neutron-lib:stable/2026.1:refs/changes/05/5/1"
    "^openstack/neutron:master:refs/changes/07/7/2",
}


def item(number: str, project: str = "openstack/neutron", **more: Any) -> dict[str, Any]:
    return {
        "branch": "master",
        "change": number,
        "patchset": "3",
        "change_url": f"https://review.example.org/{number}",
        "project": {"name": project, "canonical_name": f"example.org/{project}"},
        **more,
    }


def variables(**more: Any) -> dict[str, Any]:
    build = {"build": "38bf2cdc947643c9bb04f11f40a0f211", "pipeline": "check", "ref": "refs/changes/61/829161/3"}
    items = [item("828673", "openstack/neutron-lib"), item("829161")]
    return {**item("829161"), **build, "items": items, **more}


def read(path: Path, document: Any) -> ChangeUnderTest:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return change_from({}, zuul_file=path)


def test_zuul_2_names_the_change_and_what_is_ahead_of_it() -> None:
    change = change_from(V2)
    assert (change.trigger, change.name, change.project, change.pipeline) == (
        "zuul-v2",
        "7,2",
        "openstack/neutron",
        "gate",
    )
    assert change.url == "http://zm06.example.org/p/openstack/neutron"
    assert change.ref == f"refs/zuul/master/{BUILD_SET}"
    assert change.revision == V2["ZUUL_COMMIT"]
    (ahead,) = change.also
    assert (ahead.name, ahead.project, ahead.branch) == ("5,1", "openstack/neutron-lib", "stable/2026.1")
    assert ahead.ref == f"refs/zuul/stable/2026.1/{BUILD_SET}"
    assert ahead.url == "http://zm06.example.org/p/openstack/neutron-lib"
    assert ahead.pipeline == "gate"


def test_zuul_2_may_leave_out_what_its_list_says() -> None:
    left_out = dict.fromkeys(("ZUUL_BRANCH", "ZUUL_PROJECT"), "")
    assert change_from({**V2, **left_out}) == change_from(V2)


def test_zuul_2_without_its_own_ref_falls_back_to_gerrit_s() -> None:
    change = change_from({**V2, "ZUUL_REF": ""})
    assert change.ref == "refs/changes/07/7/2"
    assert change.also[0].ref == "refs/changes/05/5/1"


@pytest.mark.parametrize("pipeline", ["post", "periodic"])
def test_zuul_2_without_a_change_is_told(pipeline: str) -> None:
    environment = {**V2, "ZUUL_CHANGE": "", "ZUUL_CHANGES": "", "ZUUL_PIPELINE": pipeline, "ZUUL_REFNAME": "master"}
    with pytest.raises(ConfigurationError, match="branch or a tag, not for a change"):
        change_from(environment)


@pytest.mark.parametrize(
    "items",
    ["x", "a:b", "a:b:c:d", "--x:master:refs/changes/05/5/1", "a:--x:refs/changes/05/5/1", "a:master:--x", "^^a:b"],
)
def test_hostile_items_of_zuul_2_are_refused(items: str) -> None:
    with pytest.raises(ConfigurationError, match="ZUUL_CHANGES|not given"):
        change_from({**V2, "ZUUL_CHANGES": f"{items}^{V2['ZUUL_CHANGES']}"})


def test_a_variables_file_with_several_items(tmp_path: Path) -> None:
    change = read(tmp_path / "zuul.json", {"zuul": variables()})
    assert (change.trigger, change.name, change.ref) == ("zuul-v3", "829161,3", "refs/changes/61/829161/3")
    assert change.url == "https://review.example.org/openstack/neutron"
    assert change.uuid == "38bf2cdc947643c9bb04f11f40a0f211"
    assert [(ahead.name, ahead.project, ahead.ref) for ahead in change.also] == [
        ("828673,3", "openstack/neutron-lib", "refs/changes/73/828673/3")
    ]


def test_an_inventory_holds_the_same(tmp_path: Path) -> None:
    plain = read(tmp_path / "a", {"zuul": variables()})
    inventory = {"all": {"hosts": {"node": {"ansible_host": "192.0.2.1"}}, "vars": {"zuul": variables()}}}
    assert read(tmp_path / "b", inventory) == plain
    assert read(tmp_path / "c", {"all": {"hosts": {"node": {"zuul": variables()}, "x": None}}}) == plain


def test_yaml_as_zuul_writes_it(tmp_path: Path) -> None:
    change = read(
        tmp_path / "inventory.yaml",
        """\
all:
  vars:
    zuul:
      branch: 2026.10
      change: 829161
      change_url: https://review.example.org/c/a/b/+/829161
      message: !unsafe "{{ 7 * 7 }}"
      patchset: '3'
      pipeline: check
      project: {name: a/b}
      override_checkout: null
""",
    )
    assert (change.branch, change.name, change.ref) == ("2026.10", "829161,3", "refs/changes/61/829161/3")
    assert change.url == "https://review.example.org/a/b"
    assert change.uuid is None


def test_changes_that_depend_on_each_other_in_a_circle(tmp_path: Path) -> None:
    change = read(tmp_path / "z", {"zuul": variables(items=[item("829161"), item("828673")])})
    assert change.number == "829161"
    assert [ahead.number for ahead in change.also] == ["828673"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("a: [", "neither YAML nor JSON"),
        ("{a", "neither YAML nor JSON"),
        ("[" * 20_000, "neither YAML nor JSON"),
        ('{"a":' * 20_000, "neither YAML nor JSON"),
        ("", "has no Zuul variables"),
        ("- zuul: 1", "has no Zuul variables"),
        ({"zuul": []}, "has no Zuul variables"),
        ({"all": {"hosts": [], "vars": None}}, "has no Zuul variables"),
        ({"zuul": {"branch": "master", "ref": "refs/heads/master"}}, "zuul.change is missing"),
        ({"zuul": variables(branch="--x\n")}, r"zuul.branch = '--x\n'"),
        ({"zuul": variables(project={"name": ["a"]})}, "the change's project is not given"),
        ({"zuul": variables(project="../a")}, "zuul.project.name = '../a'"),
        ({"zuul": variables(ref="refs/changes/61/829161/4")}, "is not of the change 829161,3"),
        ({"zuul": variables(patchset="0123456789abcdef0123456789abcdef01234567")}, "is not a number"),
        ({"zuul": variables(items=[item("1; id")])}, "zuul.items[0].change = '1; id'"),
        ({"zuul": variables(change_url="javascript:alert(1)")}, "zuul.change_url"),
    ],
)
def test_files_that_are_no_description_of_a_change(tmp_path: Path, document: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path / "z", document)
    assert words in str(caught.value)
    assert caught.value.next_step


def test_a_file_that_is_not_there_or_not_text_or_endless(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        change_from({}, zuul_file=tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    with pytest.raises(ConfigurationError, match="neither YAML nor JSON"):
        change_from({}, zuul_file=tmp_path / "binary")
    with pytest.raises(ConfigurationError, match="larger than"):
        change_from({}, zuul_file=Path("/dev/zero"))
