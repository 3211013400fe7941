"""What the settings take from whoever runs the job: the SSH agent, the home folder, passwords to mask."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.settings import load_settings, transfer_environment, values_to_mask

SMALL = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
driver:
  project: example/networking-example
  source: https://git.example.org/networking-example
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "ci.yaml"
    path.write_text(SMALL)
    return path


def test_only_git_reaches_the_ssh_agent() -> None:
    environment = {"PATH": "p", "SSH_AUTH_SOCK": "s", "GIT_SSH_COMMAND": "g", "GERRIT_PASSWORD": "x"}
    assert transfer_environment(environment) == {"PATH": "p", "SSH_AUTH_SOCK": "s", "GIT_SSH_COMMAND": "g"}


def test_secrets_are_masked_in_every_form_they_are_written_in(config: Path) -> None:
    config.write_text(SMALL + 'gate: {database: "mysql+pymysql://root:p%40ss@127.0.0.1/"}\n')
    settings = load_settings(config, environment={"HOME": "/home/jenkins"})
    found = values_to_mask(settings, {"lab": "a b/c", "key": "first line\nmore\nx"})
    assert {"a b/c", "a%20b/c", "a+b%2Fc", "p%40ss", "p@ss", "first line"} <= set(found)
    assert "" not in found and "x" not in found
    assert list(found) == sorted(found, key=lambda form: (-len(form), form))


def without_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home_is_told_what_to_set(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_home(monkeypatch)
    with pytest.raises(ConfigurationError, match="Next: set HOME, or cache_dir"):
        load_settings(config, environment={})
    config.write_text(SMALL + "cache_dir: /var/cache/ci\n")
    assert load_settings(config, environment={}).cache_dir == Path("/var/cache/ci")
    config.write_text(SMALL + "cache_dir: ~/cache\n")
    with pytest.raises(ConfigurationError, match="set HOME, or write the whole path"):
        load_settings(config, environment={})
