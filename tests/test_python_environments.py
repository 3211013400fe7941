"""Environments with real uv and small wheels: resolved anew, cached by the result, a copy for each run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ci_scripts.errors import InfrastructureError
from ci_scripts.python_environments import (
    Checkout,
    Places,
    Requirements,
    distribution_of,
    installed_packages,
    pinned_version,
    prepare_environment,
    required_by,
    site_packages,
)
from tests.fakes.fake_openstack import FakeIndex, driver_files
from tests.fakes.left_behind import is_held
from tests.fakes.wheels import write_wheel


class Site:
    """An index of its own, a cache, and runs."""

    def __init__(self, folder: Path, index: FakeIndex) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        settings = folder / "uv.toml"
        settings.write_text(f"no-index = true\nfind-links = ['{self.wheels}']\n")
        # What makes a build of the fake driver wait is asked for in this folder.
        own = {"UV_CONFIG_FILE": str(settings), "BUILD_FAKE_OPENSTACK": str(folder)}
        self.env = {**index.environment(), **own}
        self.add("alpha", "1.0", requires=["beta"])
        self.add("beta", "1.0")

    def add(self, name: str, version: str, requires: tuple[str, ...] | list[str] = ()) -> None:
        files = {f"{name}.py": f"version = '{version}'\n"}
        write_wheel(self.wheels, name, version, files, requires=requires)

    def prepare(self, run: str, *checkouts: Checkout, constraints: str | None = None, like: str | None = None) -> Path:
        environments = self.folder / run / "environments"
        environments.mkdir(parents=True)
        paths = []
        if constraints is not None:
            paths.append(self.folder / run / "constraints.txt")
            paths[0].write_text(constraints)
        wanted = Requirements("openstack", ["alpha"], checkouts, paths, sys.executable)
        before = self.folder / like / "environments" if like else None
        places = Places(environments, self.folder / "cache", self.folder / run / "logs", before)
        return prepare_environment(wanted, places, self.env)

    def packages(self, environment: Path) -> list[str]:
        return installed_packages(environment, self.env).split()

    def cached(self) -> list[Path]:
        return [path.parent for path in self.folder.glob("cache/environments/*/.complete")]


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Site:
    return Site(tmp_path, fake_index)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "src" / "driver"
    folder.mkdir(parents=True)
    for name, text in driver_files(requires=["alpha"]).items():
        (folder / name).write_text(text)
    return Checkout(folder)


def test_two_runs_share_the_cache_and_nothing_else(site: Site) -> None:
    first, second = site.prepare("one"), site.prepare("two")
    assert site.packages(first) == site.packages(second) == ["alpha==1.0", "beta==1.0"]
    assert len(site.cached()) == 1
    (site_packages(first) / "alpha.py").write_text("version = 'broken by a run'\n")
    for environment in (second, site.prepare("three")):
        argv = [str(environment / "bin" / "python"), "-c", "import alpha; print(alpha.version)"]
        assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "1.0\n"


def test_a_library_that_moved_is_seen_by_the_next_run(site: Site) -> None:
    site.prepare("one")
    site.add("beta", "1.1")
    assert site.packages(site.prepare("two")) == ["alpha==1.0", "beta==1.1"]
    assert len(site.cached()) == 2


def test_constraints_hold(site: Site) -> None:
    site.add("beta", "1.1")
    assert site.packages(site.prepare("one", constraints="beta===1.0\n")) == ["alpha==1.0", "beta==1.0"]


def test_a_checkout_takes_the_place_of_the_release(site: Site, checkout: Checkout) -> None:
    environment = site.prepare("one", checkout, constraints="fake-driver===0.9\nbeta===1.0\n")
    found = site.packages(environment)
    assert [line.split(" ")[0] for line in found][:2] == ["alpha==1.0", "beta==1.0"]
    assert any(line.startswith("fake-driver") for line in found)
    # What a change under test brings never gets into the cache.
    (cached,) = site.cached()
    assert not (site_packages(cached) / "fake_driver.py").exists()


def test_an_environment_like_that_of_another_run_has_its_packages_although_newer_ones_came(site: Site) -> None:
    before = site.packages(site.prepare("one"))
    site.add("beta", "2.0")
    assert site.packages(site.prepare("two", like="one")) == before == ["alpha==1.0", "beta==1.0"]
    assert site.packages(site.prepare("three")) == ["alpha==1.0", "beta==2.0"]
    # The trial of a trial's run, too.
    assert site.packages(site.prepare("four", like="two")) == before


def driver_that(requires: list[str], folder: Path) -> Checkout:
    folder.mkdir(parents=True)
    for name, text in driver_files(requires=requires).items():
        (folder / name).write_text(text)
    return Checkout(folder)


def test_a_checkout_that_requires_the_same_has_the_packages_of_the_other_run(site: Site, tmp_path: Path) -> None:
    site.prepare("one", driver_that(["beta", "alpha"], tmp_path / "a" / "driver"))
    site.add("beta", "2.0")
    found = site.packages(site.prepare("two", driver_that(["alpha", "beta"], tmp_path / "b" / "driver"), like="one"))
    assert "beta==1.0" in found


@pytest.mark.parametrize("requires", [[], ["alpha", "beta>=2"], ["alpha", "beta!=1.5"]])
def test_a_checkout_that_requires_something_else_is_resolved_anew(
    site: Site, tmp_path: Path, requires: list[str]
) -> None:
    site.prepare("one", driver_that(["alpha", "beta"], tmp_path / "a" / "driver"))
    site.add("beta", "2.0")
    found = site.packages(site.prepare("two", driver_that(requires, tmp_path / "b" / "driver"), like="one"))
    assert "beta==2.0" in found


def test_a_run_whose_environment_was_never_resolved_is_no_example(site: Site, checkout: Checkout) -> None:
    (site.folder / "one" / "environments").mkdir(parents=True)
    assert "beta==1.0" in site.packages(site.prepare("two", checkout, like="one"))


def test_the_constraints_of_the_other_run_come_with_its_packages(site: Site) -> None:
    site.prepare("one", constraints="beta===1.0\n")
    site.prepare("two", constraints="beta===1.0\n", like="one")

    def constraints(run: str) -> list[str]:
        return [path.read_text() for path in site.folder.glob(f"{run}/environments/openstack-constraints-*.txt")]

    assert constraints("two") == constraints("one") == ["beta===1.0\n"]


def test_what_a_wheel_requires(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, "gamma", "1.0", {}, requires=["beta>=1", "alpha; python_version > '3'"])
    assert required_by(wheel) == ["alpha; python_version > '3'", "beta>=1"]
    assert required_by(write_wheel(tmp_path, "delta", "1.0", {})) == []


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_wheel_is_named(tmp_path: Path, content: bytes | None) -> None:
    wheel = tmp_path / "gamma-1.0-py3-none-any.whl"
    if content is not None:
        wheel.write_bytes(content)
    with pytest.raises(InfrastructureError, match=r"gamma-1\.0-py3-none-any\.whl is damaged"):
        required_by(wheel)


def test_what_cannot_be_resolved_names_cause_and_log(site: Site) -> None:
    site.add("alpha", "2.0", requires=["no-such-library"])
    with pytest.raises(
        InfrastructureError, match="the packages for openstack could not be resolved.*no-such-library"
    ) as e:
        site.prepare("one", constraints="alpha==2.0\n")
    assert e.value.log == site.folder / "one" / "logs" / "environment-openstack.log"
    assert "no-such-library" in e.value.log.read_text()
    assert not any(is_held(lock) for lock in site.folder.glob("cache/**/*.lock"))
    # It was not the cache's fault: the next run works.
    assert site.prepare("two", constraints="alpha==1.0\n").is_dir()


def test_an_environment_that_was_left_half_made_is_made_again(site: Site) -> None:
    site.prepare("one")
    (cached,) = site.cached()
    (cached / ".complete").unlink()
    (cached / "bin" / "python").unlink()
    assert site.packages(site.prepare("two")) == ["alpha==1.0", "beta==1.0"]


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("pyproject.toml", "[project]\nname = 'from-pyproject'\n", "from-pyproject"),
        ("setup.cfg", "[metadata]\nname = from-setup-cfg\n", "from-setup-cfg"),
        ("pyproject.toml", "[build-system]\nrequires = []\n", "folder"),
        ("pyproject.toml", "not toml [", "folder"),
        ("setup.cfg", "no section\n", "folder"),
    ],
)
def test_the_name_of_a_source_tree(tmp_path: Path, file: str, text: str, name: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / file).write_text(text)
    assert distribution_of(folder) == name


@pytest.mark.parametrize("name", ["--index-url=http://evil", "a b", "a\\n-e evil", "", "a;b", "-"])
def test_a_hostile_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    with pytest.raises(InfrastructureError, match="which is no name of a distribution"):
        distribution_of(tmp_path)


def test_the_version_that_constraints_pin(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("# x\nOslo.Config===9.1 ; python_version > '3'\nneutron == 29.0.0\n")
    assert pinned_version([tmp_path / "c"], "oslo-config") == "9.1"
    assert pinned_version([tmp_path / "c"], "neutron") == "29.0.0"
    assert pinned_version([tmp_path / "c"], "keystone") is None


def test_a_folder_that_is_no_environment(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="is no Python environment"):
        site_packages(tmp_path)
