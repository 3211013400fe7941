"""The gate on a MariaDB server: migrated schemas of its own, which are gone afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

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


def test_the_job_passes_on_mariadb_and_leaves_no_schema(
    make_run: Callable[..., Run], mariadb: MariaDBServer, driver_repository: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, CI_GATE_DATABASE=mariadb.url)
    done = run.job(driver_repository, "refs/changes/01/1/1", "--shards", 1, "--regex", ADDRESS_PAIRS)
    assert done.exit_code == 0, done.output
    assert "migrate the databases: done" in done.output
    assert len(run.tests()) >= 3
    logs = run.workspace.gate_logs / "shard0"
    assert "Running upgrade" in (logs / "neutron-db-manage.log").read_text()
    configured = (run.workspace.gate_dir / "shard0" / "neutron" / "neutron.conf").read_text()
    assert "mysql+pymysql://" in configured
    assert schemas_of(mariadb.url, run.workspace) == []
    password = urlsplit(mariadb.url).password
    assert password is not None
    assert _published_with(run.workspace.root, [password, PASSWORD]) == []
    assert password not in done.output


def test_a_failed_start_tells_no_password_and_leaves_no_schema(
    make_run: Callable[..., Run], mariadb: MariaDBServer, driver_repository: Path, tmp_path: Path
) -> None:
    """Change 7 cannot be imported: the migrations run, Neutron does not start."""
    run = make_run(tmp_path, CI_GATE_DATABASE=mariadb.url, CI_GATE_SHARDS="1")
    run.prepare(driver_repository, "refs/changes/07/7/1")
    run.good("ci-install-driver")
    wrong = mariadb.url.replace("root:", "root:wr0ng-pass")
    refused = run.command("ci-start-gate", CI_GATE_DATABASE=wrong)
    assert refused.exit_code == 3, refused.output
    assert "Access denied" in refused.output
    assert "wr0ng-pass" not in refused.output
    assert _published_with(run.workspace.root, ["wr0ng-pass"]) == []
    failed = run.command("ci-start-gate")
    assert failed.exit_code == 3, failed.output
    assert "migrate the databases: done" in failed.output
    assert "neutron of shard 0 did not start" in failed.output
    assert schemas_of(mariadb.url, run.workspace) == []
    run.good("ci-stop-gate")
