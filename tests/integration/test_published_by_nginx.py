"""What is published, as a browser gets it from a real nginx and a real Apache with the sample configurations."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from ci_scripts.entry_point import call
from tests.integration.web_servers import apache, nginx, program
from tests.publishing.made_runs import ESCAPES, FOLDER, HOSTILE, SECRET, made_config, made_run, write

SERVERS = {"nginx": nginx, "apache2": apache}
PACKAGES = {"nginx": "nginx-light", "apache2": "apache2-bin"}
TEXT, PAGE, DATA = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/json"
HOSTILE_NAMES = (
    "index.html",
    "x.html",
    "x.svg",
    "x.php",
    "x.shtml",
    "x.cgi",
    "web.config",
    "page.html.gz",
    "x.xhtml.log",
)

STRAY = ("put-there.html", "put-there.php", "put-there.shtml", "put-there.svg", "index.html.txt", "testr_results.html")


@pytest.fixture(scope="module", params=SERVERS)
def site(request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """The address of the published run, and the folder it lies in; a node had put in what it could think of."""
    name = request.param
    if program(name) is None:
        pytest.skip(f"{name} is not installed (package {PACKAGES[name]})")
    # Not below pytest's own folder, which only root may enter: Apache runs as another user then.
    folder = Path(tempfile.mkdtemp(prefix=f"ci-{name}-"))
    folder.chmod(0o755)
    published = folder / "published"
    published.mkdir(mode=0o755)
    try:
        run = _published(folder, published)
        with SERVERS[name](published, folder / "server") as url:
            yield f"{url}/{FOLDER}", run
    finally:
        shutil.rmtree(folder)


def _published(folder: Path, published: Path) -> Path:
    root = made_run(folder / "run")
    for hostile in HOSTILE_NAMES:
        content: str | bytes = gzip.compress(HOSTILE.encode()) if hostile.endswith(".gz") else HOSTILE
        write(root / "logs/hostile" / hostile, content)
    write(root / "local.conf", "[[local|localrc]]\n")
    config = made_config(folder, str(published))
    arguments = ["--config", str(config), "--workspace", str(root)]
    assert call("ci_scripts.stages.publish_logs", "ci-publish-logs", arguments) == 0
    run = published / FOLDER
    for name in STRAY:
        write(run / name, HOSTILE)
    write(run / ".htaccess", "Options +FollowSymLinks\n")
    (run / "passwd.txt").symlink_to("/etc/passwd")
    (run / "etc").symlink_to("/etc")
    return run


def get(url: str) -> requests.Response:
    answer = requests.get(url, timeout=20, allow_redirects=False)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "script" not in answer.headers["Content-Security-Policy"]
    return answer


@pytest.mark.parametrize(
    ("name", "kind", "encoding", "begins"),
    [
        ("console.txt.gz", TEXT, "gzip", f"12:00:00 begun\n{ESCAPES}password ***\n"),
        ("tempest.txt.gz", TEXT, "gzip", "tempest says\n"),
        ("logs/gate/shard0/neutron.log.txt.gz", TEXT, "gzip", "INFO neutron\n"),
        ("local.conf", TEXT, None, "[[local|localrc]]"),
        ("testr_results.html.gz", PAGE, "gzip", "<!DOCTYPE html><title>tests"),
        ("report/", PAGE, None, "<!DOCTYPE html><title>report</title><p>***"),
        ("", PAGE, None, "<!DOCTYPE html>"),
        ("logs/gate/", PAGE, None, "<!DOCTYPE html>"),
        ("../../../../../../", PAGE, None, "<!DOCTYPE html>"),
        ("verdict.json", DATA, None, '{"schema": 1'),
        ("published.json", DATA, None, "{"),
        ("tests.json.gz", DATA, "gzip", '{"schema": 1'),
        ("junit.xml.gz", TEXT, "gzip", "<testsuites/>"),
    ],
)
def test_a_browser_shows_it(site: tuple[str, Path], name: str, kind: str, encoding: str | None, begins: str) -> None:
    answer = get(f"{site[0]}/{name}")

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.text.startswith(begins) and SECRET not in answer.text


def test_html_of_a_node_is_text_whatever_its_name(site: tuple[str, Path]) -> None:
    url, run = site
    names = sorted(path.name for path in (run / "logs/hostile").iterdir() if path.name != "index.html")
    assert len(names) == len(HOSTILE_NAMES)
    for name in names:
        answer = get(f"{url}/logs/hostile/{name}")
        assert (answer.status_code, answer.headers["Content-Type"], answer.text) == (200, TEXT, HOSTILE)
    page = get(f"{url}/logs/hostile/index.html")
    assert page.headers["Content-Type"] == PAGE and "alert" not in page.text


@pytest.mark.parametrize("name", STRAY)
def test_what_is_not_ours_and_somehow_there_is_text(site: tuple[str, Path], name: str) -> None:
    answer = get(f"{site[0]}/{name}")
    assert (answer.headers["Content-Type"], answer.text) == (TEXT, HOSTILE)


@pytest.mark.parametrize("name", ["passwd.txt", "etc/passwd", "etc/"])
def test_no_link_is_followed(site: tuple[str, Path], name: str) -> None:
    answer = get(f"{site[0]}/{name}")
    assert answer.status_code in (403, 404) and "root:" not in answer.text


@pytest.mark.parametrize("name", [".htaccess", "../../../../../../.publishing/lock", "../../../../../../.publishing/"])
def test_what_has_a_dot_in_front_is_not_there(site: tuple[str, Path], name: str) -> None:
    assert get(f"{site[0]}/{name}").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PROPFIND"])
def test_nothing_can_be_written(site: tuple[str, Path], method: str) -> None:
    answer = requests.request(method, f"{site[0]}/verdict.json", data=b"x", timeout=20)
    assert answer.status_code in (403, 405)


def test_a_page_leads_to_every_file(site: tuple[str, Path]) -> None:
    """Following links from the root's page only, all of the run's files are found."""
    top = urljoin(f"{site[0]}/", "../../../../../../")
    seen, left = set(), [top]
    while left:
        url = left.pop()
        if url in seen:
            continue
        seen.add(url)
        answer = get(url)
        assert answer.status_code == 200
        if answer.headers["Content-Type"] == PAGE and url.endswith("/"):
            left += [
                urljoin(url, href) for href in re.findall(r'href="([^"]+)"', answer.text) if not href.startswith("#")
            ]
    run = site[1]
    mine = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file() and path.name != "index.html"}
    mine -= {*STRAY, ".htaccess", "passwd.txt"}
    assert {f"{site[0]}/{name}" for name in mine} <= seen
