"""What a database holds, asked in the environment of OpenStack, which has SQLAlchemy and a driver for the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ci_scripts.run_command import run
from ci_scripts.workspace import Workspace

SECONDS = 60.0
_SCHEMAS = """
import json, sys
import sqlalchemy as sa
with sa.create_engine(json.load(sys.stdin)).connect() as connection:
    print(json.dumps([n for n in sa.inspect(connection).get_schema_names() if n.startswith("ci_")]))
"""
_CONTENTS = """
import json, sys
import sqlalchemy as sa
with sa.create_engine(json.load(sys.stdin)).connect() as connection:
    found, inspector, metadata = {}, sa.inspect(connection), sa.MetaData()
    metadata.reflect(connection)
    for name, table in metadata.tables.items():
        columns = {c["name"]: [str(c["type"]), c["nullable"], c["default"]] for c in inspector.get_columns(name)}
        rows = [dict(row) for row in connection.execute(sa.select(table)).mappings()]
        keys = inspector.get_foreign_keys(name)
        foreign = [[key["constrained_columns"], key["referred_table"], key["options"]] for key in keys]
        found[name] = {"columns": columns, "rows": rows, "foreign_keys": sorted(foreign, key=str)}
print(json.dumps(found, default=str))
"""


def schemas_of(url: str, workspace: Workspace) -> list[str]:
    """The schemas of runs that the server has."""
    found = _ask(_SCHEMAS, url, workspace.environments_dir / "openstack")
    assert isinstance(found, list)
    return found


def contents(url: str, environment: Path) -> dict[str, Any]:
    """Columns, rows and foreign keys by table."""
    found = _ask(_CONTENTS, url, environment)
    assert isinstance(found, dict)
    return found


def _ask(script: str, url: str, environment: Path) -> Any:
    argv = [str(environment / "bin" / "python"), "-c", script]
    done = run(argv, cwd=environment, env={}, timeout=SECONDS, input_text=json.dumps(url))
    return json.loads(done.output)
