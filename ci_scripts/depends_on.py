"""Which changes a change needs: Depends-On in commit messages, read and followed as Zuul does. Pure.

Zuul 2 takes ``Depends-On: I<40 hex digits>`` ("Cross-Project Dependencies" in its documentation), since version 3 it
takes the address of the change; both stand alone on a line, anywhere in the message. Zuul passes over what is neither,
and over a change that its server does not show; so do we, but it is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ci_scripts.change import ChangeUnderTest, change_needed_by
from ci_scripts.errors import ConfigurationError, NothingToTest
from ci_scripts.untrusted_words import quoted

if TYPE_CHECKING:
    from ci_scripts.gerrit.needed import NeededChange

HEADER = "depends-on:"
# Of one run: different references that are looked up, and changes that are tested together.
MOST = 50
SHOWN = 10
_CHANGE_ID = re.compile(r"I[0-9a-f]{40}", re.IGNORECASE)
# /c/<project>/+/<number>, /#/c/<number> and /<number>; a patch set behind it does not count: the newest is taken.
_PAGE = re.compile(r"/(?:#/c/|c/(?:[^?#]{1,300}/\+/)?)?([1-9][0-9]{0,9})(?:[/?#,].{0,300})?")


class DependenciesRefused(NothingToTest):
    """The change cannot be tested with what it says that it needs."""


class Reference(NamedTuple):
    """One Depends-On: as it was written, and the query by which Gerrit finds it."""

    text: str
    query: str


@dataclass(frozen=True)
class Stack:
    """A patch set with its unmerged parents: what their messages depend on, and the commits, newest first."""

    depends_on: tuple[str, ...]
    commits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Dependencies:
    """``changes``: those to be merged, each after what it needs. ``unknown``: what could not be found, for people."""

    changes: tuple[ChangeUnderTest, ...] = ()
    unknown: tuple[str, ...] = ()


def footer_of(line: str) -> str | None:
    """What a line of a commit message depends on; None for any other line."""
    return line[len(HEADER) :].strip() if line[: len(HEADER)].lower() == HEADER else None


def footers_of(message: str) -> list[str]:
    """What a commit message depends on, each once, in its order; one more than MOST of them at most."""
    found: dict[str, None] = {}
    for line in message.splitlines():
        footer = footer_of(line)
        if footer is not None:
            found[footer] = None
        if len(found) > MOST:
            break
    return list(found)


def reference_of(footer: str, server: str) -> Reference | None:
    """The change of the Gerrit at ``server`` that a Depends-On names; None where it names none."""
    if _CHANGE_ID.fullmatch(footer):
        return Reference(footer, f"change:I{footer[1:].lower()}")
    try:
        named, root = urlsplit(footer), urlsplit(server)
        same = named.scheme in ("http", "https") and named.hostname == root.hostname
    except ValueError:
        return None
    # As Zuul: the host's name decides. Not scheme and port: people copy what their browser shows.
    path = named.path + (f"#{named.fragment}" if named.fragment else "")
    page = _PAGE.fullmatch(path.removeprefix(root.path.rstrip("/"))) if same else None
    return Reference(footer, f"change:{page.group(1)}") if page else None


def find_dependencies(
    change: ChangeUnderTest,
    stack: Stack,
    server: str,
    *,
    ask: Callable[[str], Sequence[NeededChange]],
    stack_of: Callable[[ChangeUnderTest], Stack | None],
    project_urls: Mapping[str, str],
) -> Dependencies:
    """Everything that ``change`` needs and that is not merged, also by way of others.

    ``ask`` queries Gerrit, ``stack_of`` reads a dependency's parents where its project is at hand (None where it is
    not: then its own message alone counts).

    Raises DependenciesRefused for a circle, for an abandoned dependency, and for more than ``MOST`` of them.
    """
    walk = _Walk(change, server, ask, stack_of, project_urls)
    walk.follow((change,), stack.depends_on)
    return Dependencies(tuple(walk.found.values()), tuple(walk.unknown))


@dataclass
class _Walk:
    change: ChangeUnderTest
    server: str
    ask: Callable[[str], Sequence[NeededChange]]
    stack_of: Callable[[ChangeUnderTest], Stack | None]
    project_urls: Mapping[str, str]
    found: dict[str, ChangeUnderTest] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    asked: dict[str, list[NeededChange]] = field(default_factory=dict)

    def follow(self, chain: tuple[ChangeUnderTest, ...], footers: Iterable[str]) -> None:
        """Depth first: what is needed comes before who needs it. ``chain`` leads from the change under test here."""
        for footer in footers:
            reference = reference_of(footer, self.server)
            if reference is None:
                self._pass_over(f"{quoted(footer)} (which is no change of {self.server})")
                continue
            for needed in self._open_changes(reference, chain):
                self._visit(needed, chain)

    def _visit(self, needed: NeededChange, chain: tuple[ChangeUnderTest, ...]) -> None:
        number = str(needed.number)
        if any(item.number == number for item in chain):
            raise _circle([*map(_named, chain), f"{number} of {needed.project}"])
        if number in self.found:
            return
        try:
            item = change_needed_by(self.change, needed, self.server, self.project_urls)
        except ConfigurationError as error:
            self._pass_over(f"{number} ({error.what})")
            return
        stack = self.stack_of(item)
        footers = footers_of(needed.message)
        if stack is not None:
            if any(other.revision in stack.commits for other in chain if other.revision):
                # Its parents hold who depends on it.
                raise _circle([*map(_named, chain), _named(item), "one of its own parents"])
            footers = list(dict.fromkeys((*footers, *stack.depends_on)))
        self.follow((*chain, item), footers)
        self.found[number] = item
        self._raise_if_too_many(len(self.found))

    def _open_changes(self, reference: Reference, chain: tuple[ChangeUnderTest, ...]) -> list[NeededChange]:
        """Raises DependenciesRefused where there is only an abandoned one."""
        if reference.query not in self.asked:
            self._raise_if_too_many(len(self.asked) + 1)
            self.asked[reference.query] = list(self.ask(reference.query))
        answers = self.asked[reference.query]
        if not answers:
            self._pass_over(f"{quoted(reference.text)} (which {self.server} does not show)")
        still_open = [needed for needed in answers if needed.status == "NEW"]
        abandoned = [needed for needed in answers if needed.status == "ABANDONED"]
        # One Change-Id stands for a change on each branch it was proposed to; one that is merged needs nothing.
        if abandoned and len(abandoned) == len(answers):
            raise DependenciesRefused(
                f"{_named(chain[-1])} depends on {abandoned[0].number} of {abandoned[0].project}, which is abandoned: "
                "it cannot be merged.",
                next_step="nothing for the CI to do; restore that change, or take the Depends-On out.",
            )
        return still_open

    def _pass_over(self, text: str) -> None:
        if len(self.unknown) < SHOWN:
            self.unknown[text] = None

    def _raise_if_too_many(self, count: int) -> None:
        if count > MOST:
            raise DependenciesRefused(
                f"{_named(self.change)} depends on more than {MOST} changes.",
                next_step="nothing for the CI to do; have it tested when some of them are merged.",
            )


def _named(change: ChangeUnderTest) -> str:
    return f"{change.name} of {change.project}"


def _circle(names: Sequence[str]) -> DependenciesRefused:
    shown = [*names[:SHOWN], "...", names[-1]] if len(names) > SHOWN + 1 else names
    return DependenciesRefused(
        f"the changes depend on each other in a circle: {' -> '.join(shown)}.",
        next_step="nothing for the CI to do; one of them must go first, without its Depends-On.",
    )
