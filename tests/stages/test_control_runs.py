"""Whose failure it is, tried by the installed commands: fresh fake gates without the change and with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import Any

import pytest

from ci_scripts.verdict.read_stream import read_stream
from tests.fakes.fake_openstack import CLASS, PROJECT, Ended, FakeSite, behaving, driver_files

GOOD, BAD = f"{CLASS}.test_good", f"{CLASS}Other.test_bad"
TESTS = {GOOD: "pass", BAD: "driver"}
BREAKS = driver_files(module=f"class FakeDriver:\n    behaviour = {{{BAD!r}: 'fail'}}\n")
# Red from the first round of a trial on: before it starts all is well.
RED_IN_TRIALS = (
    "import pathlib, sys; place = pathlib.Path(sys.argv[1]); "
    "sys.exit('trials' in place.parts and (place / 'logs/reruns/reruns.json').exists())"
)


def job(site: FakeSite, change: str = "1,1") -> Ended:
    """ci-run-job to its end; nothing is left of it."""
    done = site.command("ci-run-job", *site.change_flags(change))
    assert "Traceback" not in done.errors, done.errors
    assert site.left() == []
    return done


def brief(site: FakeSite) -> tuple[str, str, str, int]:
    verdict = site.verdict()
    return verdict["rule"], verdict["outcome"], verdict["blame"], verdict["exit_code"]


def of_trial(site: FakeSite, name: str, file: str) -> Any:
    return json.loads((site.workspace.root / "trials" / name / file).read_text())


def outcomes(site: FakeSite, trial: str, name: str = "alone") -> dict[str, str]:
    content = read_stream(site.workspace.root / f"trials/{trial}/logs/reruns/{name}.subunit")
    return {test.id: test.status for test in content.tests}


def test_what_fails_only_with_the_change_is_its_fault(fake_site: FakeSite) -> None:
    remote = fake_site.use_driver(driver_files(), BREAKS)
    fake_site.tests(TESTS)
    done = job(fake_site)
    assert done.exit_code == 1, done.errors
    assert brief(fake_site) == ("fails-only-with-the-change", "FAILURE", "change", 1)
    assert fake_site.trials() == ["1-control", "2-change"]
    assert (outcomes(fake_site, "1-control"), outcomes(fake_site, "2-change")) == ({BAD: "passed"}, {BAD: "failed"})
    run = json.loads(fake_site.workspace.run_json.read_text())
    commits = {
        name: of_trial(fake_site, name, "run.json")["checkouts"][PROJECT]["commit"] for name in fake_site.trials()
    }
    assert commits == {"1-control": remote.tip(), "2-change": run["checkouts"][PROJECT]["commit"]}
    assert commits["1-control"] != commits["2-change"]
    names = [of_trial(fake_site, name, "run.json")["run_id"] for name in fake_site.trials()]
    assert names == [f"{run['run_id']}-1", f"{run['run_id']}-2"]
    stage = fake_site.stage("control-runs")
    assert (stage["exit_code"], stage["trials"]) == (0, 2)
    kinds = [entry["kind"] for entry in fake_site.verdict()["evidence"]]
    assert kinds == ["test", "control", "control"]


def test_trials_have_the_packages_of_the_run(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(), BREAKS)
    fake_site.tests(TESTS)
    job(fake_site)

    def packages(*where: str) -> list[str]:
        text = fake_site.workspace.root.joinpath(*where, "logs/packages.txt").read_text()
        return [line for line in text.splitlines() if "fake-driver" not in line]

    assert packages() == packages("trials", "1-control") == packages("trials", "2-change")
    assert any(line.startswith("neutron==") for line in packages())


def test_what_fails_without_the_change_too_is_the_cis(fake_site: FakeSite) -> None:
    fake_site.use_driver(BREAKS, {"doc.txt": "harmless\n"})
    fake_site.tests(TESTS)
    done = job(fake_site)
    assert done.exit_code == 3, done.errors
    assert brief(fake_site) == ("fails-without-the-change-too", "ERROR", "ci", 3)
    assert fake_site.trials() == ["1-control"]


def test_a_flaky_test_is_no_failure_and_is_listed(fake_site: FakeSite) -> None:
    fake_site.tests({GOOD: "pass", BAD: "fail then pass"})
    done = job(fake_site)
    assert done.exit_code == 0, done.errors
    assert brief(fake_site) == ("passed-with-flaky-tests", "SUCCESS", "nobody", 0)
    assert fake_site.verdict()["flaky"] == [BAD]
    assert BAD in done.output
    assert fake_site.trials() == []
    rounds = json.loads((fake_site.workspace.logs / "reruns/reruns.json").read_text())["rounds"]
    assert [entry["name"] for entry in rounds] == ["alone", "neighbours-1", "neighbours-2", "neighbours-3"]
    assert all(entry["ended"] and entry["problem"] is None for entry in rounds)


def test_what_fails_again_only_beside_its_neighbours_and_with_the_change(fake_site: FakeSite) -> None:
    # The run, alone, with its neighbours; a control; with the change.
    fake_site.write_config(verdict={"replays": 1})
    fake_site.tests({GOOD: "pass", BAD: "fail then pass then fail then pass then fail"})
    done = job(fake_site)
    assert done.exit_code == 1, done.errors
    assert fake_site.trials() == ["1-control", "2-change"]
    assert {of_trial(fake_site, name, "run.json")["trial"]["mode"] for name in fake_site.trials()} == {"neighbours"}
    assert outcomes(fake_site, "1-control", "neighbours-1")[BAD] == "passed"
    assert outcomes(fake_site, "2-change", "neighbours-1")[BAD] == "failed"


def test_what_is_not_there_on_a_second_gate_with_the_change_is_nobodys_known_fault(fake_site: FakeSite) -> None:
    fake_site.tests({GOOD: "pass", BAD: "fail then fail then pass"})
    done = job(fake_site)
    assert done.exit_code == 3, done.errors
    assert brief(fake_site) == ("not-reproduced", "ERROR", "unknown", 3)
    assert fake_site.trials() == ["1-control", "2-change", "3-control", "4-change"]
    assert of_trial(fake_site, "3-control", "run.json")["trial"]["mode"] == "all"


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        (driver_files(module="raise RuntimeError('no firmware')\n"), "start-gate"),
        (driver_files(entry_points={"fake_renamed": "fake_driver:FakeDriver"}), "start-gate"),
        (driver_files(requires=["there-is-no-such-library>=1"]), "install-driver"),
    ],
    ids=["import", "entry point", "requirement"],
)
def test_a_gate_that_starts_only_without_the_change_is_its_fault(
    fake_site: FakeSite, change: dict[str, str], stage: str
) -> None:
    fake_site.use_driver(driver_files(), change)
    done = job(fake_site)
    assert done.exit_code == 1, done.errors
    assert brief(fake_site)[::2] == ("fails-only-with-the-change", "change")
    assert fake_site.trials() == ["1-control", "2-change"]
    assert of_trial(fake_site, "1-control", "stages/run-gate.json")["exit_code"] == 0
    assert of_trial(fake_site, "2-change", f"stages/{stage}.json")["exit_code"] == 3


def test_a_change_that_kills_neutron_is_to_blame(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(), behaving(test_good="kill"))
    fake_site.tests({GOOD: "driver"})
    done = job(fake_site)
    assert done.exit_code == 1, done.errors
    assert brief(fake_site)[0] == "fails-only-with-the-change"
    assert {entry["state"] for entry in of_trial(fake_site, "1-control", "logs/gate/gate-status.json")["services"]} == {
        "stopped"
    }


def test_a_red_probe_in_the_control_run_leaves_it_unknown(fake_site: FakeSite) -> None:
    probe = {"name": "controller", "command": ["{python}", "-c", RED_IN_TRIALS, "{workspace}"]}
    fake_site.use_driver(driver_files(), BREAKS, probes=[probe])
    fake_site.tests(TESTS)
    done = job(fake_site)
    assert done.exit_code == 3, done.errors
    assert brief(fake_site)[::2] == ("nobody-knows", "unknown")
    assert fake_site.trials() == ["1-control"]
    assert any("the probe controller is red" in reason for reason in fake_site.verdict()["reasons"])


def test_without_control_runs_nobody_knows_until_one_is_made_by_hand(fake_site: FakeSite) -> None:
    fake_site.use_driver(driver_files(), BREAKS, verdict={"control_run": "never"})
    fake_site.tests(TESTS)
    assert job(fake_site).exit_code == 3
    assert brief(fake_site) == ("nobody-knows", "ERROR", "unknown", 3)
    assert fake_site.trials() == []
    by_hand = fake_site.command("ci-run-gate", "--control")
    assert by_hand.exit_code == 0, by_hand.errors
    assert fake_site.trials() == ["1-control", "2-change"]
    assert fake_site.command("ci-summarize-results").exit_code == 1
    again = fake_site.command("ci-run-gate", "--control")
    assert again.exit_code == 0 and "no control run is needed" in again.errors
    assert fake_site.trials() == ["1-control", "2-change"]


def test_a_control_run_is_made_always_where_that_is_asked_for(fake_site: FakeSite) -> None:
    fake_site.write_config(verdict={"control_run": "always"})
    fake_site.tests({GOOD: "pass", BAD: "pass"})
    done = job(fake_site)
    assert done.exit_code == 0, done.errors
    assert brief(fake_site)[0] == "passed"
    assert fake_site.trials() == ["1-control"]
    assert outcomes(fake_site, "1-control", "all") == {GOOD: "passed", BAD: "passed"}


def test_a_control_run_by_hand_of_a_run_that_passed_runs_all_tests(prepared_site: FakeSite) -> None:
    assert prepared_site.command("ci-run-gate").exit_code == 0
    assert prepared_site.trials() == []
    done = prepared_site.command("ci-run-gate", "--control")
    assert done.exit_code == 0, done.errors
    assert prepared_site.trials() == ["1-control"]
    assert len(outcomes(prepared_site, "1-control", "all")) == 3


def test_a_control_run_by_hand_needs_a_run(fake_site: FakeSite) -> None:
    fake_site.workspace.root.mkdir()
    done = fake_site.command("ci-run-gate", "--control")
    assert done.exit_code == 2
    assert "holds no run.json" in done.paragraph("ci-run-gate")


def own_cache(site: FakeSite) -> None:
    """A cache of the site's own whose git part alone is not shared with other tests."""
    folder = site.folder / "cache"
    folder.mkdir()
    for name in ("environments", "databases", "uv"):
        if (site.index.cache / name).is_dir():
            (folder / name).symlink_to(site.index.cache / name)
    site.write_config(**{**json.loads(site.config.read_text()), "cache_dir": str(folder)})


def test_a_control_run_that_cannot_be_made_leaves_it_unknown(fake_site: FakeSite) -> None:
    remote = fake_site.use_driver(driver_files(), BREAKS, verdict={"control_run": "never"})
    own_cache(fake_site)
    fake_site.tests(TESTS)
    assert job(fake_site).exit_code == 3
    cache, lost = fake_site.folder / "cache" / "git", fake_site.folder / "lost"
    cache.rename(lost)
    gone = remote.folder.rename(remote.folder.with_name("gone"))
    by_hand = fake_site.command("ci-run-gate", "--control")
    assert "Traceback" not in by_hand.errors
    assert by_hand.exit_code == 3, by_hand.errors
    assert fake_site.trials() == ["1-control"]
    assert fake_site.command("ci-summarize-results").exit_code == 3
    assert brief(fake_site) == ("nobody-knows", "ERROR", "unknown", 3)
    assert any("control run 1 cannot tell" in reason for reason in fake_site.verdict()["reasons"])
    # Who mends it and asks again gets another one.
    shutil.rmtree(cache, ignore_errors=True)
    lost.rename(cache)
    gone.rename(remote.folder)
    assert fake_site.command("ci-run-gate", "--control").exit_code == 0
    assert fake_site.command("ci-summarize-results").exit_code == 1


def test_a_run_that_does_not_say_what_it_was_made_from_has_no_control_run(prepared_site: FakeSite) -> None:
    run = json.loads(prepared_site.workspace.run_json.read_text())
    del run["checkouts"][PROJECT]["merged"]
    prepared_site.workspace.run_json.write_text(json.dumps(run))
    prepared_site.tests({GOOD: "pass", BAD: "fail"})
    done = prepared_site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert "does not say which commits" in done.errors
    assert prepared_site.command("ci-summarize-results").exit_code == 3


@pytest.mark.parametrize("how", ["lost", "damaged"])
def test_a_git_cache_that_broke_meanwhile_is_fetched_again(fake_site: FakeSite, how: str) -> None:
    fake_site.use_driver(driver_files(), BREAKS, verdict={"control_run": "never"})
    own_cache(fake_site)
    fake_site.tests(TESTS)
    assert job(fake_site).exit_code == 3
    (repository,) = (fake_site.folder / "cache" / "git").glob("*.git")
    if how == "lost":
        shutil.rmtree(repository)
    else:
        for pack in (repository / "objects").glob("pack/*"):
            pack.chmod(0o644)
            pack.write_bytes(b"x")
    by_hand = fake_site.command("ci-run-gate", "--control")
    assert by_hand.exit_code == 0, by_hand.errors
    assert fake_site.command("ci-summarize-results").exit_code == 1, by_hand.errors
    assert fake_site.trials() == ["1-control", "2-change"]


def test_trials_of_the_run_before_are_not_those_of_this_one(fake_site: FakeSite) -> None:
    """Jenkins uses a workspace again: the first change broke the test, the second meets a sick CI."""
    remote = fake_site.use_driver(driver_files(), BREAKS)
    remote.change(2, 1, {"doc.txt": "harmless\n"})
    fake_site.tests(TESTS)
    assert job(fake_site).exit_code == 1
    fake_site.tests({GOOD: "pass", BAD: "fail"})
    done = job(fake_site, "2,1")
    assert done.exit_code == 3, done.errors
    assert brief(fake_site)[2] == "ci"
    assert fake_site.trials() == ["1-control"]


def test_a_run_that_passes_keeps_no_trials_of_the_one_before(fake_site: FakeSite) -> None:
    remote = fake_site.use_driver(driver_files(), BREAKS)
    remote.change(2, 1, {"doc.txt": "harmless\n"})
    fake_site.tests(TESTS)
    assert job(fake_site).exit_code == 1
    assert job(fake_site, "2,1").exit_code == 0
    assert fake_site.trials() == []


def test_a_gate_that_is_run_again_is_tried_again(prepared_site: FakeSite) -> None:
    # The run, alone, a control, with the change: blamed. Then the whole gate again, and everything fails.
    prepared_site.tests({GOOD: "pass", BAD: "fail then fail then pass then fail"})
    assert prepared_site.command("ci-run-gate").exit_code == 0
    assert prepared_site.command("ci-summarize-results").exit_code == 1
    assert prepared_site.command("ci-run-gate").exit_code == 0
    assert prepared_site.command("ci-summarize-results").exit_code == 3
    assert prepared_site.verdict()["blame"] == "ci"
    assert prepared_site.trials() == ["1-control"]


def stop_in_the_control_run(site: FakeSite, number: signal.Signals, command: str, *flags: str) -> Ended:
    # The run and alone; the control waits.
    site.tests({GOOD: "pass", BAD: "fail then fail then wait"})
    process = site.begin(command, *flags)
    site.wait_for_file("waiting")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    return site.end(process, seconds=20)


SIGNALS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGTERM", "SIGINT"])
def test_an_abort_during_a_control_run_leaves_nothing_running(
    fake_site: FakeSite, number: signal.Signals, code: int
) -> None:
    done = stop_in_the_control_run(fake_site, number, "ci-run-job", *fake_site.change_flags())
    assert done.exit_code == code, done.errors
    assert f"ci-run-job: stopped by {number.name}" in done.errors and "Traceback" not in done.errors
    assert fake_site.left() == []
    assert fake_site.stage("control-runs")["exit_code"] == code
    assert of_trial(fake_site, "1-control", "stages/run-gate.json")["exit_code"] == code
    assert brief(fake_site) == ("aborted", "ABORTED", "nobody", code)


def test_an_abort_of_run_gate_during_its_control_run(prepared_site: FakeSite) -> None:
    done = stop_in_the_control_run(prepared_site, signal.SIGTERM, "ci-run-gate")
    assert done.exit_code == 143, done.errors
    assert prepared_site.left() == []
    assert prepared_site.stage("run-gate")["exit_code"] == 0
    assert prepared_site.command("ci-summarize-results").exit_code == 143
    assert prepared_site.verdict()["outcome"] == "ABORTED"


def test_after_an_abort_the_control_run_is_taken_up_again_by_hand(prepared_site: FakeSite) -> None:
    stop_in_the_control_run(prepared_site, signal.SIGTERM, "ci-run-gate")
    prepared_site.tests({GOOD: "pass", BAD: "fail"})
    done = prepared_site.command("ci-run-gate", "--control")
    assert done.exit_code == 0, done.errors
    assert prepared_site.command("ci-summarize-results").exit_code == 3
    assert prepared_site.verdict()["blame"] in ("ci", "unknown")


def test_another_run_in_the_workspace_of_a_control_run_is_turned_away(prepared_site: FakeSite) -> None:
    prepared_site.tests({GOOD: "pass", BAD: "fail then fail then wait then fail"})
    first = prepared_site.begin("ci-run-gate")
    prepared_site.wait_for_file("waiting")
    for flags in ([], ["--control"]):
        done = prepared_site.command("ci-run-gate", *flags)
        assert done.exit_code == 2
        assert "another run is active" in done.paragraph("ci-run-gate")
    (prepared_site.control / "go").touch()
    assert prepared_site.end(first).exit_code == 0


def test_a_gate_that_never_had_the_change_wants_no_control_run(prepared_site: FakeSite) -> None:
    """A controller that ends before anything of the change has run is the CI's: nothing is left to find out."""
    ends = ["{python}", "-c", "import sys; sys.exit('the licence has expired')"]
    service = {"name": "controller", "command": ends, "ready_url": "{service.controller.url}/"}
    prepared_site.write_config(services=[service])
    done = prepared_site.command("ci-run-gate")
    assert done.exit_code == 3, done.errors
    assert "the licence has expired" in done.paragraph("ci-run-gate")
    assert prepared_site.trials() == []
    assert prepared_site.command("ci-summarize-results").exit_code == 3
    assert brief(prepared_site)[::2] == ("failed-before-the-change", "ci")
