"""What doctor looks at, one thing at a time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ci_scripts.operate import examination
from ci_scripts.operate.examination import Finding, Site
from ci_scripts.settings import load_settings
from tests.repositories import git

CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
cache_dir: cache
"""
PACKAGE = "driver: {project: example/networking-example, package: networking-example}\n"
COMMIT = "0123456789" * 4


def site(folder: Path, text: str, **environment: str) -> Site:
    (folder / "ci.yaml").write_text(CONFIG + text)
    settings = load_settings(folder / "ci.yaml", environment=environment)
    return Site(settings, {"PATH": "/usr/bin:/bin"}, {"PATH": "/usr/bin:/bin", **environment})


@pytest.fixture
def pins() -> Iterator[str]:
    class Pins(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/pins" else 404)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pins)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_commit_is_not_looked_for_among_the_refs(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "driver")
    driver = "driver: {project: example/p, source: %s, ref: %s}\n"
    (found,) = examination._git_servers(site(tmp_path, driver % ("./driver", COMMIT)))
    assert found.good
    assert found.text == f"{tmp_path}/driver answers; whether it has commit {COMMIT} only a fetch can tell"
    (found,) = examination._git_servers(site(tmp_path, driver % ("./elsewhere", COMMIT)))
    assert not found.good


def test_git_asks_no_question(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "prompt $GIT_TERMINAL_PROMPT agent $SSH_AUTH_SOCK"\nexit 1\n')
    program.chmod(0o755)
    driver = "driver: {project: example/p, source: 'https://git.example.org/p'}\n"
    path = f"{program.parent}:/usr/bin:/bin"
    (found,) = examination._git_servers(site(tmp_path, driver, PATH=path, SSH_AUTH_SOCK="/agent"))
    assert not found.good
    assert found.text == "https://git.example.org/p: prompt 0 agent /agent"


def test_the_disk_of_jenkins_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = {finding.what: finding for finding in examination._disk(site(tmp_path, PACKAGE, WORKSPACE=str(tmp_path)))}
    assert found["disk for workspace"].text.endswith(f"GiB free at {tmp_path}")
    bad, _ = examination._disk(site(tmp_path, PACKAGE, WORKSPACE=str(tmp_path / "file")))
    assert not bad.good
    assert "not a folder" in bad.text


def test_programs_are_found_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "check").write_text("#!/bin/sh\n")
    (tmp_path / "tools" / "check").chmod(0o755)
    entries = "checks: [{name: here, command: [tools/check]}, {name: gone, command: [./check]}]\n"
    here, gone = examination._commands(site(tmp_path, PACKAGE + entries))
    assert here == Finding("checks.here", True, str(tmp_path / "tools" / "check"))
    assert not gone.good


def test_constraints_are_asked_for(tmp_path: Path, pins: str) -> None:
    entries = f"gate: {{constraints: {pins}/pins}}\nbranches: {{stable/x: {{constraints: {pins}/none}}}}\n"
    good, bad = examination._constraints(site(tmp_path, PACKAGE + entries))
    assert good == Finding("gate.constraints", True, f"{pins}/pins answers 200")
    assert (bad.what, bad.good, bad.text) == ("branches.stable/x.constraints", False, f"{pins}/none answers 404")
    (down,) = examination._constraints(site(tmp_path, PACKAGE + "gate: {constraints: 'http://127.0.0.1:1/pins'}\n"))
    assert not down.good
    (tmp_path / "pins.txt").write_text("")
    assert list(examination._constraints(site(tmp_path, PACKAGE + "gate: {constraints: pins.txt}\n"))) == []


def test_the_database_server_is_asked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        entry = f"gate: {{database: 'mysql+pymysql://root:hunter2@127.0.0.1:{port}/'}}\n"
        (up,) = examination._database(site(tmp_path, PACKAGE + entry))
    (down,) = examination._database(site(tmp_path, PACKAGE + entry))
    assert up == Finding("gate.database", True, f"127.0.0.1:{port} accepts connections")
    assert not down.good
    assert "hunter2" not in down.text
    entry = "gate: {database: 'mysql+pymysql://root:hunter2@127.0.0.1:x/'}\n"
    (odd,) = examination._database(site(tmp_path, PACKAGE + entry))
    assert (odd.good, "hunter2" in odd.text) == (False, False)
    assert list(examination._database(site(tmp_path, PACKAGE))) == []
