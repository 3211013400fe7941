"""The section unit_tests of ci.yaml, and the settings of a run of unit tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.gates.context import GateContext
from ci_scripts.settings import settings_as_text
from ci_scripts.unit_tests.configuration import for_workers, unit_tests_of, workers_of
from tests.fakes.gate_context import context_of
from tests.repositories import make_settings

CHECK = {"name": "told", "command": ["true"]}


def test_a_configuration_without_the_section(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    wanted = unit_tests_of(settings)
    assert (wanted.project, wanted.regex, wanted.requirements) == (None, "", ("test-requirements.txt",))
    assert workers_of(settings) == len(os.sched_getaffinity(0))
    assert workers_of(settings, 3) == 3


def test_by_hand_wins_over_ci_yaml(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, unit_tests={"concurrency": 5})
    assert (workers_of(settings), workers_of(settings, 2)) == (5, 2)


def test_a_run_has_a_shard_for_each_worker_and_no_gate(tmp_path: Path) -> None:
    more = (
        "gate: {kind: devstack, shards: 1, database: 'mysql+pymysql://user@127.0.0.1/'}\n"
        "checks: [{name: of-a-gate, command: ['true']}]\n"
        "inventories: [{name: of-a-gate, command: ['true']}]\n"
        "unit_tests: {checks: [{name: told, command: [ask, '{service.controller.url}'], timeout_seconds: 7}]}\n"
        "services: [{name: controller, command: ['true']}]\n"
    )
    outer: GateContext = context_of(tmp_path, more)
    inner = for_workers(outer, 4).settings
    assert (inner.gate.kind, inner.gate.shards, inner.gate.database) == ("local", 4, "sqlite")
    assert [(check.name, check.timeout_seconds) for check in inner.checks] == [("told", 7)]
    assert inner.inventories == ()
    assert inner.config_path == outer.settings.config_path
    assert outer.settings.gate.kind == "devstack"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"regex": "("}, "unit_tests.regex: is not a regular expression"),
        ({"regexp": "a"}, "unit_tests.regexp: unknown key; did you mean 'regex'?"),
        ({"exclude_list": "none.txt"}, "there is no file"),
        ({"concurrency": 0}, "must be 'auto' or a whole number of at least 1"),
        ({"requirements": ["../other.txt"]}, "must be files of the project"),
        ({"requirements": ["/etc/passwd"]}, "must be files of the project"),
        ({"test_path": "a$(id)"}, "must be a path in the project"),
        ({"test_path": "-t"}, "must be a path in the project"),
        ({"environment": {"A B": "x"}}, "must be the name of an environment variable"),
        ({"environment": {"URL": "{service.controler.url}"}}, "did you mean {service.controller.url}?"),
        ({"checks": [CHECK, CHECK]}, "has the name 'told' twice"),
        ({"checks": [{**CHECK, "command": ["{nothing}"]}]}, "unknown placeholder {nothing}"),
    ],
)
def test_what_is_wrong_is_told_with_its_key(tmp_path: Path, section: dict[str, Any], said: str) -> None:
    services = [{"name": "controller", "command": ["true"]}]
    with pytest.raises(ConfigurationError) as caught:
        make_settings(tmp_path, services=services, unit_tests=section)
    assert said in str(caught.value)


def test_the_settings_are_written_down_with_the_run(tmp_path: Path) -> None:
    text = settings_as_text(make_settings(tmp_path, unit_tests={"project": "openstack/neutron"}))
    assert text["unit_tests.project"] == "openstack/neutron"
