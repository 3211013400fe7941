"""A history that cannot be used says so in one paragraph, in time, and never tells its password."""

from __future__ import annotations

import fcntl
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, make_url

from ci_scripts.errors import Terminated
from ci_scripts.history import HistoryFailed, history_url, open_history
from ci_scripts.settings import load_settings
from tests.fakes.history_runs import JOB, NOW, record

pytestmark = pytest.mark.timeout(60)

SECRET = "s3cret/'%2F word"
CONFIG = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver: {project: example/networking-example, source: "https://git.example.org/networking-example"}
"""


def settings_with(tmp_path: Path, history: str = "") -> Any:
    config = tmp_path / "ci.yaml"
    config.write_text(f"{CONFIG}{f'history: {{{history}}}' if history else ''}\n")
    return load_settings(config, environment={"HOME": str(tmp_path / "home")})


@pytest.fixture
def place(tmp_path: Path) -> URL:
    """A SQLite history with one green run."""
    url = URL.create("sqlite", database=str(tmp_path / "history.sqlite"))
    with open_history(url, timeout=20) as history:
        history.record(record("green"))
    return url


@pytest.fixture
def holder(place: URL) -> Iterator[sqlite3.Connection]:
    """Somebody who is in the middle of writing to it."""
    connection = sqlite3.connect(str(place.database), isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def failure(work: Callable[[], object]) -> HistoryFailed:
    with pytest.raises(HistoryFailed) as caught:
        work()
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    return caught.value


def test_without_a_url_it_is_a_file_in_the_cache(tmp_path: Path) -> None:
    url = history_url(settings_with(tmp_path), {})
    assert (url.drivername, url.database) == (
        "sqlite",
        str(tmp_path / "home" / ".cache" / "openstack-driver-ci" / "history.sqlite"),
    )


@pytest.mark.parametrize(
    ("written", "meant"), [("sqlite:///runs.db", "{}/runs.db"), ("sqlite:////srv/a.db", "/srv/a.db")]
)
def test_a_relative_file_is_beside_the_configuration(tmp_path: Path, written: str, meant: str) -> None:
    url = history_url(settings_with(tmp_path, f"url: '{written}'"), {})
    assert url.database == meant.format(tmp_path)


def test_the_password_comes_from_a_file_or_a_variable_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(SECRET + "\n")
    server = "url: 'postgresql://ci@db.example.org/ci'"
    of_file = history_url(settings_with(tmp_path, f"{server}, password_file: password"), {})
    of_variable = history_url(settings_with(tmp_path, f"{server}, password_environment: PASS"), {"PASS": SECRET})

    assert of_file == of_variable and of_file.password == SECRET
    assert of_file.drivername == "postgresql+psycopg"
    assert str(of_file) == "postgresql+psycopg://ci:***@db.example.org/ci"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("password_file: missing", "the file .*/missing is"),
        ("password_environment: NOT_SET", "the variable NOT_SET is"),
    ],
)
def test_a_password_that_is_missing_is_named(tmp_path: Path, key: str, said: str) -> None:
    settings = settings_with(tmp_path, f"url: 'postgresql://ci@db.example.org/ci', {key}")
    error = failure(lambda: history_url(settings, {"NOT_SET": ""}))
    assert error.what.startswith("the history's password is not there")
    with pytest.raises(HistoryFailed, match=said):
        history_url(settings, {})


def test_a_url_that_is_none_is_not_repeated(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, f"url: 'postgresql://ci@db:po{SECRET[:6]}rt/ci'")
    assert str(failure(lambda: history_url(settings, {}))).startswith(
        "history.url cannot be read as a URL. Next: write"
    )


def test_a_node_without_the_extra_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(tmp_path)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    error = failure(lambda: history_url(settings, {}))
    assert "not installed: sqlalchemy" in error.what and "openstack-driver-ci[trusted]" in error.next_step


def test_importing_it_loads_no_database() -> None:
    code = "import sys, ci_scripts.history; print(sorted({'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_history_that_another_writes_to_for_too_long_can_still_be_read(
    place: URL, holder: sqlite3.Connection
) -> None:
    with open_history(place, timeout=1) as history:
        error = failure(lambda: history.record(record("second")))
        found = history.last_green(JOB, "master", NOW.replace(year=2100), "")
        holder.execute("ROLLBACK")
        assert history.record(record("third")) == 0
    assert error.what == f"writing to the history at {place} failed: database is locked."
    assert error.next_step == "see who holds it, or raise history.timeout_seconds."
    assert found is not None and found.run_id == "green"


def test_a_turn_that_another_writer_never_ends_is_given_up(place: URL) -> None:
    with open_history(place, timeout=1) as history, open(f"{place.database}-turn", "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        error = failure(lambda: history.record(record("second")))
        fcntl.flock(held, fcntl.LOCK_UN)
        assert history.record(record("third")) == 0
    assert error.what == f"writing to the history at {place} failed: no answer within 1 s."
    assert error.next_step == "see whether it answers and who holds it, or raise history.timeout_seconds."


def test_an_abort_does_not_wait_for_the_history(place: URL) -> None:
    def stop(*_: object) -> None:
        raise Terminated("stopped by a signal.")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with open_history(place, timeout=600) as history, open(f"{place.database}-turn", "ab") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(Terminated):
                history.record(record("second"))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_new_history_that_another_holds_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    error = failure(lambda: open_history(URL.create("sqlite", database=str(path)), timeout=1))
    holder.close()
    assert error.what == f"opening the history at sqlite:///{path} failed: database is locked."


def test_a_file_that_may_not_be_written_to_can_be_read(place: URL, tmp_path: Path) -> None:
    read_only = make_url(f"sqlite:///file:{place.database}?mode=ro&uri=true")
    with open_history(read_only, timeout=5) as history:
        assert history.last_green(JOB, "master", NOW.replace(year=2100), "") is not None
        error = failure(lambda: history.record(record("second")))
    assert "attempt to write a readonly database" in error.what
    assert error.next_step == "let this user write to it and, for a file, to its folder."


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"this is not a database\n" * 1000)
    error = failure(lambda: open_history(URL.create("sqlite", database=str(path)), timeout=5))
    assert "file is not a database" in error.what and "move the file away" in error.next_step
    assert path.read_bytes() == b"this is not a database\n" * 1000


def test_a_damaged_file_is_said_to_be_so(place: URL) -> None:
    path = Path(str(place.database))
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    def use() -> None:
        with open_history(place, timeout=5) as history:
            history.record(record("second"))

    error = failure(use)
    assert "malformed" in error.what and "move the file away" in error.next_step


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = failure(lambda: open_history(URL.create("sqlite", database=f"{tmp_path}/file/a/history.sqlite"), timeout=5))
    assert "Not a directory" in error.what and error.next_step == "see whether its folder can be made and written to."


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    assert "in memory" in failure(lambda: open_history(make_url(url), timeout=5)).what


def test_a_driver_that_is_not_there_is_named() -> None:
    error = failure(lambda: open_history(make_url("mysql+nosuchdriver://ci@db.example.org/ci"), timeout=5))
    assert "nosuchdriver" in error.what and "install its driver" in error.next_step


def test_no_form_of_the_password_is_told(tmp_path: Path) -> None:
    # psycopg quotes what it takes for an option of the connection.
    url = make_url("postgresql+psycopg://ci@127.0.0.1:1/ci?password=0th3r&sslmode=n0t-a-mode").set(password=SECRET)
    url = url.update_query_dict({"sslmode": SECRET})
    error = failure(lambda: open_history(url, timeout=2))
    told = str(error) + "".join(traceback.format_exception(error))
    assert "***" in error.what
    assert not [word for word in (SECRET, SECRET.split()[0], "0th3r") if word in told]
