"""ci-publish-logs, the installed command: what it publishes, how often, for whom, and what it refuses."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.publishing.made_runs import CHANGE, ESCAPES, FOLDER, SECRET, URL, VERDICT, files_below, made_run, write
from tests.publishing.publish_site import Site, text

MODULE = "ci_scripts.stages.publish_logs"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_run_is_published_and_its_address_is_told(site: Site) -> None:
    done = site.publish()
    assert (done.returncode, done.stdout) == (0, f"{URL}/{FOLDER}/\n"), done.stderr
    assert text(site.run / "console.txt.gz").startswith(f"12:00:00 begun\n{ESCAPES}password ***\n")
    assert text(site.run / "testr_results.html.gz") == "<!DOCTYPE html><title>tests</title>\n"
    assert (site.run / "report/index.html").read_text() == "<!DOCTYPE html><title>report</title><p>***</p>\n"
    record = site.record()
    assert record == json.loads((site.run / "published.json").read_text())
    assert {"schema", "url", "folder", "time", "files", "bytes", "left_out"} <= set(record)
    assert (record["url"], record["folder"], record["outcome"]) == (f"{URL}/{FOLDER}/", FOLDER, "SUCCESS")
    ours = [
        path for path in site.run.rglob("*") if path.is_file() and path.name not in ("index.html", "published.json")
    ]
    report = site.run / "report/index.html"
    assert record["files"] == len(ours) + 1
    assert record["bytes"] == sum(path.stat().st_size for path in [*ours, report])
    for path in site.published.rglob("*"):
        if ".publishing" not in path.parts:
            assert path.stat().st_mode & 0o7777 == (0o755 if path.is_dir() else 0o644) and not path.is_symlink()
            assert SECRET.encode() not in (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else b"")
    assert json.loads((site.root / "stages/publish-logs.json").read_text())["exit_code"] == 0
    assert site.hidden() == [] and json.loads(site.publish("--workspace", site.root, "--json").stdout) == record


def test_each_folder_has_a_page_that_leads_on(site: Site) -> None:
    assert site.publish().returncode == 0
    parts = FOLDER.split("/")
    for depth, part in enumerate(parts):
        page = site.published.joinpath(*parts[:depth], "index.html").read_text()
        assert f'href="./{part}/"' in page
    for folder in site.run.rglob("*"):
        if folder.is_dir():
            assert (folder / "index.html").is_file()
    page = (site.run / "index.html").read_text()
    assert 'href="./console.txt.gz"' in page and "UTC" in page and "<script" not in page
    assert '<a href="./report/">The report' in page
    assert "The report:" not in (site.run / "logs" / "index.html").read_text()


def test_a_second_time_nothing_is_replaced(site: Site) -> None:
    first = site.publish()
    before = {path: path.stat().st_mtime_ns for path in site.run.rglob("*")}
    record = site.record()
    (site.root / "published.json").unlink()
    (site.run.parent / "index.html").unlink()
    write(site.root / "verdict.json", {**VERDICT, "made": "later"})
    second = site.publish()
    assert (second.returncode, second.stdout) == (0, first.stdout) and "published already" in second.stderr
    assert site.record() == record and (site.run.parent / "index.html").exists()
    assert [path.name for path in site.run.parent.iterdir() if path.is_dir()] == ["1a2b3c"]
    assert {path: path.stat().st_mtime_ns for path in site.run.rglob("*")} == before


def test_another_verdict_or_run_of_the_same_name_gets_a_place_of_its_own(site: Site) -> None:
    addresses = [site.publish().stdout]
    write(site.root / "verdict.json", {**VERDICT, "outcome": "FAILURE"})
    addresses.append(site.publish().stdout)
    write(site.root / "tests.json", {"schema": 1, "tests": [1]})
    addresses.append(site.publish().stdout)
    assert len(set(addresses)) == 3
    assert [site.publish().stdout for _ in range(2)] == [addresses[2]] * 2
    assert json.loads((site.run / "verdict.json").read_text())["outcome"] == "SUCCESS"
    page = (site.run.parent / "index.html").read_text()
    assert page.count("1a2b3c") == 6 and ">FAILURE<" in page


def test_a_dry_run_writes_nothing(site: Site) -> None:
    before = {path: path.stat().st_mtime_ns for path in site.folder.rglob("*")}
    done = site.publish("--workspace", site.root, "--dry-run")
    assert done.returncode == 0 and f"{URL}/{FOLDER}/" in done.stdout
    assert any(line.split() == ["1,300", "logs/gate/shard0/neutron.log.txt.gz"] for line in done.stdout.splitlines())
    assert "left out: logs/testrepository.subunit" in done.stdout
    plan = json.loads(site.publish("--workspace", site.root, "--dry-run", "--json").stdout)
    assert {
        "name": "verdict.json",
        "from": "verdict.json",
        "size": (site.root / "verdict.json").stat().st_size,
    } in plan["files"]
    assert {path: path.stat().st_mtime_ns for path in site.folder.rglob("*")} == before


BAD: list[tuple[str, Callable[[Site], object], tuple[str, ...], str]] = [
    (
        "no logs",
        lambda site: site.config.write_text(site.config.read_text().partition("logs:")[0]),
        (),
        "section 'logs'",
    ),
    ("no secret", lambda site: (site.folder / "password").unlink(), (), "secret 'lab'"),
    ("no intake", lambda site: (site.root / "intake.json").unlink(), (), "a node may have written it"),
    ("no change", lambda site: made_run(site.root, judged=False, change=None), (), "No change to test is given"),
    ("no job", lambda site: made_run(site.root, job=None), (), "--job"),
    ("odd job", lambda site: None, ("--job", "../x"), "has no place"),
    ("odd pipeline", lambda site: None, ("--pipeline", "a b"), "has no place"),
    ("half a change", lambda site: None, ("--project", "x"), "goes with --change"),
    ("bad change", lambda site: None, ("--change", "x", "--project", "p"), "not a number"),
    ("force alone", lambda site: None, ("--force",), "--prune only"),
    ("no workspace", lambda site: site.root.rename(site.folder / "away"), (), "there is no run"),
    ("unknown option", lambda site: None, ("--what",), "No such option"),
]


@pytest.mark.parametrize(("prepare", "arguments", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_a_bad_option_or_configuration_is_2(site: Site, prepare: Any, arguments: tuple[str, ...], said: str) -> None:
    prepare(site)
    done = site.publish("--workspace", site.root, *arguments)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and files_below(site.published) == set()


def test_change_and_job_of_flags_and_triggers(site: Site) -> None:
    (site.root / "intake.json").unlink()
    own = ("--workspace", site.root, "--change", "7,1", "--project", "openstack/neutron")
    done = site.publish(*own, "--job", "mine", "--pipeline", "experimental")
    assert done.stdout == f"{URL}/07/7/1/experimental/mine/1a2b3c/\n", done.stderr
    assert (
        site.publish(*own, environment={"JOB_NAME": "folder/a job"}).stdout
        == f"{URL}/07/7/1/check/folder-a-job/1a2b3c/\n"
    )
    made_run(site.root)
    done = site.publish("--workspace", site.root, "--pipeline", "gate", "--job", "other")
    assert done.stdout == f"{URL}/45/12345/2/gate/other/1a2b3c/\n"


def test_without_a_verdict_all_is_text(site: Site) -> None:
    (site.root / "intake.json").unlink()
    (site.root / "verdict.json").unlink()
    trigger = {
        "GERRIT_CHANGE_NUMBER": "12345",
        "GERRIT_PATCHSET_NUMBER": "2",
        "GERRIT_PROJECT": "openstack/neutron",
        "GERRIT_BRANCH": "master",
        "GERRIT_REFSPEC": CHANGE["ref"],
        "GERRIT_EVENT_TYPE": "patchset-created",
        "JOB_NAME": "job",
    }
    done = site.publish(environment=trigger)
    assert done.returncode == 0, done.stderr
    run = site.published / site.record()["folder"]
    assert not (run / "report").exists() and not (run / "testr_results.html.gz").exists()
    page = (run / "index.html").read_text()
    assert "no verdict" in page and "The report:" not in page


def test_a_run_is_not_published_as_another_change_s(site: Site) -> None:
    write(site.root / "run.json", {"schema": 1, "run_id": VERDICT["run_id"], "change": CHANGE})
    for kept in (True, False):
        done = site.publish("--workspace", site.root, "--change", "7,1", "--project", "openstack/neutron")
        assert done.returncode == 2 and "is about change 12345,2 of openstack/neutron, not 7,1" in done.stderr
        assert files_below(site.published) == set()
        if kept:
            (site.root / "intake.json").unlink()


def test_help_loads_no_module_of_the_domain() -> None:
    code = (
        f"import sys; from ci_scripts.entry_point import call; call({MODULE!r}, 'x', ['--help']); "
        "names = ('jinja2', 'requests', 'rich', 'git', 'pydantic', 'ci_scripts.publishing', 'ci_scripts.change'); "
        "print([m for m in names if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--prune" in done.stdout and "--change" in done.stdout
