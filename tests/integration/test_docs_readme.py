"""The README's commands, run against what docs_site.py stands in for.

Of what needs the package index (make demo, make test) only the targets are looked for; test_job.py and test_by_hand.py
run the same on a real gate.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page_blocks import ROOT, Block, blocks
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.fake_openstack import FakeIndex
from tests.integration.docs_site import PROJECT, DocsSite

WITHDRAWAL = re.compile(r"ci-operate retrigger --withdrawal (\S+)")


def commands_of(block: Block) -> list[str]:
    """Lines without comments, those that end with a backslash joined with the next."""
    text = re.sub(r"\\\n\s*", " ", "\n".join(block.lines))
    return [line.partition(" #")[0].strip() for line in text.splitlines() if line.strip()]


def blocks_with(words: str) -> list[list[str]]:
    """The README's blocks of commands that hold these words; there must be one."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [commands_of(block) for block in blocks(text) if words in "\n".join(block.lines)]
    assert found, f"README.md has no commands with {words!r}"
    return found


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[DocsSite]:
    with FakeGerrit() as gerrit, FakeJenkins() as jenkins:
        made = DocsSite(tmp_path, fake_index, gerrit, jenkins)
        try:
            yield made
            assert made.left() == []
        finally:
            made.clear()


def test_a_run_is_reported(site: DocsSite) -> None:
    site.give_node_archive()
    shutil.copytree(site.folder / "of-the-node", site.folder / "archive", ignore=shutil.ignore_patterns("environments"))
    # What Gerrit Trigger gives a job.
    words = f"GERRIT_CHANGE_NUMBER=1 GERRIT_PATCHSET_NUMBER=1 GERRIT_PROJECT={PROJECT} GERRIT_BRANCH=master "
    words += "GERRIT_REFSPEC=refs/changes/01/1/1 GERRIT_HOST=review.example.org GERRIT_SCHEME=https GERRIT_PORT=443 "
    (commands,) = blocks_with("ci-summarize-results --from archive")
    for command in commands:
        code, printed = site.run(f"export {words}; {command}")
        assert code == 0, (command, printed)
    assert [message.author.username for message in site.gerrit.changes[1].messages][-1] == "example-networks-ci"


def test_a_bad_day_is_taken_back(site: DocsSite) -> None:
    (commands,) = blocks_with("ci-operate retrigger --withdrawal ID")
    name = "ID"
    for command in commands:
        code, printed = site.run(command.replace("--withdrawal ID", f"--withdrawal {name}"))
        assert code == 0, (command, printed)
        name = next((found[1] for line in printed if (found := WITHDRAWAL.search(line))), name)
    assert name != "ID" and sorted(site.jenkins.changes()) == [3, 4]


def test_the_targets_of_make_are_there() -> None:
    text = "".join((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
    targets = set(re.findall(r"(?:^    |`)make ([a-z-]+)", text, re.M))
    assert {"demo", "test"} <= targets
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.M)] == []


def test_a_run_by_hand_and_a_change_to_blame(site: DocsSite) -> None:
    site.copy_of_the_demo()
    (whole,) = [block for block in blocks_with("--config examples/ci.yaml") if "ci-run-job" in " ".join(block)]
    (stages,) = [block for block in blocks_with("--config examples/ci.yaml") if "ci-prepare-gate" in " ".join(block)]
    for command in [*stages, *whole]:
        if not command.startswith("ci-"):
            continue
        code, printed = site.run(command)
        # The README says so of change 4.
        assert code == (1 if "ci-run-job" in command else 0), (command, printed)
