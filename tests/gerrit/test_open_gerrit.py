"""Which server ci.yaml means, and how it is reached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit import open_gerrit
from ci_scripts.gerrit.rest import RestGerrit
from ci_scripts.gerrit.ssh import SshGerrit
from tests.fakes.fake_gerrit import FakeGerrit, settings_for, settings_with

REST = {"url": "https://review.example.org", "user": "demo-ci"}


def ssh(folder: Path) -> dict[str, Any]:
    known_hosts = folder / "known_hosts"
    known_hosts.write_text("")
    return {"host": "review.example.org", "known_hosts": str(known_hosts)}


def test_rest_where_there_is_a_password(tmp_path: Path) -> None:
    section = {**REST, "password_environment": "GERRIT_PASSWORD", "ssh": ssh(tmp_path)}
    gerrit = open_gerrit(settings_with(section), {"GERRIT_PASSWORD": "secret"})
    assert isinstance(gerrit, RestGerrit) and "secret" not in repr(gerrit._connection)


def test_ssh_where_there_is_none(tmp_path: Path) -> None:
    assert isinstance(open_gerrit(settings_with({**REST, "ssh": ssh(tmp_path)}), {}), SshGerrit)


def test_the_password_of_a_file(tmp_path: Path) -> None:
    with FakeGerrit() as fake:
        gerrit = open_gerrit(settings_with(settings_for(fake, tmp_path)), {})
        assert gerrit.own_account().name == "Demo CI"


@pytest.mark.parametrize("password", [{"password_environment": "NOT_SET"}, {"password_file": "/nonexistent/password"}])
def test_a_password_that_is_missing(password: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=r"HTTP password.*Next: .*gerrit\.password_"):
        open_gerrit(settings_with({**REST, **password}), {})


def test_no_section() -> None:
    settings = settings_with({**REST, "password_environment": "X"}).model_copy(update={"gerrit": None})
    with pytest.raises(ConfigurationError, match="no 'gerrit' section"):
        open_gerrit(settings, {})
