"""What must hold for every job, read from its XML: no secret on a node, nothing of a change on the trusted side."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import yaml

from ci_scripts.settings_model import Gate, Verdict
from tests.jenkins_jobs.rendering import BIN, DEFINITIONS, ROOT, Job

# What binds a credential, in a freestyle job's XML and in a Pipeline's words.
BINDINGS = re.compile(r"credential|password|sshagent|ssh-agent|SecretBuildWrapper", re.I)
# What runs code of a change, or a file that a node wrote.
RUNS_CODE = re.compile(
    r"ci-prepare-gate|ci-run-gate|ci-stop-gate|ci-install-driver|ci-start-gate|ci-run-tempest|ci-run-unit-tests|ci-run-job"
    r"|environment\.sh|reproduce\.sh|\bgit\b|\bcheckout\b|(?:^|\s)(?:\.|source|eval|sh|bash) [^-]*from-node"
)
SECONDS = 60
HELP: dict[tuple[str, ...], str] = {}


def _words(job: Job) -> str:
    """What the job does: its steps, or its script without the comments."""
    lines = (job.groovy if job.is_pipeline else "\n".join(job.steps)).splitlines()
    return "\n".join(line for line in lines if not re.match(r"\s*(//|#)", line))


def _without_description(job: Job) -> str:
    return re.sub(r"<description>.*?</description>", "", job.text, flags=re.DOTALL)


def _of(jobs: list[Job], *, trusted: bool) -> list[Job]:
    found = [job for job in jobs if job.is_trusted is trusted]
    assert found
    return found


def test_no_job_that_runs_a_change_has_a_credential(all_jobs: list[Job]) -> None:
    for job in _of(all_jobs, trusted=False):
        assert BINDINGS.findall(_without_description(job)) == [], job.name
        words = _words(job)
        assert not re.search(r"ci-publish-logs|ci-report-to-gerrit|ci-operate|--record|--from\b", words), job.name


def test_the_trusted_jobs_run_no_code_of_a_change_and_check_nothing_out(all_jobs: list[Job]) -> None:
    for job in _of(all_jobs, trusted=True):
        assert RUNS_CODE.findall(_words(job)) == [], job.name
        if not job.is_pipeline:
            scm = job.xml.find("scm")
            assert scm is not None and scm.get("class") == "hudson.scm.NullSCM"


def test_both_sides_never_share_a_node(jobs_by_project: dict[str, list[Job]]) -> None:
    for jobs in jobs_by_project.values():
        nodes = {label for job in _of(jobs, trusted=False) for label in job.labels()}
        trusted = {label for job in _of(jobs, trusted=True) for label in job.labels()}
        assert nodes and trusted and not nodes & trusted
        # One plain label each: an expression could hold the other side.
        assert all(re.fullmatch(r"[\w-]+", label) for label in nodes | trusted)
        assert all(len(job.labels()) == 1 for job in jobs)
        for job in jobs:
            assert job.xml.findtext("canRoam") in (None, "false")


def test_the_files_of_one_build_of_one_job_are_taken_and_only_what_is_raw(all_jobs: list[Job]) -> None:
    copying = 0
    for job in _of(all_jobs, trusted=True):
        text = _without_description(job)
        filters = re.findall(r"<filter>(.*?)</filter>|filter: '(.*?)'", text)
        for found in filters:
            copying += 1
            assert (
                "".join(found)
                == "run.json,stages/*.json,logs/**,trials/*/run.json,trials/*/stages/*.json,trials/*/logs/**"
            )
            # A fixed name: not one that a parameter gives.
            (project,) = re.findall(r"<project>(.*?)</project>|projectName: '(.*?)'", text)
            assert re.fullmatch(r"[\w.-]+", "".join(project))
            assert "<buildNumber>$TEST_BUILD</buildNumber>" in text or "specific(params.TEST_BUILD)" in text
    assert copying


def test_the_trusted_job_alone_may_copy(all_jobs: list[Job]) -> None:
    names = {job.name for job in all_jobs}
    for job in _of(all_jobs, trusted=False):
        allowed = [found.text for found in job.xml.iterfind(".//projectNameList/string")]
        assert allowed == [f"{job.name}-report"]
        assert allowed[0] in names or not {f"{job.name}-report"} & names
        started = re.findall(r"<projects>(.*?)</projects>|job: '(.*?)',\s+wait: false", job.text)
        assert ["".join(one) for one in started] == allowed, job.name


def test_gerrit_trigger_is_silent_and_votes_never(all_jobs: list[Job]) -> None:
    triggers = [found for job in all_jobs for found in job.xml.iter() if found.tag.endswith(".GerritTrigger")]
    assert triggers
    for trigger in triggers:
        assert trigger.findtext("silentMode") == trigger.findtext("silentStartMode") == "true"
        votes = trigger.find("skipVote")
        assert votes is not None and {found.text for found in votes} == {"true"} and len(votes) == 5
        assert trigger.findtext("notificationLevel") == "NONE"
        assert trigger.findtext("buildCancellationPolicy/enabled") == "true"
        # True would let a recheck stop the build of the same patch set.
        assert trigger.findtext("buildCancellationPolicy/abortNewPatchsets") == "false"


def test_no_trusted_job_is_started_by_gerrit(all_jobs: list[Job]) -> None:
    for job in _of(all_jobs, trusted=True):
        assert "GerritTrigger" not in job.text


def test_every_job_has_a_time_out_time_stamps_and_an_end_to_its_builds(all_jobs: list[Job]) -> None:
    for job in all_jobs:
        if job.is_pipeline:
            minutes = [int(found) for found in re.findall(r"timeout\(time: (\d+), unit: 'MINUTES'\)", job.groovy)]
            assert "timestamps {" in job.groovy
        else:
            minutes = [int(found.text or 0) for found in job.xml.iter("timeoutMinutes")]
            assert job.xml.find(".//hudson.plugins.build__timeout.operations.AbortOperation") is not None
            assert job.xml.find(".//hudson.plugins.timestamper.TimestamperBuildWrapper") is not None
        assert len(minutes) == 1 and minutes[0] > 0, job.name
        # What ci.yaml allows without a word of the operator, and time for git and packages.
        assert job.is_trusted or minutes[0] >= Gate().timeout_minutes + Verdict().timeout_minutes + 30
        assert int(job.xml.findtext(".//numToKeep") or 0) > 0


def test_one_build_at_a_time_for_a_controller(all_jobs: list[Job]) -> None:
    for job in _of(all_jobs, trusted=False):
        locks = re.findall(r"<resourceNames>(.*?)</resourceNames>|lock\(resource: '(.*?)'\)", job.text)
        assert len(locks) == 1, job.name
        assert (job.groovy + job.text).count("DisableConcurrentBuilds") or "<concurrentBuild>false<" in job.text


def test_no_word_of_a_trigger_is_put_into_a_script(all_jobs: list[Job]) -> None:
    """They are read from the environment, by programs that check them; a shell only asks whether they are empty."""
    for job in all_jobs:
        for line in _words(job).splitlines():
            if re.search(r"(?<!CI_)(?:GERRIT|ZUUL)_", line):
                assert re.search(
                    r'\[ -z "\$\{GERRIT_CHANGE_NUMBER:-\}\$\{ZUUL_CHANGE:-\}" \]|boolean named = ', line
                ), line


def test_the_scripts_are_sound(all_jobs: list[Job], tmp_path: Path) -> None:
    texts = {script for job in all_jobs for script in job.scripts}
    files = []
    for number, text in enumerate(sorted(texts)):
        files.append(tmp_path / f"step-{number}.sh")
        files[-1].write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}")
    # SC2050: a value that is filled in is a constant to shellcheck. SC2154: set by Jenkins.
    argv = [str(BIN / "shellcheck"), "--severity=warning", "--exclude=SC2050,SC2154", *map(str, files)]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout


def _help(*command: str) -> str:
    if command not in HELP:
        argv = [str(BIN / command[0]), *command[1:], "--help"]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
        assert done.returncode == 0, done.stdout
        HELP[command] = done.stdout
    return HELP[command]


def test_every_command_that_is_called_exists_with_its_options(all_jobs: list[Job]) -> None:
    seen = {" ".join(call): call for job in all_jobs for call in job.commands()}
    for line, call in seen.items():
        verb = [word for word in call[1:2] if call[0] == "ci-operate"]
        shown = _help(call[0], *verb)
        missing = [word for word in call if word.startswith("--") and not re.search(rf"{word}(?![\w-])", shown)]
        assert not missing, f"{line}: {missing}"
    assert {call[0] for call in seen.values()} == {
        "ci-prepare-gate",
        "ci-run-gate",
        "ci-run-unit-tests",
        "ci-stop-gate",
        "ci-summarize-results",
        "ci-publish-logs",
        "ci-report-to-gerrit",
        "ci-operate",
    }


def test_both_forms_call_the_same_commands(pipeline: dict[str, Job], freestyle: dict[str, Job]) -> None:
    """In the same order, with the same options."""
    both = sorted(set(pipeline) & set(freestyle))
    assert len(both) >= 6
    for name in both:
        calls = [call for call in freestyle[name].commands() if call != ["ci-stop-gate"]]
        assert [call for call in pipeline[name].commands() if call != ["ci-stop-gate"]] == calls, name


def test_every_variable_of_the_templates_has_a_default() -> None:
    (defaults,) = (entry["defaults"] for entry in yaml.safe_load((DEFINITIONS / "defaults.yaml").read_text()))
    texts = [(DEFINITIONS / name).read_text() for name in ("templates.yaml", "templates-freestyle.yaml")]
    used = {found for text in texts for found in re.findall(r"(?<!\$)\{(?:obj:|\{ )?([a-z_]+)(?: \})?\}", text)}
    assert used - set(defaults) - {"name"} == set()
    example = yaml.safe_load((ROOT / "examples" / "jenkins" / "project.yaml").read_text())[0]["project"]
    assert set(example) - set(defaults) - {"jobs"} == set()
