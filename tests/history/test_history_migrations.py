"""The schema of the history: its migrations, the models, and a wheel that brings both."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, create_engine, inspect, text

from ci_scripts.history import HistoryFailed, open_history
from ci_scripts.history.tables import VERSION_TABLE, metadata
from ci_scripts.python_environments import uv_program
from tests.fakes.history_runs import NOW, record

pytest_plugins = ["tests.integration.history_fixtures"]

SOURCE = Path(__file__).parent.parent.parent
USE_IT = """
import sys
sys.path.insert(0, sys.argv[1])
from sqlalchemy import make_url
from ci_scripts import history
assert history.__file__.startswith(sys.argv[1]), history.__file__
with history.open_history(make_url(f"sqlite:///{sys.argv[2]}"), timeout=20) as opened:
    print(opened.newest_control("job", "master", __import__("datetime").datetime.now(__import__("datetime").UTC)))
"""


def execute(place: URL, statement: str) -> None:
    engine = create_engine(place)
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def version_of(place: URL) -> str:
    engine = create_engine(place)
    with engine.connect() as connection:
        version = str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())
    engine.dispose()
    return version


def test_a_history_of_the_release_before_is_brought_up_to_date(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        history.record(record("kept"))
    execute(new_place, "DROP TABLE history_reports")
    execute(new_place, f"UPDATE {VERSION_TABLE} SET version_num = '0001'")

    with open_history(new_place, timeout=20) as history:
        assert history.claim_report("1,1", "holder", 60).taken
        found = history.last_green(record("").job, "master", NOW.replace(year=2100), "")
    assert found is not None and found.run_id == "kept"


def test_the_models_and_the_migrated_schema_agree(new_place: URL) -> None:
    open_history(new_place, timeout=20)
    engine = create_engine(new_place)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        differences = compare_metadata(context, metadata)
        found = inspect(connection)
        names = {
            table: {index["name"] for index in found.get_indexes(table)} | {found.get_pk_constraint(table)["name"]}
            for table in metadata.tables
        }
    engine.dispose()
    assert differences == []
    # Names are not compared above.
    expected = {
        name: {index.name for index in table.indexes} | {f"{name}_pk"} for name, table in metadata.tables.items()
    }
    assert {table: found & expected[table] for table, found in names.items()} == expected


def test_a_schema_that_is_newer_than_ours_is_refused_and_left_alone(new_place: URL) -> None:
    with open_history(new_place, timeout=20) as history:
        history.record(record("kept"))
    ours = version_of(new_place)
    execute(new_place, f"UPDATE {VERSION_TABLE} SET version_num = '0999'")

    with pytest.raises(HistoryFailed, match=r"has schema 0999, which openstack-driver-ci .* does not know") as caught:
        open_history(new_place, timeout=20)
    assert "install the newer version" in caught.value.next_step
    execute(new_place, f"UPDATE {VERSION_TABLE} SET version_num = '{ours}'")
    with open_history(new_place, timeout=20) as history:
        found = history.last_green(record("").job, "master", NOW.replace(year=2100), "")
    assert found is not None and found.run_id == "kept"


def test_tables_of_somebody_else_are_left_alone(new_place: URL) -> None:
    if new_place.get_backend_name() == "sqlite":
        assert new_place.database is not None
        Path(new_place.database).parent.mkdir()
    execute(new_place, "CREATE TABLE history_tests (id INTEGER)")

    with pytest.raises(HistoryFailed, match="history_tests.* already exists") as caught:
        open_history(new_place, timeout=20)
    assert caught.value.next_step == "name a database in history.url that keeps nothing else."
    engine = create_engine(new_place)
    assert inspect(engine).get_table_names() == ["history_tests"], "all or nothing"
    engine.dispose()


def test_a_wheel_brings_the_migrations(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("ci_scripts", "devstack-hooks", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-a", str(SOURCE / name), str(tree)], check=True)
    argv = [uv_program(), "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(tree)]
    built = subprocess.run(argv, env=dict(os.environ), capture_output=True, text=True, timeout=120)
    if built.returncode and "setuptools" in built.stderr:
        pytest.skip(f"no index to build from: {built.stderr.splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)

    argv = [sys.executable, "-I", "-c", USE_IT, str(unpacked), str(tmp_path / "new" / "history.sqlite")]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("None\n", "")
