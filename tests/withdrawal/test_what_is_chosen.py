"""Choosing verdicts: the words of an operator, and what Gerrit is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.settings import load_settings
from ci_scripts.withdrawal.comment import checked_why
from ci_scripts.withdrawal.own_comments import own_comments
from ci_scripts.withdrawal.selection import AT_ONCE, Selection, change_named, changes_listed
from ci_scripts.withdrawal.signature import signature_finder
from tests.fakes.operator_site import failure
from tests.withdrawal.gerrit_in_memory import OWN, said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("123", (123, 0)),
        (" 123,4 ", (123, 4)),
        ("123/4", (123, 4)),
        ("https://review.example.org/c/openstack/neutron/+/123", (123, 0)),
        ("https://review.example.org/c/openstack/neutron/+/123/4", (123, 4)),
        ("https://review.example.org/#/c/123/4/", (123, 4)),
        ("https://review.example.org/123", (123, 0)),
        ("http://review.example.org/r/123", (123, 0)),
    ],
)
def test_names_of_a_change(text: str, expected: tuple[int, int]) -> None:
    assert change_named(text, "--change") == expected


@pytest.mark.parametrize("text", ["", "0", "x", "-1", "123;456", "I0123456789", "123 OR status:open", "12345678901"])
def test_what_names_no_change(text: str) -> None:
    with pytest.raises(ConfigurationError, match="names no change"):
        change_named(text, "--change")


def test_a_list() -> None:
    text = "# bad day\n123\n\n456,2  # by hand\nhttps://review.example.org/#/c/789/1\n"
    assert changes_listed(text, "list.txt") == [(123, 0), (456, 2), (789, 1)]
    with pytest.raises(ConfigurationError, match="list.txt:2"):
        changes_listed("1\nx\n", "list.txt")
    with pytest.raises(ConfigurationError, match="lists no change"):
        changes_listed("# nothing\n", "list.txt")


def test_what_gerrit_is_asked() -> None:
    since = datetime(2026, 1, 31, 12, tzinfo=UTC)
    (query,) = Selection(since=since, projects=("a", "b")).queries()
    assert 'after:"2026-01-31 12:00:00 +0000"' in query and '(project:"a" OR project:"b")' in query
    many = Selection(changes=tuple((number, 0) for number in range(1, AT_ONCE + 2)), projects=("a",)).queries()
    assert len(many) == 2 and all('project:"a"' in query for query in many)


@pytest.mark.parametrize("why", ["", "  ", "two\nlines", "- a bullet", "x" * 501, "\x1b[2J"])
def test_a_why_that_would_spoil_the_comment(why: str) -> None:
    with pytest.raises(ConfigurationError, match="--why"):
        checked_why(why)


def test_a_why_ends_like_a_sentence() -> None:
    assert checked_why("the lab was offline") == "the lab was offline."
    assert checked_why("the lab was offline!") == "the lab was offline!"


def test_signatures(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    (tmp_path / "ci.yaml").write_text(
        "name: Demo CI\nwiki: https://wiki.example.org/Demo_CI\n"
        "driver: {project: a/b, source: https://git.example.org/b}\n"
        f"logs: {{publish_to: {logs}, url: https://logs.example.org/ci/}}\n"
    )
    settings = load_settings(tmp_path / "ci.yaml", environment={"HOME": str(tmp_path)})
    link = "https://logs.example.org/ci/01/1/1/check/demo/1a2b3c/"
    folder = logs / "01/1/1/check/demo/1a2b3c"
    folder.mkdir(parents=True)
    evidence = [{"kind": "signature", "text": "disk-full: a disk is full"}, {"kind": "signature", "text": 1}, "x"]
    (folder / "verdict.json").write_text(json.dumps({"evidence": evidence}))
    published = failure().replace("https://logs.example.org/20260131T120000Z-1a2b3c/", link)
    outside = published.replace("/01/1/1/", "/../../01/")
    texts = [published, outside, failure(), failure() + "\nBecause: disk-full: x", failure() + "\nBecause: disk-full-2"]
    texts.append(failure() + "\nBecause: OSError: [Errno 28] No space left on device")
    has = signature_finder(settings, "disk-full")
    found = [has(comment) for text in texts for comment in own_comments([said("m", text)], OWN)]
    assert found == [True, False, False, True, False, True]
    with pytest.raises(ConfigurationError, match="there is no signature"):
        signature_finder(settings, "nonsense")
