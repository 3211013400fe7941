"""Bad ci.yaml, no change, hostile words of a trigger: exit code 2, one paragraph, nothing done and nothing left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.fake_openstack import PROJECT, FakeSite

BROKEN = """\
name: Example Networks CI
wiki: https://wiki.example.org/Example_Networks_CI
gaet: {kind: local}
gate:
  shards: many
  hang_seconds: "60"
  hang_seconds: 30
driver:
  project: example/fake-driver
  source: https://git.example.org/fake-driver
  nutron_config: {}
tempest:
  regex: '('
"""
ZUUL = {
    "ZUUL_PROJECT": PROJECT,
    "ZUUL_BRANCH": "master",
    "ZUUL_CHANGE": "1",
    "ZUUL_PATCHSET": "1",
    "ZUUL_REF": "refs/zuul/master/Z1",
    "ZUUL_URL": "https://zuul.example.org/p",
}
GERRIT = {
    "GERRIT_PROJECT": "openstack/neutron",
    "GERRIT_BRANCH": "master",
    "GERRIT_CHANGE_NUMBER": "1",
    "GERRIT_PATCHSET_NUMBER": "1",
    "GERRIT_REFSPEC": "refs/changes/01/1/1",
    "GERRIT_HOST": "review.example.org",
    "GERRIT_SCHEME": "https",
}


@pytest.mark.parametrize("command", ["ci-prepare-gate", "ci-run-job"])
def test_everything_wrong_in_the_file_is_said_at_once(fake_site: FakeSite, command: str) -> None:
    fake_site.config.write_text(BROKEN)
    done = fake_site.command(command, *fake_site.change_flags())
    assert done.exit_code == 2
    said = done.paragraph(command)
    for line, words in [
        (3, "gaet"),
        (5, "gate.shards"),
        (7, "duplicate"),
        (11, "nutron_config"),
        (13, "tempest.regex"),
    ]:
        assert f"ci.yaml:{line}: " in said, said
        assert words in said
    assert "did you mean" in said
    assert "Next: " in said
    assert not fake_site.workspace.root.exists()


@pytest.mark.parametrize("command", ["ci-start-gate", "ci-run-gate", "ci-run-tempest", "ci-install-driver"])
def test_a_file_that_went_bad_after_the_preparation(prepared_site: FakeSite, command: str) -> None:
    prepared_site.config.write_text(BROKEN)
    done = prepared_site.command(command)
    assert done.exit_code == 2
    assert "ci.yaml has 6 problems" in done.paragraph(command)
    assert prepared_site.stage(command.removeprefix("ci-"))["exit_code"] == 2


def test_there_is_no_file(fake_site: FakeSite) -> None:
    fake_site.config.unlink()
    for command in ("ci-prepare-gate", "ci-run-job"):
        done = fake_site.command(command, *fake_site.change_flags())
        assert done.exit_code == 2
        assert f"{fake_site.config} cannot be read: No such file or directory." in done.paragraph(command)
        assert "--config" in done.paragraph(command)
    assert not fake_site.workspace.root.exists()


def test_a_file_that_the_configuration_names_is_missing(fake_site: FakeSite) -> None:
    fake_site.write_config(gate={"constraints": "pinned.txt"}, tempest={"exclude_list": "skip.txt"})
    done = fake_site.command("ci-run-job", *fake_site.change_flags())
    assert done.exit_code == 2
    said = done.paragraph("ci-run-job")
    assert f"there is no file {fake_site.folder / 'pinned.txt'}" in said
    assert f"there is no file {fake_site.folder / 'skip.txt'}" in said


@pytest.mark.parametrize("command", ["ci-prepare-gate", "ci-run-job"])
def test_no_change_is_given(fake_site: FakeSite, command: str) -> None:
    done = fake_site.command(command, "--config", str(fake_site.config))
    assert done.exit_code == 2
    said = done.paragraph(command)
    assert "change" in said
    assert "--change" in said
    assert "Next: " in said
    assert not fake_site.workspace.root.exists()


@pytest.mark.parametrize(
    ("trigger", "variable", "value"),
    [
        (ZUUL, "ZUUL_REF", "--upload-pack=touch OWNED"),
        (ZUUL, "ZUUL_REF", "refs/zuul/../../OWNED"),
        (ZUUL, "ZUUL_BRANCH", "-OWNED"),
        (ZUUL, "ZUUL_PROJECT", "../OWNED"),
        (ZUUL, "ZUUL_URL", "ext::sh -c touch% OWNED"),
        (ZUUL, "ZUUL_CHANGE", "1\nZUUL_PATCHSET=2"),
        (GERRIT, "GERRIT_REFSPEC", "-OWNED"),
        (GERRIT, "GERRIT_REFSPEC", "refs/changes/01/1/1\nOWNED"),
        (GERRIT, "GERRIT_PROJECT", "/etc/OWNED"),
        (GERRIT, "GERRIT_BRANCH", "master..OWNED"),
        (GERRIT, "GERRIT_HOST", "-oProxyCommand=OWNED"),
        (GERRIT, "GERRIT_SCHEME", "ext"),
    ],
)
def test_hostile_words_of_a_trigger(fake_site: FakeSite, trigger: dict[str, str], variable: str, value: str) -> None:
    # A project without an address in ci.yaml: that comes from the trigger.
    driver = {"project": PROJECT, "package": "fake-driver"}
    fake_site.write_config(driver=driver, projects={"openstack/neutron": {}} if trigger is GERRIT else {})
    fake_site.variables = {**trigger, variable: value}
    done = fake_site.command("ci-run-job", "--config", str(fake_site.config))
    assert done.exit_code == 2, done.errors
    said = done.paragraph("ci-run-job")
    # A broken line in a value must not forge one of the console.
    assert len(said.strip().splitlines()) == 1, said
    assert "Next: " in said
    assert variable in said, said
    assert not [path for path in fake_site.folder.rglob("*OWNED*")]
    assert not fake_site.workspace.root.exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--change", "1,1", "--project", PROJECT, "--ref", "--upload-pack=touch OWNED"],
        ["--change", "-1", "--project", PROJECT],
        ["--change", "1,1", "--project", "../../OWNED"],
        ["--change", "1,1", "--project", PROJECT, "--url", "ext::sh -c touch% OWNED"],
        ["--change", "1,1", "--project", PROJECT, "--branch", "a\nb"],
    ],
)
def test_hostile_flags(fake_site: FakeSite, flags: list[str]) -> None:
    done = fake_site.command("ci-prepare-gate", "--config", str(fake_site.config), *flags)
    assert done.exit_code == 2, done.errors
    assert len(done.paragraph("ci-prepare-gate").strip().splitlines()) == 1
    assert not [path for path in fake_site.folder.rglob("*OWNED*")]
    assert not fake_site.workspace.root.exists()


def test_a_workspace_without_a_run(fake_site: FakeSite, tmp_path: Path) -> None:
    for command in ("ci-start-gate", "ci-stop-gate", "ci-run-gate", "ci-install-driver", "ci-run-tempest"):
        done = fake_site.command(command, "--workspace", str(tmp_path / "nothing"))
        assert done.exit_code == 2
        assert "run ci-prepare-gate first" in done.paragraph(command)
    assert not (tmp_path / "nothing").exists()
