"""Who starts a job, and with which words: parameters that change.py reads, and comments that ask for a recheck."""

from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ci_scripts.change import change_from
from ci_scripts.gerrit.records import Account, Change, PatchSet
from ci_scripts.jenkins.job_runner import parameters_of
from ci_scripts.recheck import asks_for_recheck
from tests.jenkins_jobs.rendering import Job

NAME = "example"
ZUUL = {
    "ZUUL_CHANGE": "7",
    "ZUUL_PATCHSET": "2",
    "ZUUL_PROJECT": "openstack/neutron",
    "ZUUL_BRANCH": "master",
    "ZUUL_REF": "refs/zuul/master/Z0123456789abcdef0123456789abcdef",
    "ZUUL_URL": "https://zuul.example.org/p",
    "ZUUL_CHANGES": "openstack/neutron:master:refs/changes/07/7/2",
    "ZUUL_COMMIT": "a" * 40,
    "ZUUL_PIPELINE": "check",
    "ZUUL_UUID": "0123abcd",
}


def _of_change(jobs: list[Job]) -> list[Job]:
    found = [job for job in jobs if not re.search(r"-maintenance|-control-", job.name)]
    assert found
    return found


@pytest.mark.parametrize("form", ["pipeline", "freestyle", "example"])
def test_a_build_by_hand_takes_what_gerrit_trigger_and_retrigger_say(
    jobs_by_project: dict[str, list[Job]], form: str
) -> None:
    for job in _of_change(jobs_by_project[form]):
        assert set(job.parameters()) - {"TEST_BUILD"} >= _names_of_a_retrigger()
        assert ("TEST_BUILD" in job.parameters()) is job.is_trusted


def _names_of_a_retrigger() -> set[str]:
    now = datetime.now(UTC)
    patch_set = PatchSet(2, "a" * 40, "refs/changes/07/7/2", now)
    url = "https://review.example.org/c/p/+/7"
    return set(parameters_of(Change(7, "p", "master", "A change", "NEW", Account(), patch_set, now, url)))


def test_numbers_project_and_branch_are_enough_for_a_build_by_hand() -> None:
    change = change_from(
        {
            "GERRIT_CHANGE_NUMBER": "912345",
            "GERRIT_PATCHSET_NUMBER": "3",
            "GERRIT_PROJECT": "openstack/neutron",
            "GERRIT_BRANCH": "master",
            "GERRIT_REFSPEC": "",
            "GERRIT_CHANGE_URL": "",
            "GERRIT_PATCHSET_REVISION": "",
        }
    )
    assert (change.name, change.ref) == ("912345,3", "refs/changes/45/912345/3")


def test_zuuls_parameters_are_declared_and_name_the_change(jobs_by_project: dict[str, list[Job]]) -> None:
    started_by_zuul = [job for job in jobs_by_project["other-triggers"] if job.name.startswith("zuul")]
    assert len(started_by_zuul) == 2
    for job in started_by_zuul:
        assert set(job.parameters()) - {"TEST_BUILD"} == set(ZUUL)
        assert "GerritTrigger" not in job.text
    change = change_from(ZUUL)
    assert (change.name, change.trigger, change.project) == ("7,2", "zuul-v2", "openstack/neutron")


def _pattern(job: Job) -> re.Pattern[str]:
    """The plug-in's PluginCommentAddedContainsEvent: java.util.regex with DOTALL, find()."""
    (found,) = (entry.text for entry in job.xml.iter("commentAddedCommentContains"))
    return re.compile(found or "", re.DOTALL)


COMMENTS = (
    "Patch Set 2:\n\nrecheck",
    "recheck",
    "  Recheck the lab was down",
    "Patch Set 2: Code-Review+1\n\nrun-example",
    "Patch Set 2: Code-Review+1 Workflow+1\n\n(1 comment)\n\nrecheck",
    "Patch Set 12:\n\n(3 comments)\n\nRUN-EXAMPLE please",
    "Patch Set 2:\n\nrechecking helps",
    "Patch Set 2:\n\nrun-example-2",
    "Patch Set 2:\n\nPlease recheck",
    "Patch Set 2:\n\nIt failed.\n\nrecheck",
    "Patch Set 2:\n\nTo run it again, comment recheck (or run-example for this CI alone).",
    "Patch Set 2: Verified+1\n\nBuild succeeded (check pipeline).\n\n- example https://logs.example.org/ : SUCCESS",
    "Uploaded patch set 2.",
    "",
)


@pytest.mark.parametrize("form", ["pipeline", "freestyle"])
@pytest.mark.parametrize("comment", COMMENTS)
def test_the_trigger_takes_the_comments_that_the_report_takes(
    jobs_by_project: dict[str, list[Job]], form: str, comment: str
) -> None:
    job = next(job for job in jobs_by_project[form] if job.name == "example-local")
    assert bool(_pattern(job).search(comment)) == asks_for_recheck(comment, (NAME,))


def test_and_of_real_comments(pipeline: dict[str, Job]) -> None:
    folder = os.environ.get("CI_SAMPLES", "")
    if not folder:
        pytest.skip("CI_SAMPLES names no folder of real samples")
    pattern = _pattern(pipeline["example-local"])
    lines = (Path(folder) / "comments" / "recheck-comments.jsonl").read_text().splitlines()
    texts = [text for line in lines for text in _texts(json.loads(line))]
    assert sum(asks_for_recheck(text, (NAME,)) for text in texts) > 5
    differ = [text for text in texts if bool(pattern.search(text)) != asks_for_recheck(text, (NAME,))]
    assert differ == []


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]
