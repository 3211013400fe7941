import re
from pathlib import Path

import networking_example_changes
import pytest
import yaml

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(
    "name, project",
    [
        ("ci.yaml", "example/networking-example"),
        ("ci-neutron.yaml", "openstack/neutron"),
        ("ci-unit-tests.yaml", "openstack/neutron"),
    ],
)
def test_paths_are_relative_and_programs_exist(name, project):
    text = (EXAMPLES / name).read_text()
    config = yaml.safe_load(text)
    assert list(config["projects"]) == [project]
    assert not config["driver"]["source"].startswith("/")
    for program in re.findall(r"\{config_dir\}/([\w/.-]+)", text):
        assert (EXAMPLES / program).is_file()
    assert (EXAMPLES / config["gate"]["constraints"]).is_file()


def test_constraints_are_plain_pins():
    lines = [line for line in (EXAMPLES / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*==[0-9][a-z0-9.]*", line) for line in lines)
    names = [line.split("==")[0] for line in lines]
    assert len(names) == len(set(names))
    assert {"neutron", "keystone", "pyuwsgi", "pymysql", "tempest", "neutron-lib", "setuptools", "pbr"} <= set(names)


def test_change_6_is_irrelevant_and_the_others_are_not():
    irrelevant = yaml.safe_load((EXAMPLES / "ci.yaml").read_text())["projects"]["example/networking-example"][
        "irrelevant_files"
    ]
    for change in networking_example_changes.ON_MASTER:
        skipped = all(any(re.search(pattern, edit.path) for pattern in irrelevant) for edit in change.edits)
        assert skipped is (change.number == 6)
