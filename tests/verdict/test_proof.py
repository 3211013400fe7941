"""What is proved, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from git import Actor, Repo

from ci_scripts.verdict.proof import Proof, gather_proof
from ci_scripts.verdict.run_facts import read_run_facts

PROJECT = "example/networking-example"
LOG = (
    "2026 INFO neutron.plugins.ml2.managers [-] Configured mechanism driver names: ['logger', 'example']\n"
    "2026 INFO neutron.plugins.ml2.managers [-] Loaded mechanism driver names: ['logger', 'example']\n"
)
AUTHOR = Actor("A", "a@example.org")


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


class Run:
    """A workspace in which everything is proved."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run: dict[str, Any] = {
            "schema": 1,
            "change": {"project": PROJECT, "revision": "a" * 40},
            "driver": {"project": PROJECT},
            "checkouts": {PROJECT: {"commit": "b" * 40, "contains_revision": True}},
        }
        self.driver: dict[str, Any] = {
            "distribution": "networking-example",
            "version": "1.2.3",
            "commit": "b" * 40,
            "mechanism_drivers": ["example"],
        }
        for shard in ("shard0", "shard1"):
            write(root / "logs/gate" / shard / "neutron.log", LOG)
        write(
            root / "logs/packages.txt", "# openstack: Python 3.11.7\nneutron==29.0.0\nnetworking-example @ file:///x\n"
        )
        services = [{"name": "neutron", "shard": shard, "state": "stopped"} for shard in (0, 1)]
        write(root / "logs/gate/gate-status.json", {"schema": 1, "services": services})

    def proof(self) -> Proof:
        write(self.root / "run.json", self.run)
        write(self.root / "logs/driver.json", self.driver)
        return gather_proof(self.root, read_run_facts(self.root))

    def open_items(self) -> dict[str, str]:
        proof = self.proof()
        assert proof.complete == all(item.ok for item in proof.items)
        return {item.name: item.text for item in proof.items if not item.ok}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_a_good_run_is_proved(run: Run) -> None:
    assert run.open_items() == {}
    texts = {item.name: item.text for item in run.proof().items}
    assert texts["driver loaded by Neutron"] == "example in the log of each of 2 shards"
    assert texts["package versions"] == "2 packages in logs/packages.txt"
    assert texts["Python version"] == "Python 3.11.7"


def test_an_empty_workspace_proves_nothing(tmp_path: Path) -> None:
    proof = gather_proof(tmp_path, read_run_facts(tmp_path))

    assert proof.items and not any(item.ok for item in proof.items)
    assert not Proof().complete


@pytest.mark.parametrize("recorded", [False, None, "yes", 1])
def test_a_checkout_without_the_patch_set_is_no_proof(run: Run, recorded: object) -> None:
    run.run["checkouts"][PROJECT]["contains_revision"] = recorded

    assert "does not hold" in run.open_items()["patch set under test"]


def test_without_a_revision_nothing_is_known(run: Run) -> None:
    run.run["change"]["revision"] = None

    assert list(run.open_items()) == ["patch set under test"]


def test_the_checkout_itself_is_asked_where_it_is(run: Run) -> None:
    repository = Repo.init(run.root / "src" / PROJECT)
    commits = [repository.index.commit(str(n), author=AUTHOR, committer=AUTHOR).hexsha for n in range(3)]
    tip, base = commits[2], commits[0]
    run.driver["commit"] = tip
    run.run["checkouts"][PROJECT] = {"commit": tip, "contains_revision": False}
    run.run["change"]["revision"] = base
    assert run.open_items() == {}

    run.run["checkouts"][PROJECT]["contains_revision"] = True
    run.run["change"]["revision"] = "c" * 40
    assert "read anew" in run.open_items()["patch set under test"]

    run.run["change"]["revision"] = run.run["checkouts"][PROJECT]["commit"] = run.driver["commit"] = commits[1]
    assert "does not hold" in run.open_items()["patch set under test"]


@pytest.mark.parametrize("way", ["climbing", "absolute", "link"])
def test_a_project_that_leads_out_of_the_workspace_is_not_looked_at(run: Run, way: str, tmp_path_factory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    commit = Repo.init(elsewhere).index.commit("x", author=AUTHOR, committer=AUTHOR).hexsha
    (run.root / "src").mkdir()
    (run.root / "src" / "linked").symlink_to(elsewhere)
    project = {"climbing": f"../../{elsewhere.name}", "absolute": str(elsewhere), "link": "linked"}[way]
    run.run["change"]["project"] = project
    run.run["checkouts"][project] = {"commit": commit, "contains_revision": True}

    assert "(as ci-prepare-gate recorded)" in run.proof().items[0].text


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": None}, "names no distribution and version"),
        ({"commit": "d" * 40}, "the checkout of example/networking-example is at"),
        ({"commit": None}, "the checkout of example/networking-example is at"),
    ],
)
def test_another_driver_than_the_checkout_is_no_proof(run: Run, change: dict[str, Any], text: str) -> None:
    run.driver |= change

    assert text in run.open_items()["driver installed"]


def test_a_released_driver_needs_no_commit_and_one_from_a_url_does(run: Run) -> None:
    run.run["driver"]["project"] = "example/released"
    run.driver["commit"] = None
    assert run.open_items() == {}
    for key in ("direct_url", "source"):
        run.driver["source"] = "networking-example"
        run.driver[key] = "git+https://git.example.org/x"
        assert "no commit is known" in run.open_items()["driver installed"]


def test_every_shard_and_every_start_must_have_loaded_the_driver(run: Run) -> None:
    log = run.root / "logs/gate/shard1/neutron.log"
    log.write_text(LOG + LOG.replace("['logger', 'example']", "['logger']"))
    assert run.open_items()["driver loaded by Neutron"] == "shard1: loaded logger, not example"
    log.write_text("nothing\n")
    assert "names no loaded mechanism drivers" in run.open_items()["driver loaded by Neutron"]
    log.unlink()
    log.parent.rmdir()
    assert "logs of 1 shards are there, 2 are needed" in run.open_items()["driver loaded by Neutron"]


def test_a_configured_driver_is_not_a_loaded_one(run: Run) -> None:
    for shard in ("shard0", "shard1"):
        (run.root / "logs/gate" / shard / "neutron.log").write_text(LOG.splitlines()[0])

    assert "driver loaded by Neutron" in run.open_items()


def test_a_driver_without_mechanism_drivers_cannot_be_found_in_a_log(run: Run) -> None:
    del run.driver["mechanism_drivers"]

    assert "names no mechanism drivers" in run.open_items()["driver loaded by Neutron"]


def test_a_log_behind_a_link_is_not_read(run: Run) -> None:
    log = run.root / "logs/gate/shard1/neutron.log"
    log.rename(run.root / "elsewhere.log")
    log.symlink_to(run.root / "elsewhere.log")

    assert "driver loaded by Neutron" in run.open_items()


def test_packages_and_python_must_be_named(run: Run) -> None:
    write(run.root / "logs/packages.txt", "neutron\n")

    assert set(run.open_items()) == {"package versions", "Python version"}
