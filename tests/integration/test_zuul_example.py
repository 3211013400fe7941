"""examples/zuul: what Zuul and Ansible say about it, and the whole way from a build to a comment with its playbooks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import re2
import yaml

from ci_scripts.recheck import asks_for_recheck
from ci_scripts.settings import load_settings
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.fake_openstack import CLASS, PROJECT, FakeSite, behaving, driver_files
from tests.fakes.trusted_runs import own_messages, own_summaries
from tests.integration.zuul_site import BIN, CONFIG, EXAMPLE, JOBS, PLAYBOOKS, ZuulBuild, ansible_environment

DEFINITIONS = sorted(EXAMPLE.glob("*/zuul.d/*.yaml"))
SCHEMA = Path(__file__).with_name("zuul_schema.py")
COMMENTS = (
    "recheck",
    "Recheck please",
    "recheck: the lab was down",
    "run-example-networks",
    "run-example-networks-2",
    "rechecking",
    "please recheck",
    "recheck-arm",
    "Patch Set 2:\n\nrecheck",
    "Patch Set 2: Code-Review+1\n\nrecheck",
    "Patch Set 2:\n\n(1 comment)\n\nrecheck",
    "Patch Set 2: Verified-1\n\nBuild failed (check pipeline). To run it again, comment recheck",
    "",
)


@pytest.fixture(scope="module")
def zuul_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The Python of an environment with the real zuul: ZUUL_ENVIRONMENT names it, else it is made and deleted here."""
    given = os.environ.get("ZUUL_ENVIRONMENT")
    if given:
        yield Path(given) / "bin" / "python"
        return
    folder = tmp_path_factory.mktemp("zuul") / "environment"
    uv = str(BIN / "uv")
    try:
        for argv in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(folder), "zuul>=14"],
        ):
            subprocess.run(argv, check=True, capture_output=True, text=True, timeout=120)
        yield folder / "bin" / "python"
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = getattr(error, "stderr", None) or "it takes more than two minutes"
        last = str(said).strip().splitlines()[-1]
        pytest.skip(f"Zuul cannot be installed here (ZUUL_ENVIRONMENT may name an environment that has it): {last}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def schema_says(python: Path, tenant: Path, *definitions: Path) -> str:
    argv = [str(python), str(SCHEMA), str(tenant), *map(str, definitions)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in (0, 1) and not done.stderr.startswith("Traceback"), done.stderr
    return done.stdout.strip()


def test_zuul_takes_the_files(zuul_python: Path, tmp_path: Path) -> None:
    assert schema_says(zuul_python, EXAMPLE / "main.yaml", *DEFINITIONS) == ""
    # What it would say of a mistake.
    wrong = tmp_path / "jobs.yaml"
    wrong.write_text("- job: {name: a, run-playbook: x.yaml}\n- pipeline: {name: check, trigger: {}}\n")
    said = schema_says(zuul_python, EXAMPLE / "main.yaml", wrong)
    assert "run-playbook" in said and "manager" in said


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_ansible_takes_the_playbooks(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "--syntax-check", "-i", "node,", str(EXAMPLE / PLAYBOOKS[name])],
        cwd=tmp_path,
        env={**os.environ, **ansible_environment(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_jobs_name_the_playbooks_that_are_there() -> None:
    for project in (CONFIG, JOBS):
        named = re.findall(r"playbooks/[\w-]+\.yaml", (EXAMPLE / project / "zuul.d" / "jobs.yaml").read_text())
        assert sorted(named) == sorted(
            str(path.relative_to(EXAMPLE / project)) for path in (EXAMPLE / project / "playbooks").iterdir()
        )


def test_only_the_config_project_has_secrets() -> None:
    text = "".join(path.read_text() for path in (EXAMPLE / JOBS).rglob("*.yaml"))
    assert "secret" not in text
    (base,) = [entry["job"] for entry in _entries("ci-config/zuul.d/jobs.yaml") if "job" in entry]
    assert base["post-run"] == "playbooks/report.yaml" and base["abstract"] is True
    (play,) = yaml.safe_load((EXAMPLE / PLAYBOOKS["report"]).read_text())
    # It talks to no node.
    assert play["hosts"] == "localhost" and play["gather_facts"] is False


def test_nothing_is_reported_by_zuul_itself() -> None:
    (entry,) = _entries("ci-config/zuul.d/pipelines.yaml")
    reporters = {"start", "enqueue", "success", "failure", "merge-conflict", "no-jobs", "dequeue", "config-error"}
    assert not reporters & set(entry["pipeline"])
    assert load_settings(EXAMPLE / CONFIG / "ci/ci.yaml", environment={"HOME": "/"}).voting.mode == "comment-only"


@pytest.mark.parametrize("comment", COMMENTS)
def test_zuul_is_triggered_by_what_the_commands_take_for_a_recheck(comment: str) -> None:
    (entry,) = _entries("ci-config/zuul.d/pipelines.yaml")
    (pattern,) = [event["comment"] for event in entry["pipeline"]["trigger"]["opendev"] if "comment" in event]
    settings = load_settings(EXAMPLE / CONFIG / "ci/ci.yaml", environment={"HOME": "/"})
    expected = asks_for_recheck(comment, (settings.recheck_name,))
    assert (re2.search(pattern, comment) is not None) is expected


def test_the_time_of_the_job_is_longer_than_that_of_the_gate() -> None:
    settings = load_settings(EXAMPLE / CONFIG / "ci/ci.yaml", environment={"HOME": "/"})
    (base,) = [entry["job"] for entry in _entries("ci-config/zuul.d/jobs.yaml") if "job" in entry]
    assert base["timeout"] >= 60 * (settings.gate.timeout_minutes + settings.verdict.timeout_minutes)


def _entries(name: str) -> list[dict[str, object]]:
    class Loader(yaml.SafeLoader):
        """Zuul's own tag for what is encrypted is a list of texts."""

    Loader.add_constructor("!encrypted/pkcs1-oaep", lambda loader, node: loader.construct_sequence(node))
    return yaml.load((EXAMPLE / name).read_text(), Loader)


@pytest.fixture
def gerrit() -> Iterator[FakeGerrit]:
    with FakeGerrit() as server:
        server.add_project(PROJECT)
        yield server


@pytest.fixture
def build(fake_site: FakeSite, gerrit: FakeGerrit) -> ZuulBuild:
    return ZuulBuild(fake_site, gerrit, gerrit.push(PROJECT))


def play_all(build: ZuulBuild, *names: str) -> dict[str, int]:
    codes = {}
    for name in names:
        done = build.play(name)
        codes[name] = done.returncode
        assert done.returncode in (0, 2), done.stdout + done.stderr
        assert build.gerrit.password("demo-ci") not in done.stdout + done.stderr
    return codes


def test_from_a_build_to_a_comment(build: ZuulBuild, gerrit: FakeGerrit) -> None:
    assert play_all(build, "pre", "run", "post", "report") == dict.fromkeys(PLAYBOOKS, 0)
    (summary,) = own_summaries(gerrit, build.number)
    (job,) = summary.jobs
    assert summary.green and (job.name, job.result) == ("example-networks-tempest", "SUCCESS")
    assert job.url == json.loads(build.result.read_text())["zuul"]["log_url"]
    published = list(build.logs.rglob("published.json"))
    assert len(published) == 1 and (published[0].parent / "report/index.html").is_file()
    # Nothing of the secrets is on the node.
    for path in build.home.rglob("*"):
        if path.is_file() and "environments" not in path.parts:
            assert gerrit.password("demo-ci").encode() not in path.read_bytes()

    # The same files again: nothing is said twice.
    assert play_all(build, "report") == {"report": 0}
    assert len(own_messages(gerrit, build.number)) == 1


def test_a_change_to_blame_fails_the_build_and_the_comment_says_so(fake_site: FakeSite, gerrit: FakeGerrit) -> None:
    fake_site.tests({f"{CLASS}.test_good": "pass", f"{CLASS}.test_bad": "driver"})
    build = ZuulBuild(fake_site, gerrit, gerrit.push(PROJECT))
    config = json.loads(fake_site.config.read_text())
    fake_site.use_driver(driver_files(), behaving(test_bad="fail"))
    config["driver"] = json.loads(fake_site.config.read_text())["driver"]
    (build.folder / CONFIG / "ci/ci.yaml").write_text(json.dumps(config))

    assert play_all(build, "pre", "run", "post", "report") == {"pre": 0, "run": 2, "post": 0, "report": 0}
    (summary,) = own_summaries(gerrit, build.number)
    assert not summary.green and [job.result for job in summary.jobs] == ["FAILURE"]
    assert gerrit.changes[build.number].vote_of("Verified", "demo-ci") == 0


def test_a_node_that_gave_nothing_is_no_change_s_fault(build: ZuulBuild, gerrit: FakeGerrit) -> None:
    assert play_all(build, "report") == {"report": 0}
    (summary,) = own_summaries(gerrit, build.number)
    assert [job.result for job in summary.jobs] == ["NODE_FAILURE"]


def test_a_build_that_zuul_tries_again_is_not_reported(build: ZuulBuild, gerrit: FakeGerrit) -> None:
    done = build.play("report", "--extra-vars", "zuul_will_retry=true")
    assert done.returncode == 0, done.stdout
    assert gerrit.requests == []
