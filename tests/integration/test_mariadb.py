"""The gate on a MariaDB server: migrated schemas of its own, which are gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.fakes.left_behind import kill_all, processes_about
from tests.integration.gate_runs import ADDRESS_PAIRS, Run
from tests.integration.mariadb_server import PASSWORD, MariaDBServer
from tests.integration.schema_contents import schemas_of

pytest_plugins = ["tests.integration.gate_fixtures"]
pytestmark = pytest.mark.gate


def _published_with(workspace: Path, words: list[str]) -> list[str]:
    """Files of a run that hold one of the words; those of gate/ are the services' own and not published."""
    found = []
    for path in sorted(workspace.rglob("*")):
        inside = path.relative_to(workspace).parts
        if inside[0] not in ("gate", "environments", "src") and path.is_file() and not path.is_symlink():
            found += [str(path) for word in words if word.encode() in path.read_bytes()]
    return found


@pytest.fixture
def run(prepared_run: Run) -> Iterator[Run]:
    """The prepared run; nothing of its gate is left after the test."""
    try:
        yield prepared_run
        assert processes_about(prepared_run.folder) == {}
    finally:
        kill_all(prepared_run.folder)


def test_tempest_passes_on_migrated_schemas_which_go_with_the_gate(run: Run, mariadb: MariaDBServer) -> None:
    started = run.good("ci-start-gate", CI_GATE_DATABASE=mariadb.url)
    assert "migrate the databases: done" in started
    assert len(schemas_of(mariadb.url, run.workspace)) == 2
    assert "Running upgrade" in (run.workspace.gate_logs / "shard0" / "neutron-db-manage.log").read_text()
    for service in ("keystone", "neutron"):
        assert "mysql+pymysql://" in (run.workspace.gate_dir / "shard0" / service / f"{service}.conf").read_text()
    tested = run.good("ci-run-tempest", "--regex", ADDRESS_PAIRS, CI_GATE_DATABASE=mariadb.url)
    assert len(run.selected()) >= 5, "the tests and the check"
    stopped = run.good("ci-stop-gate", CI_GATE_DATABASE=mariadb.url)
    run.good("ci-summarize-results")
    assert set(run.tests().values()) == {"passed"}
    assert schemas_of(mariadb.url, run.workspace) == []
    password = urlsplit(mariadb.url).password
    assert password is not None
    assert _published_with(run.workspace.root, [password, PASSWORD]) == []
    assert password not in started + tested + stopped


def test_a_wrong_password_is_the_cis_failure_and_is_not_told(run: Run, mariadb: MariaDBServer) -> None:
    wrong = mariadb.url.replace("root:", "root:wr0ng-pass")
    refused = run.command("ci-start-gate", CI_GATE_DATABASE=wrong)
    assert refused.exit_code == 3, refused.output
    assert "Access denied" in refused.output
    assert "wr0ng-pass" not in refused.output
    assert _published_with(run.workspace.root, ["wr0ng-pass"]) == []


def test_what_a_failed_start_made_is_dropped_by_itself(run: Run, mariadb: MariaDBServer) -> None:
    """The migrations run, Neutron does not start."""
    values = {"CI_GATE_DATABASE": mariadb.url, "CI_GATE_SERVICE_PLUGINS": "[there-is-no-such-plug-in]"}
    failed = run.command("ci-start-gate", **values)
    assert failed.exit_code == 3, failed.output
    assert "migrate the databases: done" in failed.output
    assert "neutron of shard 0 did not start" in failed.output
    assert schemas_of(mariadb.url, run.workspace) == []
    run.good("ci-stop-gate", **values)
