"""Every command in a console block of the pages is run, and prints what the page shows, with the exit code it shows.

What is not run is listed at the end of this file, with the reason that the page gives for it. The options of all
commands, run or not, are compared with the commands by tests/docs/test_pages.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page_blocks import ROOT, RUN, Block, Shown, blocks, name_of, pages, prints, shown
from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.fake_jenkins import FakeJenkins
from tests.fakes.fake_openstack import FakeIndex
from tests.integration.docs_site import DocsSite

EXIT_CODE = "echo $?"
ARCHIVE = "node.tar.gz"


def console_blocks(page: Path) -> list[Block]:
    return [block for block in blocks(page.read_text(encoding="utf-8")) if block.language == RUN]


def run_pages() -> list[str]:
    found = [page for page in pages() if any(not block.not_run for block in console_blocks(page))]
    return [name_of(page) for page in found]


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[DocsSite]:
    with FakeGerrit() as gerrit, FakeJenkins() as jenkins:
        made = DocsSite(tmp_path, fake_index, gerrit, jenkins)
        try:
            yield made
            assert made.left() == []
        finally:
            made.clear()


def problems(site: DocsSite, commands: list[Shown]) -> Iterator[str]:
    """A transcript of each command that does not do what its page says."""
    last = 0
    for place, each in enumerate(commands):
        if each.command == EXIT_CODE:
            if each.output != [str(last)]:
                yield f"line {each.line}: the exit code is {last}, the page has {each.output}"
            continue
        last, printed = site.run(each.command)
        following = commands[place + 1].command if place + 1 < len(commands) else ""
        if last != 0 and following != EXIT_CODE or each.output and not prints(each.output, printed):
            yield _transcript(each, last, printed)


def _transcript(each: Shown, code: int, printed: list[str]) -> str:
    return "\n".join(
        [f"line {each.line}: exit code {code} and other words than the page has:", f"$ {each.command}", *printed]
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", run_pages())
def test_the_commands_of_a_page_do_what_it_says(name: str, site: DocsSite) -> None:
    found = [block for block in console_blocks(ROOT / name) if not block.not_run]
    commands = [each for block in found for each in shown(block)]
    text = "\n".join(each.command for each in commands)
    if ARCHIVE in text and f"tar -czf {ARCHIVE}" not in text:
        site.give_node_archive()
    wrong = list(problems(site, commands))
    assert not wrong, "\n\n".join([name, *wrong])


# Only their options are compared with the commands (tests/docs/test_pages.py). By page and reason.
NOT_RUN: dict[tuple[str, str], list[str]] = {
    ("docs/guide.md", "Needs the package index"): [
        "python3 -m venv ci-environment",
        ". ci-environment/bin/activate",
        "pip install 'openstack-driver-ci[trusted]'",
    ],
    ("docs/guide.md", "Needs the package index and your git server"): ["ci-operate doctor"],
    ("docs/operate.md", "Needs the name that retract-votes printed"): [
        "ci-operate retrigger --withdrawal 20260131T120000Z-1a2b3c"
    ],
    ("docs/zuul.md", "Needs your Zuul"): [
        "zuul-client encrypt --tenant example-networks --project ci-config --infile gerrit-http-password"
    ],
    ("docs/zuul.md", "Needs an executor, as root"): [
        "python3 -m venv /opt/driver-ci",
        "/opt/driver-ci/bin/pip install 'openstack-driver-ci[trusted]'",
        "install -d -o zuul /srv/logs /var/lib/driver-ci",
    ],
}


def test_what_is_not_run_is_listed_here_with_its_reason() -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for page in pages():
        for block in console_blocks(page):
            if block.not_run:
                found.setdefault((name_of(page), block.not_run), []).extend(each.command for each in shown(block))
    assert found == NOT_RUN


# Pages with calls of ours in other blocks than console's: only their options are compared, and why.
ONLY_OPTIONS = {
    "README.md": "run by test_docs_readme.py; make's targets run on a real gate in test_job.py and test_by_hand.py",
    "docs/devstack-gate.md": "needs a node of devstack-gate; tests/stages/test_devstack_gate.py has a stand-in for it",
    "docs/devstack.md": "needs a node of DevStack; tests/stages/test_devstack_kind.py has a stand-in for it",
    "docs/jenkins-jobs.md": "steps of a Jenkins job; run by tests/integration/test_jobs_on_hudson.py",
    "docs/operate-jenkins.md": "needs a Jenkins with jobs; tests/operate/test_jenkins*.py have a stand-in for it",
    "docs/prepare-gate.md": "changes that depend on others; tests/stages/test_prepare_gate.py makes them",
    "docs/stages/index.md": "a picture of the stages",
    "docs/trusted-side.md": "steps of a Jenkins job, with its variables; run by tests/stages/test_summarize_from.py",
    "docs/unit-tests.md": "needs Neutron's source; run by tests/integration/test_neutron_unit_tests.py",
}


CALL = re.compile(r"\s*(?:\$ |exec )?ci-(?:[a-z]+-[a-z]+|operate )")


def test_calls_that_are_not_run_are_on_pages_that_are_listed_here() -> None:
    found = set()
    for page in pages():
        elsewhere = [block for block in blocks(page.read_text(encoding="utf-8")) if block.language != RUN]
        if any(CALL.match(line) for block in elsewhere for line in block.lines):
            found.add(name_of(page))
    assert found <= set(ONLY_OPTIONS)
