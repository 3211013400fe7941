"""A real sshd on loopback with keys of its own, for whoever runs the tests; ordinary or restricted to rsync."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ci_scripts.gates.local.ports import HOST, free_ports
from ci_scripts.run_command import start
from tests.fakes.waiting import wait_for

PATH = "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin"
CONFIG = """
ListenAddress {host}
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
LogLevel VERBOSE
"""


@dataclass(frozen=True)
class SshServer:
    """``restricted`` is the key that may only run rsync, in the folder ``root``."""

    port: int
    user: str
    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def restricted(self) -> Path:
        return self.folder / "rsync key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known hosts"


def missing() -> str | None:
    """Why no server can be started here; None when one can."""
    for name, package in (
        ("sshd", "openssh-server"),
        ("ssh", "openssh-client"),
        ("rsync", "rsync"),
        ("rrsync", "rsync"),
    ):
        if shutil.which(name, path=PATH) is None:
            return f"{name} is not installed (package {package})"
    if os.geteuid() == 0 and not Path("/run/sshd").is_dir():
        try:
            Path("/run/sshd").mkdir(mode=0o755)
        except OSError as error:
            return f"/run/sshd, which sshd needs for root, cannot be made: {error.strerror}"
    return None


@contextlib.contextmanager
def ssh_server(folder: Path, root: Path) -> Iterator[SshServer]:
    """A server that runs while the block does."""
    folder.mkdir()
    server = SshServer(free_ports(1)[0], pwd.getpwuid(os.geteuid()).pw_name, folder)
    for key in (server.folder / "host_key", server.key, server.restricted):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=60)
    only_rsync = f'command="rrsync {root}",restrict {Path(f"{server.restricted}.pub").read_text()}'
    (folder / "authorized_keys").write_text(Path(f"{server.key}.pub").read_text() + only_rsync)
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    server.known_hosts.write_text(f"[{HOST}]:{server.port} {host_key}\n")
    (folder / "sshd_config").write_text(CONFIG.format(host=HOST, port=server.port, folder=folder))
    program = shutil.which("sshd", path=PATH)
    argv = [str(program), "-D", "-e", "-f", str(folder / "sshd_config")]
    process = start(argv, cwd=folder, env={"PATH": PATH}, log=folder / "log")
    try:
        wait_for(lambda: process.exit_code() is not None or _listens(server.port), f"sshd; see {process.log}")
        assert process.exit_code() is None, process.log.read_text()
        yield server
    finally:
        process.stop(5)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=5):
        return True
    return False
