"""ci-run-unit-tests as it is installed: the real stestr on a small project, its services, and who is to blame."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.verdict.outcomes import TestOutcome
from ci_scripts.verdict.read_stream import read_stream
from tests.fakes.fake_openstack import Ended, FakeIndex, FakeSite
from tests.fakes.stestr_project import CLASS, forget_environments, index_with_stestr, prepare, project_files
from tests.fakes.stestr_project import use_project as use
from tests.fakes.waiting import wait_for
from tests.fakes.wheels import write_wheel

WORKS = "class FakeDriver:\n    works = True\n"
BROKEN = {"fake_driver.py": "class FakeDriver:\n    works = False\n"}
TESTS = {"test_driver": "self.assertTrue(fake_driver.FakeDriver.works)", "test_other": "pass"}
HARMLESS = {"doc.txt": "harmless\n"}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> FakeIndex:
    made = index_with_stestr(tmp_path_factory.mktemp("stestr-index"))
    write_wheel(made.wheels, "needed_by_tests", "1.0", {"needed_by_tests.py": "THERE = True\n"})
    return made


@pytest.fixture
def site(tmp_path: Path, index: FakeIndex) -> Iterator[FakeSite]:
    made = FakeSite(tmp_path / "site", index)
    try:
        yield made
        forget_environments(made)
        assert made.left() == []
    finally:
        made.clear()


def run(site: FakeSite, *arguments: str) -> Ended:
    return site.command("ci-run-unit-tests", "--concurrency", "2", *arguments)


def outcomes(site: FakeSite, stream: str = "logs/testrepository.subunit") -> dict[str, TestOutcome]:
    content = read_stream(site.workspace.root / stream)
    return {test.id: test for test in content.tests}


def statuses(site: FakeSite, stream: str = "logs/testrepository.subunit") -> dict[str, str]:
    return {name.removeprefix(f"{CLASS}."): test.status for name, test in outcomes(site, stream).items()}


def verdict(site: FakeSite) -> tuple[str, str, str, int]:
    done = site.command("ci-summarize-results")
    assert "Traceback" not in done.errors, done.errors
    found = site.verdict()
    assert done.exit_code == found["exit_code"]
    return found["rule"], found["outcome"], found["blame"], found["exit_code"]


def trial_statuses(site: FakeSite, trial: str) -> dict[str, str]:
    return statuses(site, f"trials/{trial}/logs/reruns/alone.subunit")


def test_all_pass_with_the_driver_and_a_controller_for_each_worker(site: FakeSite) -> None:
    asks = (
        "import urllib.request\n"
        "        url = os.environ['CONTROLLER']\n"
        "        self.assertEqual(200, urllib.request.urlopen(f'{url}/ci.yaml', timeout=20).status)\n"
        "        with open(os.environ['WORKSPACE'] + '/logs/' + self.id(), 'w') as file: file.write(url)"
    )
    tests = {
        **TESTS,
        "test_first": asks,
        "test_second": asks,
        "test_packages": "import needed_by_tests",
        "test_skip": "self.skipTest('not here')",
        "test_setting": "self.assertEqual('1', os.environ['OS_LOG_CAPTURE'])",
    }
    check = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=20)"
    unit_tests = {
        "environment": {"CONTROLLER": "{service.controller.url}"},
        "checks": [{"name": "asked", "command": ["{python}", "-c", check, "{service.controller.url}"]}],
    }
    use(site, project_files(tests, module=WORKS), HARMLESS, unit_tests=unit_tests)
    prepare(site)
    done = run(site)
    assert done.exit_code == 0, done.errors
    found = statuses(site)
    assert found.pop("test_skip") == "skipped"
    assert found == dict.fromkeys(
        [*(set(tests) - {"test_skip"}), "checks.asked.shard0", "checks.asked.shard1"], "passed"
    )
    workers = {test.worker for name, test in outcomes(site).items() if name.startswith(CLASS)}
    assert workers == {"worker-0", "worker-1"}
    of_worker: dict[str | None, set[str]] = {}
    for name in ("test_first", "test_second"):
        url = (site.workspace.logs / f"{CLASS}.{name}").read_text()
        of_worker.setdefault(outcomes(site)[f"{CLASS}.{name}"].worker, set()).add(url)
    assert all(len(urls) == 1 for urls in of_worker.values())
    assert len(set.union(*of_worker.values())) == len(of_worker)
    assert verdict(site) == ("passed", "SUCCESS", "nobody", 0)
    assert "needed-by-tests==1.0" in site.workspace.packages_txt.read_text()
    junit = (site.workspace.report_dir / "junit.xml").read_text()
    assert junit.count(f'classname="{CLASS}"') == len(tests)
    assert 'testsuite name="unit-tests"' in junit
    assert site.trials() == []


def test_what_fails_only_with_the_change_is_its_fault(site: FakeSite) -> None:
    use(site, project_files(TESTS, module=WORKS), BROKEN)
    prepare(site)
    done = run(site)
    assert done.exit_code == 1, done.errors
    assert "1 tests failed" in done.paragraph("ci-run-unit-tests")
    assert f"FAILED {CLASS}.test_driver" in done.errors
    assert statuses(site) == {"test_driver": "failed", "test_other": "passed"}
    assert statuses(site, "logs/reruns/alone.subunit") == {"test_driver": "failed"}
    assert site.trials() == ["1-control", "2-change"]
    assert trial_statuses(site, "1-control") == {"test_driver": "passed"}
    assert trial_statuses(site, "2-change") == {"test_driver": "failed"}
    assert verdict(site) == ("fails-only-with-the-change", "FAILURE", "change", 1)


def test_what_fails_without_the_change_too_is_not_its_fault(site: FakeSite) -> None:
    use(site, project_files(TESTS, module="class FakeDriver:\n    works = False\n"), HARMLESS)
    prepare(site)
    assert run(site).exit_code == 1
    assert site.trials() == ["1-control"]
    assert verdict(site)[1:] == ("ERROR", "ci", 3)


def test_a_test_that_fails_once_is_flaky(site: FakeSite) -> None:
    once = (
        "path = os.environ['HOME'] + '/../../../once'; new = not os.path.exists(path); open(path, 'w'); assert not new"
    )
    use(site, project_files({**TESTS, "test_once": once}, module=WORKS), HARMLESS)
    prepare(site)
    assert run(site).exit_code == 1
    assert site.trials() == []
    assert verdict(site) == ("passed-with-flaky-tests", "SUCCESS", "nobody", 0)


def test_nothing_is_selected(site: FakeSite) -> None:
    use(site, project_files(TESTS, module=WORKS), HARMLESS)
    prepare(site)
    done = run(site, "--regex", "no such test")
    assert done.exit_code == 2
    said = done.paragraph("ci-run-unit-tests")
    assert "no test matches unit_tests.regex 'no such test'" in said
    assert "stestr list" in said
    assert verdict(site)[1:3] == ("CONFIG_ERROR", "ci")


def test_what_is_given_by_hand_wins_and_replaces_what_was_before(site: FakeSite) -> None:
    use(site, project_files(TESTS, module=WORKS), BROKEN, unit_tests={"regex": r"\.test_driver$"})
    prepare(site)
    assert run(site).exit_code == 1
    assert site.trials() == ["1-control", "2-change"]
    skip = site.folder / "skip.txt"
    skip.write_text("\\.test_driver$  # broken\n")
    done = run(site, "--regex", "DriverTest", "--exclude-list", str(skip))
    assert done.exit_code == 0, done.errors
    assert statuses(site) == {"test_other": "passed"}
    assert site.trials() == []
    assert not site.workspace.reruns.exists()


@pytest.mark.parametrize("without_it_too", [False, True])
def test_tests_that_cannot_be_imported(site: FakeSite, without_it_too: bool) -> None:
    good = project_files(TESTS, module=WORKS)
    bad = {"unit/test_new.py": "import no_such_module\n"}
    use(site, {**good, **bad} if without_it_too else good, HARMLESS if without_it_too else bad)
    prepare(site)
    done = run(site)
    assert done.exit_code == 3, done.errors
    said = done.paragraph("ci-run-unit-tests")
    assert "could not load its tests" in said
    assert "no_such_module" in said
    assert not site.workspace.stream.exists()
    assert verdict(site)[2:] == (("ci", 3) if without_it_too else ("change", 1))


@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(7)"], ids=["killed", "ended by a test"]
)
def test_a_worker_that_is_lost_keeps_what_others_found(site: FakeSite, end: str) -> None:
    harmless = project_files({**TESTS, "test_z": "pass"}, module=WORKS)
    use(site, harmless, project_files({**TESTS, "test_z": end}, module=WORKS))
    prepare(site)
    done = run(site, "--concurrency", "1")
    assert done.exit_code == 3, done.errors
    code = "-9" if "SIGKILL" in end else "7"
    assert f"stestr's worker-0 ended with exit code {code}" in done.paragraph("ci-run-unit-tests")
    assert statuses(site) == {"test_driver": "passed", "test_other": "passed", "test_z": "incomplete"}
    assert verdict(site)[1:] == ("FAILURE", "change", 1)


def test_megabytes_of_output_without_a_line_end(site: FakeSite) -> None:
    noisy = "sys.stdout.write('x' * 3_000_000); sys.stderr.write('y' * 3_000_000)"
    tests = {**TESTS, "test_noisy": noisy, "test_noisy_and_bad": f"{noisy}; self.fail('it is bad')"}
    use(site, project_files(tests, module=WORKS), HARMLESS)
    prepare(site)
    done = run(site, "--no-rerun", "--no-control-runs")
    assert done.exit_code == 1, done.errors
    assert len(done.errors) < 20_000
    assert statuses(site) == {**dict.fromkeys(tests, "passed"), "test_noisy_and_bad": "failed"}
    assert "it is bad" in (outcomes(site)[f"{CLASS}.test_noisy_and_bad"].text or "")
    logs = list((site.workspace.logs / "unit-tests").glob("worker-*.log"))
    assert sum(log.stat().st_size for log in logs) >= 12_000_000


def test_sigterm_stops_everything_and_keeps_what_was_collected(site: FakeSite) -> None:
    waits = "open(os.environ['WORKSPACE'] + '/waiting', 'w'); time.sleep(600)"
    use(site, project_files({**TESTS, "test_z": waits}, module=WORKS), HARMLESS)
    prepare(site)
    process = site.begin("ci-run-unit-tests", "--concurrency", "1")
    wait_for((site.workspace.root / "waiting").exists, "test that waits", 120.0)
    os.kill(process.pid, signal.SIGTERM)
    done = site.end(process)
    assert done.exit_code == 143, done.errors
    assert statuses(site)["test_driver"] == "passed"
    assert site.trials() == []
    assert verdict(site)[1:] == ("ABORTED", "nobody", 143)


def test_tests_that_take_too_long(site: FakeSite) -> None:
    use(site, project_files({**TESTS, "test_z": "time.sleep(600)"}, module=WORKS), HARMLESS)
    prepare(site)
    # The option has whole minutes.
    program = (
        "from ci_scripts.stages.opening import open_stage\n"
        "from ci_scripts.unit_tests.run import Asked, run_unit_tests\n"
        "with open_stage('run-unit-tests', None) as context:\n"
        "    run_unit_tests(context, Asked(seconds=8.0, concurrency=1))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=site.folder, env=site.environment(), timeout=120)
    assert done.returncode == 1
    record = site.stage("run-unit-tests")
    assert (record["exit_code"], record["outcome"]) == (3, "TIMED_OUT")
    assert "unit_tests.timeout_minutes" in record["reason"]
    assert verdict(site)[1:] == ("TIMED_OUT", "unknown", 3)


def test_a_red_probe_ends_it_before_the_change_has_a_part(site: FakeSite) -> None:
    probes = [{"name": "lab", "command": ["{python}", "-c", "raise SystemExit('the lab is closed')"]}]
    use(site, project_files(TESTS, module=WORKS), HARMLESS, probes=probes)
    prepare(site)
    done = run(site)
    assert done.exit_code == 3
    assert "the lab is closed" in done.paragraph("ci-run-unit-tests")
    assert not (site.workspace.environments_dir / "unit-tests").exists()
    assert verdict(site)[:3] == ("failed-before-the-change", "ERROR", "ci")


def test_a_service_that_dies_while_the_tests_run(site: FakeSite) -> None:
    kills = (
        "import json\n"
        "        status = json.load(open(os.environ['WORKSPACE'] + '/logs/gate/gate-status.json'))\n"
        "        os.kill(status['services'][0]['pid'], signal.SIGKILL); time.sleep(600)"
    )
    use(site, project_files({**TESTS, "test_z": kills}, module=WORKS), HARMLESS)
    prepare(site)
    done = run(site, "--concurrency", "1", "--no-control-runs")
    assert done.exit_code == 3, done.errors
    assert "controller" in done.paragraph("ci-run-unit-tests")
    assert verdict(site)[2:] == ("unknown", 3)


def test_no_services_at_all(site: FakeSite) -> None:
    use(site, project_files(TESTS, module=WORKS), HARMLESS, services=[])
    prepare(site)
    assert run(site).exit_code == 0
    assert verdict(site) == ("passed", "SUCCESS", "nobody", 0)


def test_what_the_tests_need_cannot_be_had(site: FakeSite) -> None:
    files = project_files(TESTS, module=WORKS)
    use(site, files, {"test-requirements.txt": "no-such-package==1\n"})
    prepare(site)
    done = run(site)
    assert done.exit_code == 3
    assert "the packages for unit-tests could not be resolved" in done.paragraph("ci-run-unit-tests")
    assert site.trials() == ["1-control", "2-change"]


def test_a_project_that_is_not_there(site: FakeSite) -> None:
    use(site, project_files(TESTS, module=WORKS), HARMLESS, unit_tests={"project": "openstack/neutron"})
    prepare(site)
    done = run(site)
    assert done.exit_code == 2
    assert "openstack/neutron, whose unit tests are to run, is not checked out" in done.paragraph("ci-run-unit-tests")


def test_a_project_that_does_not_say_where_its_tests_are(site: FakeSite) -> None:
    files = {name: text for name, text in project_files(TESTS, module=WORKS).items() if name != ".stestr.conf"}
    use(site, files, HARMLESS)
    prepare(site)
    done = run(site)
    assert done.exit_code == 3
    assert "unit_tests.test_path" in done.paragraph("ci-run-unit-tests")
    content: dict[str, Any] = json.loads(site.config.read_text())
    site.config.write_text(json.dumps({**content, "unit_tests": {"test_path": "./unit"}}))
    assert run(site).exit_code == 0
    assert set(statuses(site)) == set(TESTS)


def test_the_change_installs_nothing_from_elsewhere(site: FakeSite) -> None:
    use(site, project_files(TESTS, module=WORKS), {"test-requirements.txt": "--index-url https://example.org/simple\n"})
    prepare(site)
    done = run(site)
    assert done.exit_code == 3
    assert "is an option, not a requirement" in done.paragraph("ci-run-unit-tests")


def test_a_gate_that_runs_there_is_left_alone(prepared_site: FakeSite) -> None:
    assert prepared_site.command("ci-start-gate").exit_code == 0
    done = run(prepared_site)
    assert done.exit_code == 2
    assert "a gate is running" in done.paragraph("ci-run-unit-tests")
    assert prepared_site.command("ci-run-tempest").exit_code == 0
    assert prepared_site.command("ci-stop-gate").exit_code == 0
