"""What the pages of the stages say that is written is there after a run with a failure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page_blocks import DOCS
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.fake_openstack import FakeIndex
from tests.integration.docs_site import PROJECT, DocsSite

# Written only where something is configured, or by another way of calling.
NOT_HERE = {"logs/probes.jsonl", "intake.json"}
STAGES = ("prepare-gate", "run-gate", "install-driver", "start-gate", "run-tempest", "stop-gate", "summarize-results")


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[DocsSite]:
    with FakeGerrit() as gerrit, FakeJenkins() as jenkins:
        made = DocsSite(tmp_path, fake_index, gerrit, jenkins)
        try:
            yield made
            assert made.left() == []
        finally:
            made.clear()


def written(stage: str) -> list[str]:
    """The paths in the first column of "writes"."""
    text = (DOCS / "stages" / f"{stage}.md").read_text(encoding="utf-8")
    (rows,) = re.findall(r"^\| writes \|.*\n\|[ |-]+\n((?:\|.*\n)+)", text, re.M)
    cells = [row.split("|")[1] for row in rows.splitlines()]
    return [path.replace("<org>/<project>", PROJECT) for cell in cells for path in re.findall(r"`([^`]+)`", cell)]


def test_what_the_stages_write_is_there(site: DocsSite) -> None:
    codes = [
        site.run(command)[0]
        for command in (
            f"ci-prepare-gate --workspace run --change 2,1 --project {PROJECT}",
            "ci-run-gate --workspace run",
            "ci-stop-gate --workspace run",
            "ci-summarize-results --workspace run",
        )
    ]
    assert codes == [0, 0, 0, 1]
    missing = {
        (stage, path)
        for stage in STAGES
        for path in written(stage)
        if path not in NOT_HERE and not (site.folder / "run" / path).exists()
    }
    assert missing == set()
