"""ci-publish-logs to another machine: rsync through a real sshd on loopback."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ci_scripts.entry_point import call
from ci_scripts.publishing.rsync import Rsync
from ci_scripts.workspace import utc_text
from tests.integration.ssh_server import SshServer, missing, ssh_server
from tests.publishing.made_runs import FOLDER, INTAKE, SECRET, VERDICT, files_below, made_config, made_run, write

MODULE = "ci_scripts.stages.publish_logs"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("sshd")
    (folder / "published").mkdir()
    with ssh_server(folder / "server", folder / "published") as server:
        yield server


class Site:
    """The folder on the server, a configuration that publishes there, and the command."""

    def __init__(self, server: SshServer, folder: Path, *, only_rsync: bool) -> None:
        name = folder.name
        self.published = server.folder.parent / "published" / name
        self.published.mkdir()
        # The restricted account sees its own folder as the root.
        path = f"/{name}" if only_rsync else str(self.published)
        self.server = server
        key = server.restricted if only_rsync else server.key
        self.config = made_config(folder, f"{server.user}@127.0.0.1:{path}", self.more(key))

    def more(self, key: Path, **changed: object) -> str:
        values = {
            "ssh_port": self.server.port,
            "ssh_key_file": key,
            "ssh_known_hosts": self.server.known_hosts,
            **changed,
        }
        return "".join(
            f"  {name}: {json.dumps(str(value) if isinstance(value, Path) else value)}\n"
            for name, value in values.items()
        )

    def publish(self, *arguments: str | Path) -> int:
        return call(MODULE, "ci-publish-logs", ["--config", str(self.config), *map(str, arguments)])


@pytest.fixture
def site(request: pytest.FixtureRequest, server: SshServer, tmp_path: Path) -> Iterator[Site]:
    """By default with an account that may run rsync and nothing else."""
    made = Site(server, tmp_path, only_rsync=getattr(request, "param", "only rsync") == "only rsync")
    yield made
    shutil.rmtree(made.published)


@pytest.mark.parametrize("site", ["shell", "only rsync"], indirect=True)
def test_a_run_is_published_whole_and_once(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made_run(tmp_path / "run")
    assert site.publish("--workspace", root) == 0
    first = files_below(site.published)
    run = site.published / FOLDER
    record = json.loads((run / "published.json").read_text())
    assert record["complete"] is True and record == json.loads((root / "published.json").read_text())
    assert {
        f"{FOLDER}/{name}" for name in ("console.txt.gz", "index.html", "logs/index.html", "report/index.html")
    } <= first
    assert not [name for name in first if "/." in f"/{name}"]
    assert (run / "console.txt.gz").stat().st_mode & 0o777 == 0o644 and run.stat().st_mode & 0o777 == 0o755
    for depth in range(6):
        page = site.published.joinpath(*FOLDER.split("/")[:depth], "index.html").read_text()
        assert f'href="./{FOLDER.split("/")[depth]}/"' in page
    times = {name: (site.published / name).stat().st_mtime_ns for name in first if name.startswith(FOLDER)}

    assert site.publish("--workspace", root) == 0
    assert files_below(site.published) == first
    assert {name: (site.published / name).stat().st_mtime_ns for name in times} == times
    assert capsys.readouterr().out.splitlines()[-1] == record["url"]
    assert not list(root.glob(".publishing/*/run"))


def test_another_verdict_and_another_run_get_their_own_place(site: Site, tmp_path: Path) -> None:
    root = made_run(tmp_path / "run")
    assert site.publish("--workspace", root) == 0
    before = (site.published / FOLDER / "verdict.json").read_text()
    write(root / "verdict.json", {**VERDICT, "outcome": "FAILURE"})
    assert site.publish("--workspace", root) == 0
    other = json.loads((root / "published.json").read_text())["folder"]

    assert other != FOLDER and other.startswith(f"{FOLDER}-")
    assert (site.published / FOLDER / "verdict.json").read_text() == before
    page = (site.published / FOLDER).with_name("index.html").read_text()
    assert other.rpartition("/")[2] in page and ">SUCCESS<" in page and ">FAILURE<" in page


def test_half_an_upload_is_linked_nowhere_and_is_gone_on_with(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made_run(tmp_path / "run")
    pushes, push = [], Rsync.push

    def dying(self: Rsync, *arguments: object, **options: object) -> None:
        pushes.append(1)
        if len(pushes) == 3:
            os._exit(9)
        push(self, *arguments, **options)  # type: ignore[arg-type]

    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Rsync, "push", dying)
        site.publish("--workspace", root)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    run = site.published / FOLDER
    assert (run / "console.txt.gz").exists() and not (run / "index.html").exists()
    assert not json.loads((run / "published.json").read_text())["complete"]
    assert [
        name for name in files_below(site.published) if name.endswith("index.html") and not name.startswith(FOLDER)
    ] == []
    stray = write(run / "logs/of-the-attempt-before.txt.gz", "x")

    assert site.publish("--workspace", root) == 0
    assert json.loads((root / "published.json").read_text())["folder"] == FOLDER
    assert (run / "index.html").exists() and not stray.exists()
    assert [path.name for path in (root / ".publishing").iterdir()] == ["lock"]


def test_two_publishers_of_one_run(site: Site, tmp_path: Path) -> None:
    roots = [made_run(tmp_path / name) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda root: _in_process(lambda: site.publish("--workspace", root)), roots))
    assert done == [0, 0]
    assert {json.loads((root / "published.json").read_text())["folder"] for root in roots} == {FOLDER}
    assert [path.name for path in (site.published / FOLDER).parent.iterdir() if path.is_dir()] == ["1a2b3c"]


def test_runs_of_several_publishers_are_all_listed(site: Site, tmp_path: Path) -> None:
    ids = [f"20260131T120000Z-00000{number}" for number in range(4)]
    roots = [made_run(tmp_path / name, run_id=name) for name in ids]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda root: _in_process(lambda: site.publish("--workspace", root)), roots)) == [0] * 4
    page = (site.published / FOLDER).with_name("index.html").read_text()
    assert all(f'href="./{name[-6:]}/"' in page for name in ids)


def _in_process(do: Callable[[], int]) -> int:
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = do()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_old_runs_go_and_nothing_else(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for change, run_id, days in (("12345", "a", 40), ("12345", "b", 1), ("77", "c", 40), ("78", "d", 33)):
        folder = {**INTAKE["change"], "number": change, "ref": f"refs/changes/{change[-2:]}/{change}/2"}
        root = made_run(tmp_path / run_id, run_id=f"20260131T120000Z-00000{run_id}", change=folder)
        assert site.publish("--workspace", root) == 0
        path = site.published / json.loads((root / "published.json").read_text())["folder"] / "published.json"
        moment = utc_text(datetime.now(UTC) - timedelta(days=days))
        path.write_text(json.dumps({**json.loads(path.read_text()), "time": moment}))
    outside = write(tmp_path / "outside/file", "x")
    old = site.published / "45/12345/2/check/example-tempest/00000a"
    (old / "logs/link").symlink_to(outside.parent)
    write(site.published / "78/78/somebody's", "x")
    capsys.readouterr()

    assert site.publish("--prune", "--dry-run", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["would_be_deleted"]) == 3 and old.exists()
    assert site.publish("--prune", "--json") == 0
    gone = [entry["folder"] for entry in json.loads(capsys.readouterr().out)["deleted"]]
    assert sorted(path.rpartition("/")[2] for path in gone) == ["00000a", "00000c", "00000d"]
    assert not old.exists() and outside.exists()
    assert not (site.published / "77").exists()
    assert "78/somebody's" in files_below(site.published / "78")
    page = (site.published / FOLDER).with_name("index.html").read_text()
    assert "00000b" in page and "00000a" not in page
    root_page = (site.published / "index.html").read_text()
    assert 'href="./45/"' in root_page and 'href="./77/"' not in root_page


def test_another_host_key_is_not_taken(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = write(tmp_path / "known", site.server.known_hosts.read_text().replace("AAAAI", "AAAAJ"))
    site.config.write_text(site.config.read_text().replace(str(site.server.known_hosts), str(other)))
    assert site.publish("--workspace", made_run(tmp_path / "run")) == 5
    error = capsys.readouterr().err
    assert "could not be read" in error and "ssh_known_hosts" in error and SECRET not in error
    assert files_below(site.published) == set()


def test_a_folder_that_is_not_there_and_a_server_that_is_down(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, text = made_run(tmp_path / "run"), site.config.read_text()
    site.config.write_text(text.replace(f"/{tmp_path.name}\n", f"/{tmp_path.name}/not/there\n"))
    assert site.publish("--workspace", root) == 5
    assert "see that the folder is there" in capsys.readouterr().err
    site.config.write_text(text.replace(f"ssh_port: {site.server.port}", "ssh_port: 1"))
    assert site.publish("--workspace", root) == 5
    assert not (root / "published.json").exists()
    assert json.loads((root / "stages/publish-logs.json").read_text())["exit_code"] == 5
