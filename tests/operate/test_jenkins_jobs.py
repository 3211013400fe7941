"""ci-operate jenkins against a Jenkins in memory and a real Hudson: the same tests for both, by the installed command.

What Hudson cannot show (crumbs, folders, queue items, rights, a restart) is tested against the former alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from tests.fakes.fake_jenkins import FakeJenkins
from tests.jenkins.jenkins_site import CHANGE, FAST, JenkinsSite

pytest_plugins = ["tests.integration.hudson_server"]


@pytest.fixture(params=["jenkins in memory", "hudson"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JenkinsSite]:
    # One Hudson serves all tests of a process, so each has names of its own.
    prefix = f"t{uuid4().hex[:8]}"
    if request.param == "hudson":
        # Skips with the reason where HUDSON_START names none.
        hudson = request.getfixturevalue("real_hudson")
        try:
            yield JenkinsSite(tmp_path / "site", hudson.url, f"{prefix}-test")
        finally:
            for job in hudson.ask("")["jobs"]:
                if job["name"].startswith(prefix):
                    requests.post(f"{hudson.url}/job/{job['name']}/doDelete", timeout=60, allow_redirects=False)
        return
    with FakeJenkins(job="other/one") as fake:
        yield JenkinsSite(tmp_path / "site", fake.url, f"{prefix}-test", fake)


def test_update_makes_changes_and_leaves(site: JenkinsSite) -> None:
    second = f"{site.job}-more"
    site.define(site.job, second)
    planned = site.good("update", "--dry-run")
    assert f"would make    {site.job}\n" in planned and "Nothing was sent: 2 made." in planned
    assert site.config(site.job) is None
    assert site.states(3) == {site.job: "missing", second: "missing"}
    assert "Done: 2 made." in site.good("update")
    assert "exit 0" in (site.config(site.job) or "")
    assert site.states(0) == {site.job: "same", second: "same"}
    assert "Done: 2 left." in site.good("update")
    site.define(site.job, second, description="Now with a description: <b>ü</b> & more.")
    site.good("update", "--only", second)
    assert site.states(3) == {site.job: "differs", second: "same"}
    assert "its definition was changed" in site.good("update")
    assert "<b>ü</b> & more" in (site.config(site.job) or "").replace("&lt;", "<").replace("&gt;", ">").replace(
        "&amp;", "&"
    )


def test_a_job_changed_by_hand(site: JenkinsSite) -> None:
    site.define(shell="ci-run-gate")
    site.good("update")
    site.configure(site.job, (site.config(site.job) or "").replace("ci-run-gate", "true # ci-run-gate"))
    done = site.operate("check")
    assert done.returncode == 3 and "it was changed on the server" in done.stdout
    assert any(line.startswith("-") and "true # ci-run-gate" in line for line in done.stdout.splitlines())
    assert any(
        line.startswith("+") and line.endswith("<command>ci-run-gate</command>") for line in done.stdout.splitlines()
    )
    assert "Done: 1 changed." in site.good("update")
    assert site.states(0) == {site.job: "same"}


def test_a_wrong_definition_changes_nothing(site: JenkinsSite) -> None:
    site.define(shell="before")
    site.good("update")
    site.define(site.job, f"{site.job}-more", shell="after")
    wrong = site.root / "jobs/wrong.yaml"
    wrong.write_text("- job:\n    name: x\n    builders:\n      - no-such-step: {}\n")
    for verb in ("check", "update"):
        done = site.operate(verb)
        assert done.returncode == 2 and "no-such-step" in done.stderr and "nothing was changed" in done.stderr
    assert "before" in (site.config(site.job) or "") and site.config(f"{site.job}-more") is None


def test_pause_and_resume(site: JenkinsSite) -> None:
    by_hand = f"{site.job}-off"
    site.define(site.job, by_hand)
    site.good("update")
    site.switch(by_hand, "disable")
    site.good("update")
    assert site.is_disabled(by_hand)
    paused = site.good("pause", "--reason", "the lab moves")
    assert f"paused   {site.job}\n" in paused and f"{by_hand}  (it was disabled before)" in paused
    assert site.is_disabled(site.job) and site.is_disabled(by_hand)
    assert "paused since" in site.good("pause")
    # A paused job is no difference, and an update wakes none.
    assert site.states(0)[site.job] == "same"
    site.define(site.job, by_hand, shell="something else")
    assert "Done: 2 changed." in site.good("update")
    assert site.is_disabled(site.job) and site.is_disabled(by_hand)
    done = site.operate("run", *CHANGE)
    assert done.returncode == 3 and "is disabled" in done.stderr
    done = site.operate("resume")
    assert done.returncode == 0 and "paused because: the lab moves" in done.stderr
    assert not site.is_disabled(site.job) and site.is_disabled(by_hand)
    assert site.states(0) == {site.job: "same", by_hand: "same"}
    assert site.operate("resume").returncode == 2


def test_old_jobs_are_deleted_when_asked_for(site: JenkinsSite) -> None:
    old, by_hand = f"{site.job}-old", f"{site.job}-by-hand"
    site.define(site.job, old)
    site.good("update")
    site.make(by_hand)
    site.define(site.job)
    mine = ("--only", f"{site.job}*", "--delete-old")
    assert "Done: 1 left." in site.good("update")
    assert f"would delete  {old}\n" in site.good("update", *mine, "--dry-run")
    done = site.operate("update", *mine)
    assert done.returncode == 2 and "nobody to ask" in done.stderr and old in done.stderr and by_hand not in done.stderr
    assert site.config(old) is not None
    assert "1 deleted" in site.good("update", *mine, "--yes")
    assert site.config(old) is None and site.config(by_hand) is not None and site.config(site.job) is not None


def test_a_job_of_somebody_else_is_not_replaced(site: JenkinsSite) -> None:
    site.make(site.job)
    site.define(site.job, f"{site.job}-more")
    done = site.operate("update")
    assert done.returncode == 2 and "--take-over" in done.stderr and site.config(f"{site.job}-more") is None
    assert "made by hand" in (site.config(site.job) or "")
    assert site.states(3)[site.job] == "foreign"
    assert "Done: 1 made, 1 changed." in site.good("update", "--take-over")
    assert site.states(0)[site.job] == "same"


def test_run_and_builds(site: JenkinsSite) -> None:
    site.define(shell='echo "$GERRIT_REFSPEC of $GERRIT_PROJECT"')
    site.good("update")
    assert "has no builds" in site.good("builds")
    done = site.operate("run", *CHANGE, *FAST)
    assert done.returncode == 0, done.stderr
    assert f"build 1 of {site.job}: SUCCESS" in done.stdout and "was asked for a build" in done.stderr
    found = site.as_json("builds")["builds"]
    assert [(one["number"], one["change"], one["patch_set"], one["result"]) for one in found] == [
        (1, "12", "3", "SUCCESS")
    ]
    assert found[0]["project"] == "openstack/neutron" and found[0]["state"] == "ended" and found[0]["seconds"] >= 0
    table = site.good("builds").splitlines()
    assert table[0].split()[:3] == ["build", "change", "result"] and table[1].split()[:3] == ["1", "12,3", "SUCCESS"]


def test_a_job_that_is_not_there(site: JenkinsSite) -> None:
    site.define()
    for words in (("builds",), ("run", *CHANGE), ("pause",)):
        done = site.operate(*words)
        assert done.returncode == 3 and "does not exist" in done.stderr and site.job in done.stderr, done.stderr
    site.good("update")
    site.good("pause")
    site.switch(site.job, "doDelete")
    done = site.operate("resume")
    assert done.returncode == 3 and "does not exist" in done.stderr
    assert site.states(3) == {site.job: "missing"}
    site.good("update")
    assert not site.is_disabled(site.job)
