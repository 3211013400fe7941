from __future__ import annotations

import re
import subprocess
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci_scripts import untrusted_words
from ci_scripts.errors import ConfigurationError
from ci_scripts.untrusted_words import Inspection, Word

RULES: dict[str, Callable[[str], str | None]] = {
    name: getattr(untrusted_words, name) for name in dir(untrusted_words) if re.fullmatch(r"[a-z]+.*_problem", name)
}
REVISION = "0123456789abcdef0123456789abcdef01234567"
GOOD = [
    ("project", "openstack/neutron"),
    ("project", "networking-example"),
    ("project", "mediawiki/extensions/MobileFrontend"),
    ("project", "qt/qtbase"),
    ("project", "c++/lib"),
    ("branch", "master"),
    ("branch", "stable/2026.1"),
    ("branch", "feature/a_b-c"),
    ("branch", "unmaintained/zed"),
    ("ref", "refs/changes/01/1/1"),
    ("ref", "refs/changes/94/408294/12"),
    ("ref", "refs/zuul/master/Z8054bc24de3e47bd85ab550e02465160"),
    ("ref", "refs/zuul/stable/2026.1/Z8054bc24de3e47bd85ab550e02465160"),
    ("ref_by_hand", "refs/heads/stable/2026.1"),
    ("url", "https://review.example.org/r/openstack/neutron"),
    ("url", "http://127.0.0.1:8080/a.git"),
    ("url", "ssh://jenkins@review.example.org:29418/openstack/neutron"),
    ("url", "git://git.example.org/openstack/neutron"),
    ("url", "https://[::1]:8443/a"),
    ("url", "file:///srv/git/neutron"),
    ("url_by_hand", "/srv/git/my neutron"),
    ("web_url", "https://review.example.org/c/openstack/neutron/+/1"),
    ("web_url", "https://review.example.org/#/c/123/"),
    ("revision", REVISION),
    ("number", "408294"),
    ("word", "patchset-created"),
    ("word", "86deca87c8af4cd3830520d95f20cd26"),
]
BAD = [
    ("project", "-x"),
    ("project", "../etc"),
    ("project", "a/../b"),
    ("project", "/etc"),
    ("project", "a//b"),
    ("project", "a/"),
    ("project", "a/.git"),
    ("project", "a/-b"),
    ("project", "a\n"),
    ("project", "a b"),
    ("project", ""),
    ("project", "a" * 2000),
    ("project", "~root"),
    ("branch", "--upload-pack=touch x"),
    ("branch", "a..b"),
    ("branch", "a.lock"),
    ("branch", "a/.b"),
    ("branch", "a@{1}"),
    ("branch", "@"),
    ("branch", "a:b"),
    ("branch", "+a"),
    ("branch", "a^"),
    ("branch", "a~1"),
    ("branch", "master\n"),
    ("branch", "ма́стер"),
    ("ref", "refs/changes/01/1"),
    ("ref", "refs/changes/1/1/1"),
    ("ref", "refs/changes/01/1/1\n"),
    ("ref", "refs/changes/٠١/1/1"),
    ("ref", "refs/changes/01/1/1:refs/heads/master"),
    ("ref", "+refs/changes/01/1/1"),
    ("ref", "refs/zuul/--x/Z8054bc24de3e47bd85ab550e02465160"),
    ("ref", "refs/zuul/../Z8054bc24de3e47bd85ab550e02465160"),
    ("ref", "refs/heads/master"),
    ("ref", "HEAD"),
    ("ref_by_hand", "refs/heads/../x"),
    ("ref_by_hand", "--upload-pack=x"),
    ("url", "ext::sh -c id"),
    ("url", "fd::17"),
    ("url", "https::https://a/b"),
    ("url", "--upload-pack=id"),
    ("url", "ssh://-oProxyCommand=id/x"),
    ("url", "ssh://a@-oProxyCommand=id/x"),
    ("url", "git@host:path"),
    ("url", "/srv/git"),
    ("url", "file://host/x"),
    ("url", "https://a/../b"),
    ("url", "https://user:password@a/b"),
    ("url", "https://a/b\nc"),
    ("url", "ftp://a/b"),
    ("url", "javascript:alert(1)"),
    ("url", "https://a/`id`"),
    ("url", "https://a/$(id)"),
    ("url", "HTTPS://a/b"),
    ("url_by_hand", "srv/git"),
    ("url_by_hand", "/srv/../etc"),
    ("url_by_hand", "/srv/\ngit"),
    ("url_by_hand", "ext::sh -c id"),
    ("web_url", "javascript:alert(1)"),
    ("web_url", "https://a/<script>"),
    ("web_url", 'https://a/"onclick='),
    ("revision", "HEAD"),
    ("revision", REVISION[:7]),
    ("revision", REVISION + "\n"),
    ("number", "0"),
    ("number", "1 "),
    ("number", "-1"),
    ("number", "١"),
    ("word", "a b"),
    ("word", ""),
]


@pytest.mark.parametrize(("rule", "value"), GOOD)
def test_usual_values_pass(rule: str, value: str) -> None:
    assert RULES[f"{rule}_problem"](value) is None


@pytest.mark.parametrize(("rule", "value"), BAD)
def test_hostile_values_do_not_pass(rule: str, value: str) -> None:
    assert RULES[f"{rule}_problem"](value)


_PIECES = ["-", "--upload-pack=", "..", "/", "ext::", "https://", "ssh://", "refs/", "changes/", "zuul/", "a", "01"]
_HOSTILE = st.one_of(
    st.text(max_size=40),
    st.lists(st.sampled_from([*_PIECES, "1", ".", "@", ":", "\n", "\0", "\x85", " ", "Z" + "0" * 32])).map("".join),
    st.sampled_from([value for _, value in GOOD]).flatmap(
        lambda good: st.tuples(st.integers(0, len(good)), st.text(max_size=3)).map(
            lambda cut: good[: cut[0]] + cut[1] + good[cut[0] :]
        )
    ),
)


@settings(deadline=None)
@given(value=_HOSTILE, rule=st.sampled_from(sorted(RULES)))
def test_nothing_that_passes_is_an_option_or_leaves_its_folder(value: str, rule: str) -> None:
    if RULES[rule](value) is not None:
        return
    assert value
    assert not value.startswith(("-", "+"))
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in value)
    assert value.isascii() or rule == "url_by_hand_problem"
    if rule == "web_url_problem":
        assert value.startswith(("http://", "https://"))
        return
    assert ".." not in value.split("/")
    if rule in ("url_problem", "url_by_hand_problem"):
        assert re.match(r"(https?|ssh|git|file)://[^-]|/", value)
        assert "@-" not in value.split("/")[2] if "://" in value else value.startswith("/")
    else:
        assert not any(part.startswith(("-", ".")) or part == "" for part in value.split("/"))


@settings(deadline=None)
@given(value=_HOSTILE)
def test_the_branches_and_refs_that_pass_are_ones_for_git_too(value: str) -> None:
    names = []
    if untrusted_words.branch_problem(value) is None:
        names.append(f"refs/heads/{value}")
    if untrusted_words.ref_by_hand_problem(value) is None:
        names.append(value)
    for name in names:
        command = ["git", "check-ref-format", name]
        assert subprocess.run(command, check=False, timeout=10).returncode == 0


def test_all_problems_are_told_at_once_and_shown_safely() -> None:
    inspection = Inspection()
    assert inspection.accept(Word("GERRIT_BRANCH", "--x\x1b[2J\n"), untrusted_words.branch_problem) is None
    assert inspection.require(None, untrusted_words.number_problem, "the change's number") == ""
    inspection.accept(Word("ZUUL_URL", "ext::" + "x" * 500), untrusted_words.url_problem)
    with pytest.raises(ConfigurationError) as caught:
        inspection.finish()
    text = str(caught.value)
    assert r"GERRIT_BRANCH = '--x\x1b[2J\n'" in text
    assert "the change's number is not given" in text
    assert "ZUUL_URL" in text
    assert "(cut)" in text
    assert len(text) < 700
    assert text.isprintable()


@settings(deadline=None)
@given(st.text())
def test_free_text_keeps_only_line_feeds(text: str) -> None:
    kept = untrusted_words.without_control_characters(text)
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in kept if character != "\n")


def test_refs_are_made_and_read() -> None:
    assert untrusted_words.ref_of_change("7", "2") == "refs/changes/07/7/2"
    assert untrusted_words.ref_of_change("408294", "1") == "refs/changes/94/408294/1"
    assert untrusted_words.change_of_ref("refs/changes/94/408294/1") == ("408294", "1")
    assert untrusted_words.change_of_ref("refs/heads/master") is None
