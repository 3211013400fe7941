"""ci-run-job as it is installed, on a fake OpenStack: the stages in one workspace, and its exit code."""

from __future__ import annotations

import json

from tests.fakes.fake_openstack import CLASS, FakeSite, behaving, driver_files


def test_a_change_that_passes(fake_site: FakeSite) -> None:
    done = fake_site.command("ci-run-job", *fake_site.change_flags())
    assert done.exit_code == 0, done.errors
    verdict = json.loads(fake_site.workspace.verdict_json.read_text())
    assert (verdict["outcome"], verdict["blame"], verdict["counts"]["passed"]) == ("SUCCESS", "nobody", 2)
    stages = {path.stem: json.loads(path.read_text())["exit_code"] for path in fake_site.workspace.stages_dir.iterdir()}
    names = ["prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest", "control-runs"]
    assert stages == dict.fromkeys([*names, "summarize-results"], 0)
    assert fake_site.stage("control-runs")["trials"] == 0 and fake_site.trials() == []
    assert "Verdict: SUCCESS" in done.output
    assert fake_site.left() == []


def test_a_test_that_fails_only_with_the_change_is_its_fault(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(), behaving(test_bad="fail"))
    fake_site.tests({f"{CLASS}.test_good": "pass", f"{CLASS}.test_bad": "driver"})
    done = fake_site.command("ci-run-job", *fake_site.change_flags())
    assert done.exit_code == 1, done.errors
    verdict = fake_site.verdict()
    assert (verdict["outcome"], verdict["blame"], verdict["exit_code"]) == ("FAILURE", "change", 1)
    assert f"{CLASS}.test_bad" in done.output
    assert "Verdict: FAILURE" in done.output and "blame: change" in done.output


def test_a_test_that_fails_without_the_change_too_is_not_its_fault(fake_site: FakeSite) -> None:
    fake_site.tests({f"{CLASS}.test_good": "pass", f"{CLASS}.test_bad": "fail"})
    done = fake_site.command("ci-run-job", *fake_site.change_flags())
    assert done.exit_code == 3, done.errors
    verdict = fake_site.verdict()
    assert (verdict["outcome"], verdict["blame"], verdict["exit_code"]) == ("ERROR", "ci", 3)
    assert f"{CLASS}.test_bad" in done.output
