"""An OpenStack, a Tempest and a driver that cost nothing, under the real commands, supervisor, git and uv.

The packages are small wheels in a folder that uv takes for the only index, so ci-prepare-gate makes real environments
of them. What they do is controlled by files: see the modules in inside/, which are what the wheels hold.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import subunit

from ci_scripts.workspace import Workspace
from tests.fakes.left_behind import kill_all, left_behind, processes_about
from tests.fakes.waiting import wait_for
from tests.fakes.wheels import write_wheel
from tests.repositories import Remote

INSIDE = Path(__file__).with_name("inside")
PROJECT = "example/fake-driver"
CLASS = "tempest.api.network.test_fake.FakeTest"
TESTS = {f"{CLASS}.test_first": "pass", f"{CLASS}.test_second": "skip", f"{CLASS}Other.test_third": "pass"}
SECONDS = 60
PYPROJECT = """\
[build-system]
requires = []
build-backend = "build_backend"
backend-path = ["."]

[project]
name = "fake-driver"
dynamic = ["version", "dependencies", "entry-points"]
"""


@dataclass(frozen=True)
class Ended:
    """What a command left: exit code, standard output, standard error, and how long it took in seconds."""

    exit_code: int
    output: str
    errors: str
    seconds: float

    def paragraph(self, name: str) -> str:
        """The error of command ``name``: the end of standard error, checked to be one paragraph with a next step."""
        assert "Traceback" not in self.errors, self.errors
        begin = self.errors.rfind(f"{name}: ")
        assert begin >= 0, f"no error of {name} in: {self.errors}"
        text = self.errors[begin:]
        assert "\n\n" not in text, text
        return text


def installed(name: str) -> str:
    """The path of one of our installed commands."""
    return str(Path(sys.executable).with_name(name))


def driver_files(**changes: Any) -> dict[str, str]:
    """The files of a fake driver; ``requires``, ``entry_points`` and ``module`` (its source) may differ."""
    about = {
        "name": "fake-driver",
        "version": "1.0",
        "requires": changes.get("requires", []),
        "entry_points": changes.get("entry_points", {"fake": "fake_driver:FakeDriver"}),
    }
    return {
        "pyproject.toml": PYPROJECT,
        "build_backend.py": (INSIDE / "build_backend.py").read_text(),
        "driver.json": json.dumps(about),
        "fake_driver.py": changes.get("module", "class FakeDriver: pass\n"),
    }


def behaving(**tests: str) -> dict[str, str]:
    """``driver_files`` of a driver that does this to tests of CLASS, by name; see "driver" in inside/runner.py."""
    behaviour = {f"{CLASS}.{name}": what for name, what in tests.items()}
    return driver_files(module=f"class FakeDriver:\n    behaviour = {behaviour!r}\n")


def make_wheels(folder: Path) -> Path:
    """The packages that the local gate asks for."""
    stubs = {"neutron_stubs.py": (INSIDE / "neutron_stubs.py").read_text()}
    # The runner needs the subunit package of the tests' own environment.
    ours = {"ours.pth": f"{Path(subunit.__file__).parent.parent}\n"}
    tempest = {
        "tempest/__init__.py": "",
        "tempest/test_discover/__init__.py": "",
        "stestr/__init__.py": "",
        "stestr/subunit_runner/__init__.py": "",
        "stestr/subunit_runner/run.py": (INSIDE / "runner.py").read_text(),
    }
    manage, uwsgi = (INSIDE / "keystone_manage.py").read_text(), (INSIDE / "pyuwsgi.py").read_text()
    write_wheel(folder, "keystone", "30.0.0", {}, scripts={"keystone-manage": manage})
    write_wheel(folder, "neutron", "29.0.0", {**stubs, "stubs.pth": "import neutron_stubs; neutron_stubs.install()\n"})
    write_wheel(folder, "pyuwsgi", "2.0.30", {}, scripts={"pyuwsgi": uwsgi})
    write_wheel(folder, "PyMySQL", "1.1.0", {})
    write_wheel(folder, "tempest", "47.0.0", {**tempest, **ours})
    return folder


class FakeIndex:
    """What the tests of one process share: wheels, uv's cache, ours, and the driver's repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = make_wheels(folder / "wheels")
        self.uv_settings = folder / "uv.toml"
        self.uv_settings.write_text(f"no-index = true\nfind-links = [{json.dumps(str(self.wheels))}]\n")
        self.driver = Remote(folder / "server" / PROJECT)
        self.driver.commit(driver_files())
        self.driver.change(1, 1, {"doc.txt": "harmless\n"})
        self.cache = folder / "cache"
        self._prepared: Path | None = None

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "UV_CONFIG_FILE": str(self.uv_settings),
            "UV_CACHE_DIR": str(self.folder / "uv"),
        }

    def prepared(self) -> Path:
        """A workspace with the driver of change 1,1 installed; to be copied."""
        if self._prepared is None:
            shutil.rmtree(self.folder / "prepared", ignore_errors=True)
            site = FakeSite(self.folder / "prepared", self)
            for words in (["ci-prepare-gate", *site.change_flags()], ["ci-install-driver"]):
                done = site.command(*words)
                assert done.exit_code == 0, done.errors
            self._prepared = site.workspace.root
        return self._prepared


class FakeSite:
    """One test's folder: ``run`` (the workspace), ci.yaml, and ``control``, whose files say what the fakes do."""

    def __init__(self, folder: Path, index: FakeIndex) -> None:
        self.folder = folder
        self.index = index
        self.control = folder / "control"
        self.control.mkdir(parents=True)
        self.workspace = Workspace(folder / "run")
        self.config = folder / "ci.yaml"
        self.variables: dict[str, str] = {}
        self.of_the_test: set[int] = set()
        self.write_config()
        self.tests(TESTS)

    def write_config(self, **sections: Any) -> None:
        """ci.yaml with these sections; ``gate`` is merged with the usual one."""
        content = {
            "name": "Example Networks CI",
            "wiki": "https://wiki.example.org/Example_Networks_CI",
            "cache_dir": str(self.index.cache),
            "driver": {
                "project": PROJECT,
                "source": self.index.driver.url,
                "neutron_config": {"ml2_conf.ini": {"ml2": {"mechanism_drivers": "logger,fake"}}},
            },
            "tempest": {"regex": "^tempest"},
            **sections,
            "gate": {"kind": "local", "shards": 1, "user": None, **sections.get("gate", {})},
        }
        self.config.write_text(json.dumps(content, indent=1))

    def tests(self, tests: Mapping[str, str]) -> None:
        """What Tempest has, and what each test does."""
        (self.control / "tempest.json").write_text(json.dumps(dict(tests)))

    def behave(self, service: str, **how: Any) -> None:
        (self.control / f"{service}.json").write_text(json.dumps(how))

    def use_driver(self, before: Mapping[str, str], change: Mapping[str, str], **sections: Any) -> Remote:
        """Test a driver of this site's own from now on: the files of its branch, and those that change 1,1 changes."""
        remote = Remote(self.folder / "server" / PROJECT)
        remote.commit(before)
        remote.change(1, 1, change)
        config = {"ml2_conf.ini": {"ml2": {"mechanism_drivers": "logger,fake"}}}
        driver = {"project": PROJECT, "source": remote.url, "neutron_config": config}
        self.write_config(driver=driver, **sections)
        return remote

    def prepare(self) -> None:
        """As ci-prepare-gate and ci-install-driver leave it, by a copy."""
        subprocess.run(["cp", "-a", str(self.index.prepared()), str(self.workspace.root)], check=True)
        run = json.loads(self.workspace.run_json.read_text())
        self.workspace.run_json.write_text(json.dumps({**run, "config": str(self.config)}))
        shutil.rmtree(self.workspace.stages_dir)
        self.workspace.make_folders()

    def change_flags(self, change: str = "1,1") -> list[str]:
        return ["--config", str(self.config), "--change", change, "--project", PROJECT]

    def environment(self) -> dict[str, str]:
        own = {"BUILD_FAKE_OPENSTACK": str(self.control), "WORKSPACE": str(self.workspace.root)}
        return {**self.index.environment(), **own, **self.variables}

    def begin(self, name: str, *arguments: str) -> subprocess.Popen[str]:
        """Start an installed command, as a terminal or Jenkins would: in a session of its own."""
        return subprocess.Popen(
            [installed(name), *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str], seconds: float = SECONDS) -> Ended:
        began = time.monotonic()
        try:
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            raise AssertionError(f"{process.args!r} did not end: {output}{errors}") from None
        return Ended(process.returncode, output, errors, time.monotonic() - began)

    def command(self, name: str, *arguments: str) -> Ended:
        """Run an installed command to its end."""
        return self.end(self.begin(name, *arguments))

    def stage(self, name: str) -> dict[str, Any]:
        """stages/<name>.json."""
        found: dict[str, Any] = json.loads((self.workspace.stages_dir / f"{name}.json").read_text())
        return found

    def verdict(self) -> dict[str, Any]:
        """verdict.json."""
        found: dict[str, Any] = json.loads(self.workspace.verdict_json.read_text())
        return found

    def trials(self) -> list[str]:
        """The names of the trials' folders in their order."""
        folder = self.workspace.root / "trials"
        found = [path.name for path in folder.iterdir() if path.name[0].isdigit()] if folder.exists() else []
        return sorted(found, key=lambda name: int(name.partition("-")[0]))

    def wait_for_words(self, words: str) -> None:
        """Until logs/console.log holds them."""
        log = self.workspace.console_log
        wait_for(lambda: log.exists() and words in log.read_text(), f"{words!r} in {log}")

    def wait_for_file(self, name: str) -> None:
        """Until a fake has touched this file of ``control``."""
        wait_for((self.control / name).exists, f"file {name}")

    def services(self) -> dict[str, dict[str, Any]]:
        """The gate's status, service by name."""
        status = json.loads(self.workspace.gate_status.read_text())
        return {service["name"]: service for service in status["services"]}

    def left(self) -> list[str]:
        """What is left of this test's commands, in words."""
        return left_behind(self.folder, frozenset(self.of_the_test))

    def processes(self) -> Sequence[int]:
        return [pid for pid in processes_about(self.folder) if pid not in self.of_the_test]

    def clear(self) -> None:
        kill_all(self.folder, frozenset(self.of_the_test))
