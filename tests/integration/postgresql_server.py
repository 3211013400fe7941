"""A private PostgreSQL server: an ordinary process with a folder of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from ci_scripts.gates.local.ports import HOST, free_ports
from ci_scripts.run_command import Background, start
from tests.fakes.waiting import wait_for

USER = "ci"
# Everything that a URL or a connection string could take for its own.
PASSWORD = "p@ss w'rd%s/:\\"
SECONDS = 60.0
# Nothing here must survive a power cut.
FAST = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=16MB", "autovacuum=off")


def missing() -> str | None:
    """Why no server can be started here; None when one can."""
    if _programs() is None:
        return "PostgreSQL's server is not installed (/usr/lib/postgresql/*/bin/initdb: the package postgresql)"
    return None


class PostgreSQLServer:
    """Started when made; ``stop`` ends it and deletes what it stored."""

    def __init__(self) -> None:
        # Not below pytest's own folder, which only root may enter.
        self.folder = Path(tempfile.mkdtemp(prefix="ci-postgresql-"))
        self.port = free_ports(1)[0]
        self.user = _unprivileged()
        self._numbers = itertools.count(1)
        self._process: Background | None = None
        try:
            self._make()
            self._start()
        except BaseException:
            self.stop()
            raise

    def url(self, database: str, *, password: str | None = PASSWORD) -> str:
        secret = f":{quote(password, safe='')}" if password is not None else ""
        return f"postgresql+psycopg://{USER}{secret}@{HOST}:{self.port}/{database}"

    def new_database(self) -> str:
        """The name of an empty database of its own."""
        name = f"history_{os.getpid()}_{next(self._numbers)}"
        self.do(f"CREATE DATABASE {name}")
        return name

    def do(self, sql: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(
            host=HOST, port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        ) as connection:
            connection.execute(sql.encode())

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, the whole server is stopped where it is: it takes connections and never answers."""
        assert self._process is not None
        # The parent first: it starts no further child then, and one that ended meanwhile is no more to be stopped.
        os.kill(self._process.pid, signal.SIGSTOP)
        everything = [*_children_of(self._process.pid), self._process.pid]
        for pid in everything:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in everything:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            # At once, but by itself: a killed server leaves its shared memory behind.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGQUIT)
            self._process.wait(SECONDS)
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n")
        if self.user is not None:
            for path in (self.folder, password):
                os.chown(path, *self.user)
        argv = [self._program("initdb"), "--no-sync", "--no-instructions", f"--pgdata={self.folder / 'data'}"]
        argv += ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        made = self._run(argv, "initdb.log")
        assert made.wait(SECONDS) == 0, (self.folder / "initdb.log").read_text()

    def _start(self) -> None:
        import psycopg

        argv = [self._program("postgres"), "-D", str(self.folder / "data"), "-h", HOST, "-p", str(self.port)]
        argv += ["-k", str(self.folder), *(word for option in FAST for word in ("-c", option))]
        self._process = process = self._run(argv, "server.log")

        def answers() -> bool:
            assert process.exit_code() is None, (self.folder / "server.log").read_text()
            with contextlib.suppress(psycopg.OperationalError):
                self.do("SELECT 1")
                return True
            return False

        wait_for(answers, "answer of PostgreSQL", SECONDS)

    def _program(self, name: str) -> str:
        programs = _programs()
        assert programs is not None
        return str(programs / name)

    def _run(self, argv: list[str], log: str) -> Background:
        env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), "LC_ALL": "C"}
        return start(argv, cwd=self.folder, env=env, log=self.folder / log, user=self.user)


def _programs() -> Path | None:
    """The programs of the newest version; the distribution does not put them into PATH."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    beside = shutil.which("initdb")
    if beside is not None:
        found.append(Path(beside).resolve().parent)
    found = [folder for folder in found if (folder / "postgres").exists()]
    return max(found, key=lambda folder: int((re.findall(r"\d+", folder.parent.name) or ["0"])[0]), default=None)


def _children_of(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if folder.name.isdigit() and int((folder / "stat").read_text().rpartition(") ")[2].split()[1]) == parent:
                found.append(int(folder.name))
    return found


def _unprivileged() -> tuple[int, int] | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid
