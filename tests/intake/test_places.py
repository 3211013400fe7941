"""Which names are taken, and that no name leads anywhere else."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.intake.limits import DEFAULT
from ci_scripts.intake.places import Prefix, how_taken, is_evidence, is_taken, parts_of

TAKEN = [
    "run.json",
    "stages/run-tempest.json",
    "logs/console.log",
    "logs/testrepository.subunit",
    "logs/gate/shard0/neutron.log",
    "logs/gate/testr_results.html",
    "logs/ünïcode.log",
    "trials/1-control/run.json",
    "trials/20-change/logs/reruns/reruns.json",
    "trials/2-change/stages/run-gate.json",
]
NOT_TAKEN = [
    "verdict.json",
    "tests.json",
    "intake.json",
    "published.json",
    "reported.json",
    "environment.sh",
    "reproduce.sh",
    ".lock",
    "report/index.html",
    "src/openstack/neutron/setup.py",
    "environments/tempest/bin/python",
    "gate/shard0/neutron.sqlite",
    "run.json/x",
    "RUN.JSON",
    "Logs/console.log",
    "logs",
    "logs/.htaccess",
    "logs/.git/config",
    "logs/testr_results.html",
    "stages",
    "stages/.run-gate.json",
    "stages/sub/run-gate.json",
    "stages/run-gate.sh",
    "stages/summarize-results.json",
    "stages/publish-logs.json",
    "stages/report-to-gerrit.json",
    "stages/-rf.json",
    "trials",
    "trials/1-control",
    "trials/0-control/run.json",
    "trials/1-other/run.json",
    "trials/1-control/verdict.json",
    "trials/1-control/stages/summarize-results.json",
    "trials/1-control/trials/1-control/run.json",
]


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_verdict_is_made_of_is_taken(name: str) -> None:
    assert is_taken(parts_of(name, DEFAULT))
    assert parts_of(f"./{name}", DEFAULT) == parts_of(name, DEFAULT)
    assert Prefix().without(parts_of(f"archive/{name}", DEFAULT)) == parts_of(name, DEFAULT)


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_nothing_else_is(name: str) -> None:
    assert not is_taken(parts_of(name, DEFAULT))
    assert Prefix().without(parts_of(name, DEFAULT)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("//logs/a", "absolute"),
        ("../logs/a", "'..'"),
        ("logs/../../a", "'..'"),
        ("logs/..", "'..'"),
        ("logs//a", "empty part"),
        ("logs/./a", "empty part"),
        ("logs\\..\\..\\a", "backslash"),
        ("C:\\a", "backslash"),
        ("logs/a\0b", "printed"),
        ("logs/a\nb", "printed"),
        ("logs/\x1b]0;owned\x07", "printed"),
        ("logs/\u202efdp.exe", "printed"),
        ("logs/\udcff", "printed"),
        ("logs/\u2028", "printed"),
        ("logs/" + "a" * 256, "longer than 255"),
        ("logs/" + "ü" * 128, "longer than 255"),
        ("logs/" + "a/" * 600, "longer than 1024"),
        ("logs/" + "a/" * 30 + "a", "nested"),
    ],
)
def test_names_that_could_lead_elsewhere_are_refused(name: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parts_of(name, DEFAULT)


@given(st.text(st.sampled_from("abl./\\\0-~ \n\u202eé"), max_size=30) | st.text(max_size=30))
def test_no_name_that_is_accepted_leads_out_of_its_folder(name: str) -> None:
    try:
        parts = parts_of(name, DEFAULT)
    except ValueError:
        return
    assert not any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts)
    joined = os.path.normpath(PurePosixPath("/target", *parts))
    assert joined == "/target" or joined.startswith("/target/")
    assert len(parts) == len(PurePosixPath(*parts).parts)


def test_the_first_name_that_is_taken_says_what_is_around_all() -> None:
    prefix = Prefix()
    assert prefix.without(("archive", "README")) is None
    assert prefix.without(("archive", "run.json")) == ("run.json",)
    assert prefix.without(("run.json",)) is None
    assert prefix.without(("other", "logs", "a")) is None
    assert prefix.without(("archive", "logs", "a")) == ("logs", "a")


@pytest.mark.parametrize("folder", ["src", "gate", "environments", "report"])
def test_a_folder_of_a_workspace_is_not_what_a_workspace_was_copied_into(folder: str) -> None:
    prefix = Prefix()
    assert prefix.without((folder, "logs", "a")) is None
    assert prefix.without(("logs", "a")) == ("logs", "a")


@pytest.mark.parametrize(
    ("name", "how", "evidence"),
    [
        ("run.json", "record", True),
        ("stages/run-gate.json", "record", True),
        ("logs/testrepository.subunit", "stream", True),
        ("logs/reruns/alone.subunit", "stream", True),
        ("logs/reruns/reruns.json", "record", True),
        ("logs/probes.jsonl", "stream", True),
        ("logs/selected-tests.txt", "record", True),
        ("logs/packages.txt", "record", True),
        ("logs/gate/gate-status.json", "record", True),
        ("trials/1-control/logs/leftovers.json", "record", True),
        ("logs/gate/shard0/neutron.log", "log", False),
        ("logs/gate/shard0/dump.json", "log", False),
        ("logs/console.log.gz", "stream", False),
        ("trials/1-control/logs/gate/shard0/packages.txt", "log", False),
    ],
)
def test_how_each_is_taken(name: str, how: str, evidence: bool) -> None:
    parts = parts_of(name, DEFAULT)
    assert (how_taken(parts), is_evidence(parts)) == (how, evidence)
