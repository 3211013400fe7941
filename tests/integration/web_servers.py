"""nginx and Apache on loopback, as ordinary processes, with the sample configurations of docs/."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import requests

from ci_scripts.gates.local.ports import HOST, free_ports
from ci_scripts.run_command import Background, start
from tests.fakes.waiting import wait_for

DOCS = Path(__file__).parents[2] / "docs"
PATH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin"
NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr; {user}
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/logs.conf;
}}
"""
APACHE = """
ServerRoot {folder}
PidFile {folder}/pid
ErrorLog {folder}/log
Mutex file:{folder}
{user}
Listen {address}
{modules}
# As on a distribution whose mime and negotiation modules are on, and with a PHP of the old kind.
TypesConfig /dev/null
AddHandler server-info .php
AddType text/html .html .shtml
AddEncoding x-gzip .gz
Include {folder}/logs.conf
"""
APACHE_MODULES = ("mpm_event", "authz_core", "authz_host", "headers", "setenvif", "env", "dir", "alias", "mime", "info")


def program(name: str) -> str | None:
    """Where a server's program is, if it is installed."""
    return shutil.which(name, path=PATH)


def _modules() -> list[str]:
    folder = Path("/usr/lib/apache2/modules")
    return [
        f"LoadModule {name}_module {folder}/mod_{name}.so"
        for name in APACHE_MODULES
        if (folder / f"mod_{name}.so").exists()
    ]


@contextlib.contextmanager
def nginx(root: Path, folder: Path) -> Iterator[str]:
    """The address at which nginx serves ``root``."""
    folder.mkdir()
    address = f"{HOST}:{free_ports(1)[0]}"
    sample = (
        (DOCS / "nginx-logs.conf")
        .read_text()
        .replace("/srv/logs", str(root))
        .replace("listen 80;", f"listen {address};")
    )
    (folder / "logs.conf").write_text(sample)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, user=user))
    command = [str(program("nginx")), "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    with _served(start(command, cwd=folder, env={"PATH": PATH}, log=folder / "log"), address) as url:
        yield url


@contextlib.contextmanager
def apache(root: Path, folder: Path) -> Iterator[str]:
    """The address at which Apache serves ``root``."""
    folder.mkdir()
    address = f"{HOST}:{free_ports(1)[0]}"
    sample = (DOCS / "apache-logs.conf").read_text().replace("/srv/logs", str(root)).replace("*:80", address)
    (folder / "logs.conf").write_text(sample)
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    text = APACHE.format(folder=folder, user=user, address=address, modules="\n".join(_modules()))
    (folder / "apache.conf").write_text(text)
    command = [str(program("apache2")), "-f", str(folder / "apache.conf"), "-DFOREGROUND"]
    with _served(start(command, cwd=folder, env={"PATH": PATH}, log=folder / "log"), address) as url:
        yield url


@contextlib.contextmanager
def _served(server: Background, address: str) -> Iterator[str]:
    url = f"http://{address}"
    try:
        wait_for(lambda: _answers(server, url), f"answer of {address}; see {server.log}")
        yield url
    finally:
        server.stop(5)


def _answers(server: Background, url: str) -> bool:
    assert server.exit_code() is None, server.log.read_text()
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url, timeout=5).status_code > 0
    return False
