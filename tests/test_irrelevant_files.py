"""Which changes are not worth a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ci_scripts.irrelevant_files import only_irrelevant

SAMPLES = Path(os.environ.get("CI_SAMPLES", Path(__file__).parents[2] / "shared" / "samples")) / "changed-files"
PATTERNS = ("^doc/", r"\.rst$")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["doc/source/index.txt"], True),
        (["README.rst"], True),
        (["neutron/doc.rst", "doc/a"], True),
        (["doc/a", "neutron/plugin.py"], False),
        (["neutron/doc/a"], False),
        (["README.rst.py"], False),
        ([], False),
        (["/COMMIT_MSG"], False),
        (["/COMMIT_MSG", "README.rst"], True),
        (["/COMMIT_MSG", "setup.py"], False),
    ],
)
def test_skipped_only_when_all_files_match(files: list[str], expected: bool) -> None:
    assert only_irrelevant(files, PATTERNS) is expected


def test_without_patterns_everything_is_worth_a_run() -> None:
    assert not only_irrelevant(["README.rst"], ())


@pytest.mark.skipif(not (SAMPLES / "jobs.json").exists(), reason="CI_SAMPLES names no folder of samples")
def test_agrees_with_real_jobs() -> None:
    compared = 0
    for job in json.loads((SAMPLES / "jobs.json").read_text()):
        rows = SAMPLES / job["file"]
        for line in rows.read_text().splitlines() if rows.exists() else ():
            row = json.loads(line)
            runs = not only_irrelevant(row["files"], job["irrelevant_files"])
            assert runs is row["expected_run"], f"{job['repo']} {row['sha']}: {row['files']}"
            compared += 1
    assert compared >= 100
