from __future__ import annotations

import base64

import pytest

from ci_scripts.gerrit_trigger import base_of_change_page, comment_text, words_of_gerrit_trigger

ENVIRONMENT = {
    "GERRIT_PROJECT": "openstack/neutron",
    "GERRIT_BRANCH": "stable/2026.1",
    "GERRIT_CHANGE_NUMBER": "7",
    "GERRIT_PATCHSET_NUMBER": "2",
    "GERRIT_HOST": "review.example.org",
    "GERRIT_PORT": "29418",
    "GERRIT_SCHEME": "ssh",
}


def url(**more: str) -> str | None:
    words = words_of_gerrit_trigger({**ENVIRONMENT, **more})
    assert words is not None
    word = words["url"]
    return word.value if word else None


@pytest.mark.parametrize(
    ("page", "root"),
    [
        ("https://review.example.org/7", "https://review.example.org"),
        ("https://review.example.org/r/7", "https://review.example.org/r"),
        ("https://review.example.org/7/", "https://review.example.org"),
        ("https://review.example.org/#/c/7/", "https://review.example.org"),
        ("https://review.example.org/r/#/c/7/2", "https://review.example.org/r"),
        ("https://review.example.org/c/openstack/neutron/+/7", "https://review.example.org"),
        ("https://review.example.org/r/c/openstack/neutron/+/7/2", "https://review.example.org/r"),
        ("https://review.example.org/c/7/", "https://review.example.org"),
        ("https://review.example.org/c/other/+/7", None),
        ("https://review.example.org/", None),
        ("7", None),
        ("", None),
    ],
)
def test_gerrit_s_root_is_found_in_the_address_of_a_change(page: str, root: str | None) -> None:
    assert base_of_change_page(page, "openstack/neutron") == root


def test_the_web_address_goes_before_ssh_which_needs_a_key() -> None:
    page = "https://review.example.org/c/openstack/neutron/+/7"
    assert url(GERRIT_CHANGE_URL=page) == "https://review.example.org/openstack/neutron"
    assert url() == "ssh://review.example.org:29418/openstack/neutron"
    assert url(GERRIT_SCHEME="https") == "https://review.example.org/openstack/neutron"
    assert url(GERRIT_HOST="") is None


def test_the_ref_follows_from_the_numbers_where_it_is_missing() -> None:
    words = words_of_gerrit_trigger(ENVIRONMENT)
    assert words is not None
    assert words["ref"] == ("GERRIT_CHANGE_NUMBER", "refs/changes/07/7/2")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (base64.b64encode("Patch Set 2:\n\nrecheck – bitte".encode()).decode(), "Patch Set 2:\n\nrecheck – bitte"),
        ("Patch Set 2:\n\nrecheck", "Patch Set 2:\n\nrecheck"),
        ("recheck", "recheck"),
        ("rechecks", "rechecks"),
        ('Patch Set 2: \\"quoted\\"', 'Patch Set 2: \\"quoted\\"'),
        (base64.b64encode(b"a\x1b[2J\r\nb\0").decode(), "a\ufffd[2J\nb\ufffd"),
        (base64.b64encode(b"x" * 90).decode()[:76] + "\n" + base64.b64encode(b"x" * 90).decode()[76:], "x" * 90),
        (base64.b64encode(b"y" * 100_000).decode(), "y" * 16384),
    ],
)
def test_comments_are_read_in_every_mode_of_the_plug_in(value: str, text: str) -> None:
    assert comment_text(value) == text
