"""Files outside the package are found from a source tree and from a wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ci_scripts.errors import ConfigurationError
from ci_scripts.installed_files import installed_file
from ci_scripts.python_environments import uv_program

HOOKS = ["pre_test_hook.sh", "gate_hook.sh", "post_test_hook.sh"]
SOURCE = Path(__file__).parent.parent
ASK = "from ci_scripts.installed_files import installed_file; print(installed_file('devstack-hooks/gate_hook.sh'))"


@pytest.mark.parametrize("name", HOOKS)
def test_an_editable_install_has_them_beside_the_package(name: str) -> None:
    found = installed_file(f"devstack-hooks/{name}")
    assert found == SOURCE / "devstack-hooks" / name
    assert found.read_text().startswith("#!/usr/bin/env bash\n")


def test_what_is_nowhere_names_both_places() -> None:
    with pytest.raises(ConfigurationError, match=r"no-such-file is neither at .* nor at .*share/openstack-driver-ci"):
        installed_file("no-such-file")


def test_a_wheel_brings_them(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("ci_scripts", "devstack-hooks", "setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        subprocess.run(["cp", "-a", str(SOURCE / name), str(tree)], check=True)
    uv, env = uv_program(), dict(os.environ)

    def call(*words: str) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)
        if "could not" in done.stderr.lower() and "setuptools" in done.stderr:
            pytest.skip(f"no index to build from: {done.stderr.splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    environment = tmp_path / "environment"
    call(uv, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(tree))
    (wheel,) = tmp_path.glob("*.whl")
    call(uv, "venv", "--quiet", "--python", sys.executable, str(environment))
    python = str(environment / "bin" / "python")
    call(uv, "pip", "install", "--quiet", "--no-deps", "--python", python, str(wheel))
    found = Path(call(python, "-I", "-c", ASK))
    assert found == environment / "share" / "openstack-driver-ci" / "devstack-hooks" / "gate_hook.sh"
    assert sorted(path.name for path in found.parent.iterdir()) == sorted(HOOKS)
    package = next(environment.glob("lib/python3*/site-packages/ci_scripts"))
    assert (package / "gates" / "local" / "inside" / "neutron_app.py").exists()
    assert list((package / "views" / "templates").iterdir())
    assert (package / "py.typed").exists()
    assert not list(environment.glob("lib/python3*/site-packages/tests"))
