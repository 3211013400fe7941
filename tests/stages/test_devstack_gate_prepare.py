"""ci-prepare-gate on the kind devstack-gate: devstack-gate itself, and environment.sh with what the wrapper reads."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.fake_openstack import PROJECT, FakeIndex
from tests.fakes.standin_devstack_gate.site import SCRIPTS, GateSite
from tests.repositories import Remote, git


@pytest.fixture
def site(tmp_path: Path, fake_index: FakeIndex) -> Iterator[GateSite]:
    site = GateSite(tmp_path / "site", fake_index)
    try:
        yield site
        assert site.left() == []
    finally:
        site.clear()


def refused(site: GateSite, code: int = 2) -> str:
    done = site.command("ci-prepare-gate", *site.change_flags())
    assert done.exit_code == code, done.errors
    return done.paragraph("ci-prepare-gate")


def sourced(site: GateSite) -> dict[str, str]:
    """The variables of environment.sh as bash has them, and its functions as a bash below it has them."""
    words = 'set -eu; . "$1"; env -0; bash -c "declare -F" | tr "\\n" "\\0"'
    argv = ["bash", "-c", words, "bash", str(site.workspace.environment_sh)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(site.folder), "LANG": "de_DE.UTF-8", "LANGUAGE": "de"}
    done = subprocess.run(argv, env=env, cwd=site.folder, check=True, capture_output=True, text=True)
    return dict(entry.split("=", 1) if "=" in entry else (entry, "") for entry in done.stdout.split("\0") if entry)


def test_the_pinned_commit_is_checked_out_and_the_wrapper_copied_as_jobs_do(site: GateSite) -> None:
    site.prepare()
    assert git(site.layout.checkout, "rev-parse", "HEAD") == site.good
    known = {"source": site.devstack_gate.url, "ref": site.good, "commit": site.good}
    assert site.workspace.read_run()["gate"]["devstack_gate"] == known
    for name in SCRIPTS:
        assert (site.layout.checkout / name).is_file()
    assert site.layout.script.name == "safe-devstack-vm-gate-wrap.sh"
    assert site.layout.script.stat().st_mode & 0o111
    # Only BASE differs, which is a folder of this test.
    original = (site.layout.checkout / "devstack-vm-gate-wrap.sh").read_text()
    assert site.layout.script.read_text() == original.replace("BASE=/opt/stack", f"BASE={site.base}")


@pytest.mark.parametrize("ref", ["master", "retired"])
def test_the_retired_devstack_gate_is_refused_with_the_reason(site: GateSite, ref: str) -> None:
    git(site.devstack_gate.folder, "tag", "retired")
    site.write_config(gate={"devstack_gate": {"ref": ref}})
    reason = refused(site)
    assert f"devstack-gate at {ref} ({site.devstack_gate.tip()[:10]}) has no devstack-vm-gate-wrap.sh" in reason
    assert "it is retired upstream" in reason
    assert "gate.devstack_gate.ref" in reason and "9cfd5cca0a3b1dbfe8f1fefd836942d20425f172" in reason
    assert site.command("ci-summarize-results").exit_code == 3
    assert (site.verdict()["outcome"], site.verdict()["blame"]) == ("CONFIG_ERROR", "ci")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def plain_http(site: GateSite) -> Iterator[str]:
    """The repository as files on a web server: there git gets what branches point at, and no commit by its name."""
    bare = site.folder / "plain" / "devstack-gate"
    git(site.folder, "clone", "--quiet", "--bare", str(site.devstack_gate.folder), str(bare))
    git(bare, "update-server-info")
    handler = functools.partial(Quiet, directory=str(bare.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/devstack-gate"
        finally:
            server.shutdown()
            thread.join()


def test_the_commit_is_found_on_a_server_that_gives_branches_only(site: GateSite, plain_http: str) -> None:
    site.write_config(gate={"devstack_gate": {"source": plain_http}})
    site.prepare()
    assert git(site.layout.checkout, "rev-parse", "HEAD") == site.good


def test_a_commit_that_the_server_never_had(site: GateSite) -> None:
    site.write_config(gate={"devstack_gate": {"ref": "1" * 40}})
    reason = refused(site, 3)
    assert f"has no commit {'1' * 40}, neither by its name nor in the history of refs/heads/master" in reason
    assert "gate.devstack_gate in ci.yaml" in reason


def test_everything_that_the_wrapper_reads_is_exported(site: GateSite) -> None:
    site.write_config(tempest={"regex": "^tempest\\.api\\.network'"})
    site.prepare()
    found = sourced(site)
    run = site.workspace.read_run()
    assert found["WORKSPACE"] == str(site.layout.root)
    assert found["CI_WORKSPACE"] == str(site.workspace.root)
    assert found["BASE"] == str(site.base)
    assert found["PROJECTS"] == PROJECT
    assert found["ZUUL_URL"] == (site.workspace.root / "zuul-refs").as_uri()
    assert found["ZUUL_REF"] == f"refs/zuul/master/Z{run['run_id']}"
    assert (found["ZUUL_BRANCH"], found["ZUUL_PROJECT"], found["ZUUL_CHANGE"]) == ("master", PROJECT, "1")
    assert found["BUILD_TIMEOUT"] == str(13 * 60_000)
    assert found["DEVSTACK_GATE_TIMEOUT_BUFFER"] == "1"
    assert found["DEVSTACK_GATE_NEUTRON"] == found["DEVSTACK_GATE_TEMPEST"] == "1"
    assert found["DEVSTACK_GATE_TEMPEST_NOTESTS"] == "1"
    assert found["DEVSTACK_GATE_TEMPEST_REGEX"] == "^tempest\\.api\\.network'"
    assert f"enable_plugin fake-driver {site.layout.dest}/fake-driver master" in found["DEVSTACK_LOCAL_CONFIG"]
    assert found["OVERRIDE_FAKE_DRIVER_GIT_BASE"] == site.server.as_uri()
    # Of the branch that ends upstream with no scripts, the pinned commit.
    assert found["OVERRIDE_DEVSTACK_GATE_PROJECT_BRANCH"] == "ci-pinned"
    for hook in ("pre_test_hook", "gate_hook", "post_test_hook"):
        assert f"declare -fx {hook}" in found
    # The wrapper looks for 'is a function' in what bash says.
    assert found["LC_ALL"] == "C.UTF-8" and "LANGUAGE" not in found
    assert found["USER"]


def test_the_merged_ref_is_what_the_wrapper_will_fetch(site: GateSite) -> None:
    site.prepare()
    found = sourced(site)
    words = git(site.folder, "ls-remote", f"{found['ZUUL_URL']}/{PROJECT}", found["ZUUL_REF"])
    assert words.split()[0] == site.workspace.read_run()["checkouts"][PROJECT]["commit"]


def test_a_server_whose_addresses_have_another_form_is_served_from_the_run(site: GateSite) -> None:
    moved = site.folder / "elsewhere.git"
    shutil.copytree(site.driver.folder, moved)
    site.driver = Remote(site.folder / "unused")
    config = json.loads(site.config.read_text())
    site.write_config(driver={**config["driver"], "source": moved.as_uri()})
    site.prepare()
    found = sourced(site)
    assert found["OVERRIDE_FAKE_DRIVER_GIT_BASE"] == site.layout.repositories.as_uri()
    done = site.command("ci-run-gate")
    assert done.exit_code == 0, done.errors
    assert (site.layout.dest / "fake-driver" / "doc.txt").exists()


def test_fewer_projects_and_further_variables(site: GateSite) -> None:
    own = {"GIT_BASE": site.server.as_uri(), "DEVSTACK_GATE_CONFIGDRIVE": 1}
    site.write_config(gate={"devstack_gate": {"projects": ["openstack/keystone"], "environment": own}})
    site.prepare()
    found = sourced(site)
    wanted = [PROJECT, "openstack/devstack", "openstack/devstack-gate", "openstack/keystone"]
    assert found["DEVSTACK_GATE_PROJECTS_OVERRIDE"].split() == wanted
    assert found["DEVSTACK_GATE_CONFIGDRIVE"] == "1"


def test_a_variable_that_is_ours_cannot_be_set(site: GateSite) -> None:
    site.write_config(gate={"devstack_gate": {"environment": {"WORKSPACE": "/elsewhere"}}})
    assert "WORKSPACE is written by ci-prepare-gate itself" in refused(site)


def test_times_that_leave_nothing_for_the_tests(site: GateSite) -> None:
    site.write_config(gate={"timeout_minutes": 11})
    reason = refused(site)
    assert "gate.timeout_minutes is 11, which leaves nothing for the tests" in reason
    assert "set gate.timeout_minutes to 12 at least" in reason


def test_a_workspace_that_its_scripts_would_split(site: GateSite) -> None:
    done = site.command("ci-prepare-gate", *site.change_flags(), "--workspace", str(site.folder / "a b"))
    assert done.exit_code == 2
    assert "its scripts do not quote it" in done.paragraph("ci-prepare-gate")


def test_a_wrapper_that_sets_base_in_another_way(site: GateSite) -> None:
    text = (site.devstack_gate.folder / "README.rst").read_text()
    git(site.devstack_gate.folder, "checkout", "--quiet", site.good, "--", *SCRIPTS)
    wrapper = site.devstack_gate.folder / SCRIPTS[0]
    other = wrapper.read_text().replace("export BASE=/opt/stack", 'export BASE=/opt/stack "$@"')
    tip = site.devstack_gate.commit({SCRIPTS[0]: other, "README.rst": text})
    site.write_config(gate={"devstack_gate": {"ref": tip}})
    assert "has 0 lines 'export BASE=...' instead of one" in refused(site)
