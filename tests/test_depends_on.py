"""Depends-On: which words name a change, and which changes are needed in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from ci_scripts.change import ChangeUnderTest
from ci_scripts.depends_on import (
    MOST,
    Dependencies,
    DependenciesRefused,
    Stack,
    find_dependencies,
    footers_of,
    reference_of,
)
from ci_scripts.gerrit.needed import NeededChange

SERVER = "https://review.example.org"
ID = "I" + "0123456789" * 4
NEUTRON = "openstack/neutron"


def page(number: int) -> str:
    return f"{SERVER}/c/{NEUTRON}/+/{number}"


def sha(number: int) -> str:
    return f"{number:040x}"


def needed(number: int, *depends_on: int | str, **more: object) -> NeededChange:
    footers = "".join(f"Depends-On: {page(one) if isinstance(one, int) else one}\n" for one in depends_on)
    values: dict[str, object] = {"project": NEUTRON, "branch": "master", "status": "NEW", "patch_set": 3, **more}
    ref = f"refs/changes/{number % 100:02}/{number}/3"
    text = f"Do it\n\n{footers}"
    return NeededChange(number=number, revision=sha(number), ref=ref, message=text, **values)  # type: ignore[arg-type]


def under_test() -> ChangeUnderTest:
    values = {"project": NEUTRON, "branch": "master", "ref": "refs/changes/01/1/1", "trigger": "gerrit-trigger"}
    return ChangeUnderTest(number="1", patchset="1", revision=sha(1), **values)  # type: ignore[arg-type]


class Server:
    """Knows some changes; counts what it is asked."""

    def __init__(self, *changes: NeededChange, ids: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self.changes = {change.number: change for change in changes}
        self.ids = ids or {}
        self.asked: list[str] = []

    def ask(self, query: str) -> list[NeededChange]:
        self.asked.append(query)
        word = query.removeprefix("change:")
        numbers = self.ids.get(word, ()) if word.startswith("I") else (int(word),)
        return [self.changes[number] for number in numbers if number in self.changes]

    def needs(
        self, *depends_on: str, stack_of: Callable[[ChangeUnderTest], Stack | None] = lambda item: None
    ) -> Dependencies:
        stack = Stack(tuple(depends_on), (sha(1),))
        return find_dependencies(under_test(), stack, SERVER, ask=self.ask, stack_of=stack_of, project_urls={})


def numbers(found: Dependencies) -> list[str]:
    return [item.number for item in found.changes]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (ID, f"change:{ID}"),
        (ID.upper(), f"change:{ID}"),
        (f"{SERVER}/12", "change:12"),
        (f"{SERVER}/12/", "change:12"),
        (f"{SERVER}/#/c/12", "change:12"),
        (f"{SERVER}/#/c/12/3/", "change:12"),
        (f"{SERVER}/c/12", "change:12"),
        (f"{SERVER}/c/{NEUTRON}/+/12", "change:12"),
        (f"{SERVER}/c/{NEUTRON}/+/12/3", "change:12"),
        (f"{SERVER}/c/{NEUTRON}/+/12/3/neutron/db.py", "change:12"),
        ("http://REVIEW.example.org:8080/12", "change:12"),
        (f"{SERVER}/c/{NEUTRON}/+/", None),
        (f"{SERVER}/q/topic:mine", None),
        (f"{SERVER}/012", None),
        (f"{SERVER}/" + "9" * 11, None),
        ("https://github.com/org/project/pull/12", None),
        ("https://review.example.org.evil.example/12", None),
        ("https://[::1/12", None),
        ("ext::sh -c id", None),
        ("12", None),
        ("I0123", None),
        ("", None),
    ],
)
def test_which_words_name_a_change(text: str, query: str | None) -> None:
    found = reference_of(text, SERVER)
    assert (found.query if found else None) == query


def test_a_gerrit_below_a_path() -> None:
    found = reference_of("https://example.org/r/c/a/+/7", "https://example.org/r")
    assert found is not None and found.query == "change:7"


def test_footers_are_read_as_zuul_reads_them() -> None:
    message = f"Subject\n\nDEPENDS-ON:   {ID}  \nmore text\n Depends-On: indented\nDepends-On:{ID}\r\nDepends-On: x y\n"
    assert footers_of(message) == [ID, "x y"]


def test_a_message_without_end_is_read_in_time_and_bounded() -> None:
    message = "\n".join(f"Depends-On: {SERVER}/{number}" for number in range(1, 200_000))
    assert len(footers_of(message)) == MOST + 1
    assert footers_of("Depends-On:" + " " * 5_000_000 + "x") == ["x"]


def test_what_is_needed_comes_first_each_once() -> None:
    server = Server(needed(2, 3, 4), needed(3, 4), needed(4))
    found = server.needs(page(2), page(3), f"{SERVER}/2")
    assert numbers(found) == ["4", "3", "2"]
    assert len(server.asked) == len(set(server.asked)) == 3
    four = found.changes[0]
    assert (four.name, four.ref, four.revision) == ("4,3", "refs/changes/04/4/3", sha(4))
    assert (four.url, four.trigger) == (f"{SERVER}/{NEUTRON}", "gerrit-trigger")


def test_what_is_merged_needs_nothing() -> None:
    server = Server(needed(2, 3, status="MERGED"), needed(3))
    assert server.needs(page(2)) == Dependencies()
    assert server.asked == ["change:2"]


def test_a_change_id_stands_for_all_changes_that_have_it() -> None:
    changes = (needed(2), needed(3, status="MERGED"), needed(4, status="ABANDONED"), needed(5, branch="stable/1"))
    assert numbers(Server(*changes, ids={ID: (2, 3, 4, 5)}).needs(ID)) == ["2", "5"]
    assert numbers(Server(*changes, ids={ID: (3, 4)}).needs(ID)) == []


def test_an_abandoned_one_is_refused() -> None:
    server = Server(needed(2, 3), needed(3, status="ABANDONED"))
    with pytest.raises(
        DependenciesRefused, match="^2,3 of openstack/neutron depends on 3 of .* is abandoned"
    ) as caught:
        server.needs(page(2))
    assert caught.value.exit_code == 4
    assert "restore that change" in str(caught.value)


def test_a_circle_is_refused_with_its_chain() -> None:
    server = Server(needed(2, 3), needed(3, 1), needed(1))
    with pytest.raises(DependenciesRefused) as caught:
        server.needs(page(2))
    chain = "1,1 of openstack/neutron -> 2,3 of openstack/neutron -> 3,3 of openstack/neutron -> 1 of openstack/neutron"
    assert f"in a circle: {chain}." in str(caught.value)
    assert caught.value.exit_code == 4


def test_a_change_that_needs_itself_is_a_circle() -> None:
    with pytest.raises(DependenciesRefused, match=r"circle: 1,1 of openstack/neutron -> 1 of"):
        Server(needed(1)).needs(page(1))


def test_a_dependency_on_top_of_who_needs_it_is_a_circle() -> None:
    with pytest.raises(DependenciesRefused, match=r"2,3 of openstack/neutron -> one of its own parents"):
        Server(needed(2)).needs(page(2), stack_of=lambda item: Stack((), (sha(2), sha(1))))


def test_parents_of_a_dependency_are_asked_what_they_need() -> None:
    server = Server(needed(2), needed(3))
    stacks = {"2": Stack((page(3),), (sha(2), sha(77)))}
    assert numbers(server.needs(page(2), stack_of=lambda item: stacks.get(item.number))) == ["3", "2"]


def test_what_names_no_change_is_passed_over_and_said() -> None:
    found = Server(needed(2)).needs("the other one", page(2), page(9), "https://github.com/a/b/pull/1")
    assert numbers(found) == ["2"]
    assert found.unknown == (
        f"'the other one' (which is no change of {SERVER})",
        f"'{page(9)}' (which {SERVER} does not show)",
        f"'https://github.com/a/b/pull/1' (which is no change of {SERVER})",
    )


def test_a_change_with_an_unusable_name_is_left_out() -> None:
    found = Server(needed(2, project="../etc"), needed(3, branch="-x")).needs(page(2), page(3))
    assert found.changes == ()
    assert "'..'" in found.unknown[0] and "dash" in found.unknown[1]


def test_too_many_are_refused_before_they_are_asked_for() -> None:
    server = Server(*(needed(number, status="MERGED") for number in range(2, 200)))
    with pytest.raises(DependenciesRefused, match=f"more than {MOST} changes"):
        server.needs(*(page(number) for number in range(2, 200)))
    assert len(server.asked) == MOST


def test_a_long_chain_is_refused_too() -> None:
    server = Server(*(needed(number, number + 1) for number in range(2, 5000)))
    with pytest.raises(DependenciesRefused, match=f"more than {MOST} changes"):
        server.needs(page(2))
    assert len(server.asked) == MOST
