"""How a project finds its unit tests: what it tells stestr, read from the project itself.

The three places and their order are stestr's own (stestr's manual, "Configuration"): ``.stestr.conf``,
``[tool.stestr]`` of pyproject.toml, ``[stestr]`` of tox.ini.
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.errors import InfrastructureError

if TYPE_CHECKING:
    from ci_scripts.settings_unit_tests import UnitTests

LARGEST_FILE = 1024 * 1024
# stestr's for parallel_class: everything up to the last dot.
CLASS = r"([^\.]*\.)*"


@dataclass(frozen=True)
class Discovery:
    """``test_path`` and ``top_dir`` as the shell reads them between double quotes: stestr runs its command in one.

    ``group`` is a regular expression: tests in which it matches the same stay together. None: each for itself.
    """

    test_path: str
    top_dir: str
    group: str | None

    def group_of(self, test_id: str) -> str:
        """The name of a test's group."""
        match = re.match(self.group, test_id) if self.group is not None else None
        return match.group(0) if match else test_id


def read_discovery(checkout: Path, wanted: UnitTests) -> Discovery:
    """What the project says, less what ci.yaml says instead.

    Raises InfrastructureError where neither says where the tests are, or a file cannot be used.
    """
    said, where = _said(checkout)
    test_path = wanted.test_path or said.get("test_path")
    if not test_path:
        raise InfrastructureError(
            f"{checkout} does not say where its unit tests are (test_path of stestr, in .stestr.conf, pyproject.toml or"
            " tox.ini).",
            next_step="say it in ci.yaml: unit_tests.test_path.",
        )
    top_dir = wanted.top_dir or said.get("top_dir") or "./"
    for value in (test_path, top_dir):
        if re.search(r'["`\n\0]', value) or value.endswith("\\"):
            raise InfrastructureError(f"{where}: stestr could not use the path {value!r}.")
    group = CLASS if said.get("parallel_class", "").lower() in ("true", "yes", "on", "1") else said.get("group_regex")
    try:
        re.compile(group or "")
    except re.error as error:
        raise InfrastructureError(f"{where}: group_regex {group!r} is no regular expression: {error}.") from error
    return Discovery(test_path, top_dir, group or None)


def _said(checkout: Path) -> tuple[Mapping[str, str], Path]:
    ini, toml, tox = checkout / ".stestr.conf", checkout / "pyproject.toml", checkout / "tox.ini"
    if ini.is_file():
        return _of_ini(ini, "DEFAULT"), ini
    if toml.is_file() and (found := _of_toml(toml)) is not None:
        return found, toml
    return (_of_ini(tox, "stestr") if tox.is_file() else {}), tox


def _of_ini(path: Path, section: str) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(_text(path))
    except configparser.Error as error:
        raise InfrastructureError(f"{path} cannot be read: {error}.") from error
    if section != "DEFAULT" and not parser.has_section(section):
        return {}
    return dict(parser.items(section))


def _of_toml(path: Path) -> Mapping[str, str] | None:
    try:
        section = tomllib.loads(_text(path)).get("tool", {}).get("stestr")
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise InfrastructureError(f"{path} cannot be read: {error}.") from error
    return {str(key): str(value) for key, value in section.items()} if isinstance(section, dict) else None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_FILE).decode("utf-8", "replace")
    except OSError as error:
        raise InfrastructureError(f"{path} cannot be read: {error.strerror}.") from error
