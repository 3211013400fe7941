"""ci-operate explain, run as the installed command on a small made-up run."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from subunit.v2 import StreamResultToBytes

from ci_scripts.verdict.decide import RULES

OPERATE = Path(sys.executable).with_name("ci-operate")
SUMMARIZE = Path(sys.executable).with_name("ci-summarize-results")
SHA = "a" * 40
STAGES = ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest")
GOOD = "tempest.api.network.test_networks.NetworksTest.test_good[id-1,smoke]"
CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
cache_dir: cache
driver: {project: example/networking-example, source: https://git.example.org/networking-example}
"""
BAD = "tempest.api.network.test_networks.NetworksTest.test_bad[id-2]"


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def stream(statuses: dict[str, str]) -> bytes:
    output = io.BytesIO()
    writer = StreamResultToBytes(output)
    for test_id, status in statuses.items():
        writer.status(test_id=test_id, test_status="inprogress")
        writer.status(test_id=test_id, test_status=status)
    return output.getvalue()


def gate(root: Path, **more: Any) -> None:
    """What each gate leaves, the run's and a trial's: run.json, stages, services."""
    checkout = {"commit": SHA, "contains_revision": True}
    change = {"number": "1", "patchset": "1", "project": "p", "revision": SHA}
    run = {"schema": 1, "run_id": "run-1", "gate": {"kind": "local"}, "change": change, "checkouts": {"p": checkout}}
    write(root / "run.json", {**run, "driver": {"project": "p"}, **more})
    for minute, name in enumerate(STAGES):
        times = {"started": f"2026-01-31T12:{minute:02d}:00Z", "ended": f"2026-01-31T12:{minute:02d}:30Z"}
        write(root / f"stages/{name}.json", {"schema": 1, "name": name, **times, "exit_code": 0, "reason": None})
    services = [{"name": name, "shard": 0, "state": "stopped", "exit_status": 0} for name in ("keystone", "neutron")]
    write(root / "logs/gate/gate-status.json", {"schema": 1, "services": services})


def rerun(root: Path, status: str) -> None:
    entry = {"name": "alone", "mode": "alone", "stream": "logs/reruns/alone.subunit", "selected": [BAD]}
    times = {"started": "2026-01-31T12:10:00Z", "ended": "2026-01-31T12:11:00Z", "problem": None}
    write(root / "logs/reruns/reruns.json", {"schema": 1, "rounds": [{**entry, **times}]})
    write(root / "logs/reruns/alone.subunit", stream({BAD: status}))


def trial(root: Path, number: int, role: str, status: str) -> None:
    folder = root / f"trials/{number}-{role}"
    gate(
        folder, run_id=f"run-1-{number}", trial={"number": number, "role": role, "mode": "alone", "why": "is it there?"}
    )
    rerun(folder, status)


@pytest.fixture
def failed_run(tmp_path: Path) -> Path:
    return make_failed_run(tmp_path / "run")


def make_failed_run(tmp_path: Path, **run: Any) -> Path:
    """A run in which a test failed, and failed again alone; nobody tried it elsewhere."""
    gate(tmp_path, **run)
    write(tmp_path / "logs/gate/shard0/neutron.log", "INFO Loaded mechanism driver names: ['logger', 'example']\n")
    driver = {"distribution": "networking-example", "version": "1", "commit": SHA, "mechanism_drivers": ["example"]}
    write(tmp_path / "logs/driver.json", driver)
    write(tmp_path / "logs/packages.txt", "# Python 3.11.7\nneutron==29.0.0\n")
    write(tmp_path / "logs/selected-tests.txt", f"{GOOD}\n{BAD}\n")
    write(tmp_path / "logs/testrepository.subunit", stream({GOOD: "success", BAD: "fail"}))
    rerun(tmp_path, "fail")
    return tmp_path


def explain(*flags: str) -> subprocess.CompletedProcess[str]:
    argv = [str(OPERATE), "explain", *flags]
    # Elsewhere than in a folder that may have a ci.yaml.
    return subprocess.run(argv, cwd="/", capture_output=True, text=True, timeout=60, check=False)


def told(root: Path, *flags: str) -> dict[str, Any]:
    done = explain("--workspace", str(root), "--json", *flags)
    assert done.returncode == 0, done.stderr
    data: dict[str, Any] = json.loads(done.stdout)
    return data


def test_the_rules_are_told_in_order_to_the_one_that_decides_and_those_after_it(failed_run: Path) -> None:
    done = explain("--workspace", str(failed_run))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()

    assert lines[0] == "Run run-1: ERROR, blame: unknown, exit code 3"
    assert lines[1].startswith("Decided by the rule nobody-knows: Something failed")
    assert next(line for line in lines if line.startswith("  YES")).split()[1] == "nobody-knows"
    asked = [line for line in lines if line.startswith("  no         ")]
    after = [line for line in lines if line.startswith("  not asked  ")]
    assert [line.split()[1] for line in asked] == [rule.name for rule in RULES[: len(asked)]]
    assert [line.split()[2] for line in after] == [rule.name for rule in RULES[len(asked) + 1 :]]
    assert "        1 of 2 tests failed" in lines


def test_what_would_have_changed_it_is_a_command_that_can_be_run(failed_run: Path) -> None:
    lines = explain("--workspace", str(failed_run)).stdout.splitlines()
    after = lines[lines.index("What would have changed the verdict") + 1 :]

    assert after[0] == "  a control run (ci-run-gate --control) that comes to its end with green probes."
    command = f"ci-run-gate --control --workspace {failed_run}"
    assert after[1] == f"  for {BAD}: a control run of the failed tests, alone: {command}"
    assert "    wanted: a trial without the change (alone)" in lines
    assert "    seen: the run: failed; the run, alone: failed" in lines


def test_trials_change_what_is_told(failed_run: Path) -> None:
    trial(failed_run, 1, "control", "success")
    trial(failed_run, 2, "change", "fail")
    data = told(failed_run)

    assert (data["outcome"], data["blame"], data["exit_code"]) == ("FAILURE", "change", 1)
    assert data["rule"] == "fails-only-with-the-change"
    assert [rule["state"] for rule in data["rules"]].count("decides") == 1
    (symptom,) = data["symptoms"]
    assert (symptom["name"], symptom["whose"]) == (BAD, "change")
    assert [(seen["folder"], seen["seen"]) for seen in symptom["seen"][1:]] == [
        (".", "failed"),
        ("trials/1-control", "passed"),
        ("trials/2-change", "failed"),
    ]


def test_the_same_decision_as_ci_summarize_results_and_nothing_is_written(failed_run: Path) -> None:
    assert told(failed_run)["notes"] == ["there is no verdict.json: ci-summarize-results has not been here"]
    assert not (failed_run / "verdict.json").exists() and not (failed_run / "stages/explain.json").exists()
    argv = [str(SUMMARIZE), "--workspace", str(failed_run)]
    assert subprocess.run(argv, cwd="/", capture_output=True, timeout=60, check=False).returncode == 3
    data, written = told(failed_run), json.loads((failed_run / "verdict.json").read_text())

    assert data["differs_from_verdict_json"] == data["notes"] == []
    assert explain("--workspace", str(failed_run)).stderr == ""
    assert all(data[key] == written[key] for key in ("outcome", "blame", "rule", "exit_code", "otherwise"))


def test_a_verdict_that_the_files_no_longer_give_is_said(failed_run: Path) -> None:
    forged = {"schema": 1, "outcome": "SUCCESS\x1b[2J", "blame": "nobody", "rule": "passed", "exit_code": 0}
    write(failed_run / "verdict.json", forged)
    done = explain("--workspace", str(failed_run))

    assert done.returncode == 0 and "\x1b" not in done.stdout
    assert "outcome: verdict.json says 'SUCCESS\\x1b[2J', the files now give 'ERROR'" in done.stdout.splitlines()


@pytest.mark.parametrize("content", ["link", "{", "[]"])
def test_an_unusable_verdict_is_said_and_not_followed(failed_run: Path, content: str) -> None:
    if content == "link":
        (failed_run / "verdict.json").symlink_to(failed_run / "run.json")
    else:
        write(failed_run / "verdict.json", content)

    assert told(failed_run)["notes"][0].startswith("verdict.json cannot be read: ")


def test_the_history_that_ci_yaml_names_is_asked(tmp_path: Path) -> None:
    config = tmp_path / "ci.yaml"
    write(config, CONFIG)
    for number in ("1", "2", "3"):
        change = {"number": number, "patchset": "1", "project": "p", "revision": SHA}
        root = make_failed_run(tmp_path / number, run_id=f"run-{number}", change=change)
        argv = [str(SUMMARIZE), "--workspace", str(root), "--config", str(config), "--record"]
        assert subprocess.run(argv, cwd="/", capture_output=True, timeout=60, check=False).returncode == 3
    data = told(root, "--config", str(config))

    assert data["rule"] == "fails-on-other-changes-too" and data["differs_from_verdict_json"] == []
    assert sorted(data["symptoms"][0]["elsewhere"]) == ["p 1 in run run-1", "p 2 in run run-2"]
    without = told(root)
    assert without["rule"] == "nobody-knows" and len(without["differs_from_verdict_json"]) >= 2


def test_a_history_that_fails_is_said_and_the_rest_told(failed_run: Path, tmp_path: Path) -> None:
    write(tmp_path / "ci.yaml", CONFIG + f"history: {{url: 'sqlite:///{tmp_path}/no/such/folder/history.sqlite'}}\n")
    (tmp_path / "no").touch()
    data = told(failed_run, "--config", str(tmp_path / "ci.yaml"))

    assert data["rule"] == "nobody-knows" and any("history was not asked" in note for note in data["notes"])


def test_a_configuration_that_is_not_there_is_exit_code_2(failed_run: Path) -> None:
    assert explain("--workspace", str(failed_run), "--config", str(failed_run / "none.yaml")).returncode == 2


def test_one_test_is_told_from_gate_to_gate(failed_run: Path) -> None:
    trial(failed_run, 1, "control", "fail")
    done = explain("--workspace", str(failed_run), "--test", BAD.partition("[")[0])
    lines = done.stdout.splitlines()

    assert done.returncode == 0 and BAD in lines
    assert "  the run: failed  (.)" in lines and "  control run 1, alone: failed  (trials/1-control)" in lines
    assert "  whose: ci: control run 1 shows it too, without the change" in lines
    assert not any(line.startswith("  not asked") for line in lines)
    (test,) = told(failed_run, "--test", GOOD)["tests"]
    assert test["id"] == GOOD and test["symptom"] is None


def test_names_of_tests_cannot_drive_a_terminal(failed_run: Path) -> None:
    evil = "a.b\x1b]0;owned\x07\r\u202e.test"
    write(failed_run / "logs/testrepository.subunit", stream({GOOD: "success", evil: "fail"}))
    done = explain("--workspace", str(failed_run))

    assert done.returncode == 0 and not set(done.stdout) & set("\x1b\x07\r\u202e")
    assert "a.b\\x1b]0;owned\\x07\\x0d\\u202e.test" in done.stdout


def test_only_a_terminal_gets_colour(failed_run: Path) -> None:
    master, slave = pty.openpty()
    argv = [str(OPERATE), "explain", "--workspace", str(failed_run)]
    with subprocess.Popen(argv, stdout=slave, stdin=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"}) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
    os.close(master)

    assert process.returncode == 0
    assert b"\x1b[1m" in shown and b"\x1b[2m  not asked" in shown
    assert "\x1b" not in explain("--workspace", str(failed_run)).stdout


def test_no_such_run_or_test_is_exit_code_2(tmp_path: Path, failed_run: Path) -> None:
    for flags in (("--workspace", str(tmp_path / "none")), ("--workspace", str(tmp_path / "logs"))):
        done = explain(*flags)
        assert done.returncode == 2 and "--workspace" in done.stderr and done.stdout == ""
    done = explain("--workspace", str(failed_run), "--test", "no.such\x1b[0m")
    assert done.returncode == 2 and "'no.such\\x1b[0m'" in done.stderr


def test_a_run_that_left_next_to_nothing_is_explained(tmp_path: Path) -> None:
    write(tmp_path / "run.json", "{")

    data = told(tmp_path)
    assert data["blame"] != "change" and data["rule"] == "facts-damaged" and data["symptoms"] == []


def test_help_has_an_example_and_loads_no_module_of_the_domain() -> None:
    code = (
        "import sys; from ci_scripts.entry_point import call; call('ci_scripts.operate', 'x', ['explain', '--help']); "
        "print([m for m in ('jinja2', 'subunit', 'rich', 'git', 'pydantic', 'ci_scripts.verdict') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    assert done.stdout.splitlines()[-1] == "[]"
    assert "Example: ci-operate explain" in done.stdout and "--test" in done.stdout
