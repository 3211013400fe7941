"""Where a project's unit tests are, as the project tells stestr."""

from __future__ import annotations

from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.settings_unit_tests import UnitTests
from ci_scripts.unit_tests.discovery import Discovery, read_discovery

INI = "[DEFAULT]\ntest_path=${OS_TEST_PATH:-./neutron/tests/unit}\ntop_dir=./\n"
TOML = "[tool.stestr]\ntest_path = \"./a\"\ngroup_regex = '([^\\.]+\\.)+'\n"
TOX = "[tox]\nenvlist = py3\n[testenv]\ndeps = %(x)s\n[stestr]\ntest_path=./b\ntop_dir=./src\nparallel_class=True\n"


def discovery(folder: Path, files: dict[str, str], **wanted: str) -> Discovery:
    for name, text in files.items():
        (folder / name).write_text(text)
    return read_discovery(folder, UnitTests.model_validate(wanted))


def test_the_three_places_in_stestrs_order(tmp_path: Path) -> None:
    files = {".stestr.conf": INI, "pyproject.toml": TOML, "tox.ini": TOX}
    assert discovery(tmp_path, files) == Discovery("${OS_TEST_PATH:-./neutron/tests/unit}", "./", None)
    (tmp_path / ".stestr.conf").unlink()
    assert read_discovery(tmp_path, UnitTests()) == Discovery("./a", "./", r"([^\.]+\.)+")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert read_discovery(tmp_path, UnitTests()) == Discovery("./b", "./src", r"([^\.]*\.)*")


def test_ci_yaml_wins(tmp_path: Path) -> None:
    found = discovery(tmp_path, {".stestr.conf": INI}, test_path="./c", top_dir="./d")
    assert (found.test_path, found.top_dir) == ("./c", "./d")
    assert discovery(tmp_path, {".stestr.conf": ""}, test_path="./c").top_dir == "./"


def test_tests_of_a_group_have_one_name() -> None:
    each, classes = Discovery(".", ".", None), Discovery(".", ".", r"([^\.]*\.)*")
    assert each.group_of("a.B.test_c") == "a.B.test_c"
    assert classes.group_of("a.B.test_c") == classes.group_of("a.B.test_d") == "a.B."
    assert Discovery(".", ".", r"no\.").group_of("a.B.test_c") == "a.B.test_c"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "does not say where its unit tests are"),
        ({"tox.ini": "[tox]\n"}, "unit_tests.test_path"),
        ({".stestr.conf": "test_path=./a\n"}, "cannot be read"),
        ({"pyproject.toml": "[tool.stestr\n"}, "cannot be read"),
        ({".stestr.conf": "[DEFAULT]\ntest_path=./a\ngroup_regex=(\n"}, "no regular expression"),
        ({".stestr.conf": '[DEFAULT]\ntest_path=./a" --list; echo "b\n'}, "could not use the path"),
        ({".stestr.conf": "[DEFAULT]\ntest_path=`id`\n"}, "could not use the path"),
    ],
)
def test_what_cannot_be_used(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(InfrastructureError, match="(?s)" + said) as caught:
        discovery(tmp_path, files)
    assert said in str(caught.value)
