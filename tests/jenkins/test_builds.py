"""What is made of the builds that a server tells of, whatever it tells."""

from __future__ import annotations

from typing import Any

import pytest

from ci_scripts.jenkins.builds import Verdict, builds_of, verdict_in, verdict_of_file
from ci_scripts.jenkins.client import Client, Limits
from ci_scripts.jenkins.errors import JenkinsFailed, Unreachable
from ci_scripts.jenkins.server import Server
from tests.fakes.fake_jenkins import TOKEN, USER, FakeJenkins


@pytest.mark.parametrize(
    ("description", "outcome", "blame"),
    [
        ("FAILURE, blame: change", "FAILURE", "change"),
        ("Verdict: NODE_FAILURE in 12m 33s, blame: ci, rule x", "NODE_FAILURE", "ci"),
        ("<p>SUCCESS, blame: nobody</p>", "SUCCESS", "nobody"),
        ("blame: change", "", ""),
        ("FAILURE, blame: you", "", ""),
        ("failure, blame: change", "", ""),
        (None, "", ""),
        (["FAILURE"], "", ""),
        ("<" * 100_000 + "A" * 100_000, "", ""),
    ],
)
def test_the_verdict_in_a_description(description: object, outcome: str, blame: str) -> None:
    assert verdict_in(description) == Verdict(outcome, blame)


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "[" * 100_000, '{"outcome": "X\\u001b[2J", "blame": "ci"}', '{"blame": []}']
)
def test_a_verdict_json_that_makes_no_sense(text: str) -> None:
    assert verdict_of_file(text) == Verdict()


@pytest.mark.parametrize(
    "odd",
    [
        {"builds": 7},
        {"builds": [None, "x", {}, {"number": "x"}]},
        {"builds": [{"number": 1, "actions": 5, "artifacts": "x", "timestamp": 1e300, "duration": "x", "result": {}}]},
        {
            "builds": [
                {"number": 1, "actions": [None, {"parameters": {"a": 1}}, {"parameters": [None]}], "queueId": True}
            ]
        },
        {"property": 5, "nextBuildNumber": None},
    ],
)
def test_odd_answers(odd: dict[str, Any]) -> None:
    with FakeJenkins(job="test") as jenkins:
        jenkins._job = lambda job: odd  # type: ignore[method-assign]
        server = Server(Client(jenkins.url, USER, TOKEN, Limits(30, 0), lambda text: None))
        builds = builds_of(server, "test", 20)
    assert len(builds) <= 1 and all(build.number == 1 and build.change == "" for build in builds)


def test_a_server_that_hangs_is_not_down() -> None:
    """One question without an answer ends no retrigger; a refused connection does."""
    with FakeJenkins(job="test") as jenkins:
        jenkins.misbehaves["/api/json"] = "hang"
        with pytest.raises(Unreachable) as slow:
            Server(Client(jenkins.url, USER, TOKEN, Limits(0.2, 30), lambda text: None)).job("test")
    with pytest.raises(Unreachable) as down:
        Server(Client(jenkins.url, USER, TOKEN, Limits(5, 0), lambda text: None)).job("test")
    assert not slow.value.everything and down.value.everything


def test_the_token_is_in_no_message() -> None:
    with FakeJenkins(job="test") as jenkins:
        jenkins.answer = lambda *_: (500, f"<title>{TOKEN} \x1b[2J</title>", {})  # type: ignore[method-assign]
        server = Server(Client(jenkins.url, USER, TOKEN, Limits(30, 0), lambda text: None))
        with pytest.raises(JenkinsFailed) as error:
            server.job("test")
    assert TOKEN not in str(error.value) and "\x1b" not in str(error.value) and "500" in str(error.value)
