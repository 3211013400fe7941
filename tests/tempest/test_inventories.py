"""What was there before the tests and after: Neutron over HTTP, the vendor's commands, and what is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ci_scripts.gates.access import ShardAccess
from ci_scripts.gates.context import GateContext
from ci_scripts.settings import MASK
from ci_scripts.tempest import inventories
from ci_scripts.tempest.inventories import Holding, take, write_leftovers
from ci_scripts.verdict.node_evidence import LeftoverFact, read_leftovers
from tests.fakes.gate_context import PASSWORD, Reply, context_of, http_server
from tests.fakes.left_behind import processes_about


@dataclass
class Cloud:
    """Keystone and Neutron of one shard at one address; ``held`` by collection, which is 404 when it is not there."""

    url: str = ""
    held: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"networks": [], "ports": []})
    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        place, _, query = path.partition("?")
        self.asked.append(path)
        if place in self.replies:
            return self.replies[place]
        if place == "/v3/auth/tokens":
            user = json.loads(body)["auth"]["identity"]["password"]["user"]
            return (201, {"X-Subject-Token": "token"}, {}) if user["password"] == "secret" else (401, {}, {})
        collection = place.removeprefix("/v2.0/")
        if collection not in self.held:
            return 404, {}, {"NeutronError": {"message": "The resource could not be found."}}
        names = [word.removeprefix("fields=") for word in query.split("&")]
        entries = [{name: entry.get(name) for name in names} for entry in self.held[collection]]
        return 200, {}, {collection.rpartition("/")[2].replace("-", "_"): entries}

    def shard(self, index: int = 0, password: str = "secret") -> ShardAccess:
        where = {"keystone_url": f"{self.url}/v3", "neutron_url": self.url, "service_urls": {"lab": "http://lab"}}
        admin = {"username": "admin", "password": password, "project_name": "admin", "domain_name": "Default"}
        return ShardAccess(index=index, region="RegionOne", tempest_dir="/nonexistent", **where, **admin)  # type: ignore[arg-type]


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    made = Cloud()
    with http_server(made.answer) as url:
        made.url = url
        yield made


def facts_of(context: GateContext, before: list[Holding], after: list[Holding]) -> tuple[list[LeftoverFact], list[str]]:
    write_leftovers(context, before, after)
    facts, problems = read_leftovers(context.workspace.root)
    return list(facts), list(problems)


def test_what_came_with_the_tests_and_stayed_is_left(
    tmp_path: Path, cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    context = context_of(tmp_path, "")
    cloud.held = {"networks": [{"id": "n1", "name": "public"}], "qos/policies": [], "security-groups": []}
    before = take(context, [cloud.shard()])
    cloud.held["networks"] = [{"id": "n2", "name": "tempest-1\n x"}, {"id": "n1", "name": "public"}]
    cloud.held["qos/policies"] = [{"id": "q1"}]
    facts, problems = facts_of(context, before, take(context, [cloud.shard()]))
    assert problems == []
    assert facts == [LeftoverFact("neutron", "0", 1, 3, 2, ("network n2 tempest-1 x", "qos-policy q1"))]
    assert "the tests left 2 more in neutron of shard 0" in capfd.readouterr().err
    assert all("fields=id&fields=name" in path for path in cloud.asked if path.startswith("/v2.0/"))


def test_what_went_away_is_not_left(tmp_path: Path, cloud: Cloud) -> None:
    context = context_of(tmp_path, "")
    cloud.held["networks"] = [{"id": "n1", "name": "public"}]
    before = take(context, [cloud.shard()])
    cloud.held["networks"] = []
    assert facts_of(context, before, take(context, [cloud.shard()])) == (
        [LeftoverFact("neutron", "0", 1, 0, 0, ())],
        [],
    )


@pytest.mark.parametrize(
    ("place", "reply", "said"),
    [
        ("/v2.0/ports", (500, {}, b"Traceback"), "was answered with 500: Traceback"),
        ("/v2.0/ports", (200, {}, b"<html>"), "was not answered with JSON"),
        ("/v2.0/ports", (200, {}, {"ports": "many"}), "was not answered with one list"),
        ("/v2.0/ports", (200, {}, ["port"]), "was not answered with one list"),
        ("/v2.0/ports", (200, {}, {"ports": ["port"]}), "was not answered with one list"),
        ("/v3/auth/tokens", (401, {}, {}), "/auth/tokens was answered with 401"),
        ("/v3/auth/tokens", (201, {}, {}), "gave no token"),
    ],
)
def test_a_neutron_that_cannot_be_asked_is_a_problem(
    tmp_path: Path, cloud: Cloud, place: str, reply: Reply, said: str
) -> None:
    context = context_of(tmp_path, "")
    before = take(context, [cloud.shard()])
    cloud.replies[place] = reply
    facts, problems = facts_of(context, before, take(context, [cloud.shard()]))
    assert facts == [] and len(problems) == 1
    assert problems[0].startswith("logs/leftovers.json: neutron of shard 0, after the tests: ") and said in problems[0]


def test_a_neutron_that_is_away_is_a_problem_of_its_shard(tmp_path: Path, cloud: Cloud) -> None:
    context = context_of(tmp_path, "")
    away = Cloud(url="http://127.0.0.1:1")
    holdings = take(context, [away.shard(0), cloud.shard(1)])
    assert "failed: " in (holdings[0].problem or "") and holdings[1].problem is None
    facts, problems = facts_of(context, holdings, holdings)
    assert [fact.shard for fact in facts] == ["1"] and len(problems) == 2


def test_a_command_that_reads_differently_is_asked_for_each_shard(tmp_path: Path, cloud: Cloud) -> None:
    entries = (
        "inventories:\n"
        "  - {name: each, command: [sh, -c, 'echo networks $0; echo; echo $OS_AUTH_URL', '{shard}']}\n"
        "  - {name: all, command: [sh, -c, 'echo one; echo two']}\n"
    )
    shards = [cloud.shard(0), cloud.shard(1)]
    found = [holding for holding in take(context_of(tmp_path, entries), shards) if holding.name != "neutron"]
    assert [(holding.name, holding.shard, holding.problem) for holding in found] == [
        ("each", "0", None),
        ("each", "1", None),
        ("all", None, None),
    ]
    assert [holding.lines for holding in found][1:] == [("networks 1", f"{cloud.url}/v3"), ("one", "two")]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("[sh, -c, 'echo cannot list >&2; exit 3']", "sh ended with 3: cannot list"),
        ("[/no/such/program]", "/no/such/program ended with 127"),
        ("[sh, -c, 'cd {config_dir}; sleep 600'], timeout_seconds: 1", "its time was up after 1 s"),
        ("[echo, '{port}']", "unknown placeholder {port}"),
        ("[sh, -c, 'echo $0; exit 1', '{secret.lab}']", f"sh ended with 1: {MASK}"),
    ],
)
def test_a_command_that_cannot_list_is_a_problem(tmp_path: Path, cloud: Cloud, command: str, said: str) -> None:
    context = context_of(tmp_path, f"inventories: [{{name: lab, command: {command}}}]")
    holdings = take(context, [cloud.shard()])
    assert holdings[0].problem is None and said in (holdings[1].problem or "")
    facts, problems = facts_of(context, holdings, holdings)
    assert [fact.name for fact in facts] == ["neutron"] and len(problems) == 2
    assert processes_about(tmp_path) == {}


def test_things_of_the_same_name_are_counted(tmp_path: Path) -> None:
    context = context_of(tmp_path, "")
    before, after = Holding("lab", None, ("rule", "rule")), Holding("lab", None, ("rule",) * 3 + ("acl",))
    assert facts_of(context, [before], [after])[0] == [LeftoverFact("lab", None, 2, 4, 2, ("acl", "rule"))]


def test_no_more_than_a_hundred_are_listed_and_no_secret(tmp_path: Path, cloud: Cloud) -> None:
    script = f'i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo "acl $i $0 {"x" * 500}"; done'
    context = context_of(tmp_path, f"inventories: [{{name: lab, command: [sh, -c, '{script}', '{{secret.lab}}']}}]")
    after = take(context, [cloud.shard()])
    facts, problems = facts_of(context, [after[0], Holding("lab", None)], after)
    assert (facts[1].left_count, len(facts[1].left), problems) == (150, 100, [])
    content = (context.workspace.logs / "leftovers.json").read_text()
    assert PASSWORD not in content and MASK in content and max(map(len, facts[1].left)) == inventories.MAX_TEXT


def test_an_inventory_that_was_asked_once_only_is_a_problem(tmp_path: Path) -> None:
    context = context_of(tmp_path, "")
    facts, problems = facts_of(context, [Holding("lab", None)], [])
    assert facts == [] and problems == ["logs/leftovers.json: lab, after the tests: it was not asked"]


def test_a_link_in_the_place_of_the_logs_is_not_followed(tmp_path: Path) -> None:
    context = context_of(tmp_path, "")
    context.workspace.logs.rename(tmp_path / "elsewhere")
    context.workspace.logs.symlink_to(tmp_path / "elsewhere")
    write_leftovers(context, [], [])
    assert not (tmp_path / "elsewhere" / "leftovers.json").exists()


def test_what_an_earlier_run_left_is_forgotten(tmp_path: Path) -> None:
    context = context_of(tmp_path, "")
    write_leftovers(context, [Holding("lab", None)], [Holding("lab", None, ("acl",))])
    assert read_leftovers(context.workspace.root)[0]
    inventories.forget_leftovers(context.workspace)
    inventories.forget_leftovers(context.workspace)
    assert read_leftovers(context.workspace.root) == ((), ())
