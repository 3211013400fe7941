"""A private MariaDB server: an ordinary process with a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

from ci_scripts.gates.local.ports import HOST, free_ports, is_taken
from ci_scripts.run_command import Background, start
from tests.fakes.waiting import wait_for

# Everything that a URL, an oslo.config file or an Alembic file could take for its own.
PASSWORD = "p@ss$word%s/"
SECONDS = 60.0
# Nothing here must survive a power cut.
FAST = (
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-file-per-table=0",
    "--innodb-log-file-size=64M",
    "--innodb-buffer-pool-size=128M",
    "--performance-schema=off",
)


def missing() -> str | None:
    """Why no server can be started here; None when one can."""
    if _program("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        return "MariaDB's server is not installed (mariadbd, mariadb-install-db: the package mariadb-server)"
    return None


class MariaDBServer:
    """Started when made; ``stop`` ends it and deletes what it stored."""

    def __init__(self) -> None:
        # Not below pytest's own folder, which only root may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="ci-mariadb-"))
        self.port = free_ports(1)[0]
        self.user = _unprivileged()
        self._process: Background | None = None
        try:
            self._make()
            self._start()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """For gate.database. A ``$`` may stand in a URL as it is."""
        return f"mysql+pymysql://root:{quote(PASSWORD, safe='$')}@{HOST}:{self.port}/"

    def stop(self) -> None:
        if self._process is not None:
            # Its data goes anyway: an orderly shutdown takes half a minute.
            self._process.stop(0.0)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        (self.folder / "data").mkdir()
        root = f"'root'@'{HOST}'"
        sql = f"CREATE OR REPLACE USER {root} IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {root};\n"
        (self.folder / "init.sql").write_text(sql)
        if self.user is not None:
            for path in (self.folder, self.folder / "data", self.folder / "init.sql"):
                os.chown(path, *self.user)
        argv = ["mariadb-install-db", "--no-defaults", f"--datadir={self.folder / 'data'}", "--skip-test-db"]
        argv += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
        made = self._run(argv, "install.log")
        assert made.wait(SECONDS) == 0, (self.folder / "install.log").read_text()

    def _start(self) -> None:
        argv = [str(_program("mariadbd")), "--no-defaults", f"--datadir={self.folder / 'data'}"]
        argv += [f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}"]
        argv += [f"--bind-address={HOST}", f"--port={self.port}", f"--init-file={self.folder / 'init.sql'}", *FAST]
        self._process = process = self._run(argv, "server.log")

        def answers() -> bool:
            assert process.exit_code() is None, (self.folder / "server.log").read_text()
            return is_taken(self.port)

        wait_for(answers, "answer of MariaDB", SECONDS)

    def _run(self, argv: list[str], log: str) -> Background:
        env = {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin", "HOME": str(self.folder)}
        return start(argv, cwd=self.folder, env=env, log=self.folder / log, user=self.user)


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/libexec")


def _unprivileged() -> tuple[int, int] | None:
    """MariaDB refuses to run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
