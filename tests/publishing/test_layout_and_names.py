"""Names of folders and files: checked where they are ours, made plain where they are a node's."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci_scripts.errors import ConfigurationError
from ci_scripts.publishing.layout import RunFolder, fits, names_for, short_run_id
from ci_scripts.publishing.names import Names, text_name


def test_the_layout() -> None:
    folder = RunFolder("12345", "2", "check", "example-tempest", "1a2b3c")
    assert folder.path == "45/12345/2/check/example-tempest/1a2b3c"
    assert RunFolder("7", "1", "check", "job", "r").path == "07/7/1/check/job/r"
    assert list(folder.parents())[0] == folder.parts[:-1] and list(folder.parents())[-1] == ()
    assert all(fits(folder.parts[:length]) for length in range(1, 7))


@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize(
    "word", ["", "..", "../x", "/etc", "-rf", ".hidden", "a/b", "a b", "a\n", "\u00e9", "x" * 101, "index.html"]
)
def test_what_is_not_plain_has_no_place(part: int, word: str) -> None:
    words = ["12345", "2", "check", "job", "run"]
    words[part] = word
    with pytest.raises(ConfigurationError, match="has no place"):
        RunFolder(*words)


@pytest.mark.parametrize(
    "parts",
    [
        (),
        ("4",),
        ("45", "12344"),
        ("45", "x45"),
        ("..",),
        ("45", "12345", "0"),
        ("45", "12345", "2", ".."),
        tuple("1234567"),
    ],
)
def test_other_folders_do_not_fit(parts: tuple[str, ...]) -> None:
    assert not fits(parts)


def test_short_run_ids() -> None:
    assert short_run_id("20260131T120000Z-1a2b3c", "x") == "1a2b3c"
    assert re.fullmatch("[0-9a-f]{7}", short_run_id("build-17", "x"))
    assert short_run_id("build-17", "x") != short_run_id("build-18", "x")
    assert short_run_id("", "x") != short_run_id("", "y")
    names = list(names_for("1a2b3c", "f" * 64))
    assert names[0] == "1a2b3c" and len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("neutron.log", "neutron.log.txt.gz"),
        ("packages.txt", "packages.txt.gz"),
        ("syslog.gz", "syslog.txt.gz"),
        ("neutron.log.1.gz", "neutron.log.1.txt.gz"),
        ("index.html", "index_html.txt.gz"),
        ("x.php", "x_php.txt.gz"),
        ("x.php.txt", "x_php.txt.gz"),
        ("x.PHP.log", "x_PHP.log.txt.gz"),
        ("web.config", "web_config.txt.gz"),
        (".htaccess", "_htaccess.txt.gz"),
        ("-rf", "_rf.txt.gz"),
        ("a b\n\x1b[31m<script>&\"'?#%.log", "a_b___31m_script_______.log.txt.gz"),
        ("\udcff\u00fc\u202e.log", "___.log.txt.gz"),
        (".gz", "_.txt.gz"),
        (".txt", "_txt.txt.gz"),
    ],
)
def test_names_of_a_node(name: str, published: str) -> None:
    assert text_name(("logs", name)) == ("logs", published)


ENDINGS = {"log", "out", "err", "txt", "conf", "ini", "json", "jsonl", "yaml", "yml", "csv", "gz"}


@given(parts=st.lists(st.text(min_size=1, max_size=300).filter(lambda text: "/" not in text), min_size=1, max_size=4))
def test_any_name_becomes_one_that_means_nothing_to_a_server(parts: list[str]) -> None:
    name = text_name(tuple(parts))
    assert len(name) == len(parts) and name[-1].endswith(".txt.gz")
    for part in name:
        assert set(part) <= set(string.ascii_letters + string.digits + "._+@=,-") and len(part) < 140
        assert part[0] not in ".-"
        assert all(ending.lower() in ENDINGS or ending.isdigit() for ending in part.split(".")[1:])


def test_no_two_files_have_one_name() -> None:
    names = Names()
    assert [names.claim(("x", "a.txt.gz")) for _ in range(3)] == [
        ("x", "a.txt.gz"),
        ("x", "a-2.txt.gz"),
        ("x", "a-3.txt.gz"),
    ]
    assert names.claim(("y", "a.txt.gz")) == ("y", "a.txt.gz")
