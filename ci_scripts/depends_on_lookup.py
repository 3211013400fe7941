"""Depends-On of the change under test, looked up: parents in the git cache, changes at Gerrit without a password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ci_scripts.change import ChangeUnderTest
from ci_scripts.checkouts import Fetched, Wanted, fetch, is_merged_by_zuul, mended, project_addresses
from ci_scripts.depends_on import MOST, Dependencies, Stack, find_dependencies, footer_of
from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit_trigger import base_of_change_page
from ci_scripts.git_cache import GitCache

if TYPE_CHECKING:
    from ci_scripts.gerrit.needed import NeededChange
    from ci_scripts.settings_model import Settings

# Commits of one stack whose messages are read.
MOST_STACKED = 100
LOOKED_UP = ("flags", "gerrit-trigger")


def server_of_change(settings: Settings, change: ChangeUnderTest) -> str | None:
    """The Gerrit that knows the change: ci.yaml's ``gerrit.url``, else as its page or its git address says. Pure."""
    if settings.gerrit is not None and settings.gerrit.url is not None:
        return settings.gerrit.url.rstrip("/")
    if change.change_url and (base := base_of_change_page(change.change_url, change.project)):
        return base
    url = change.url or ""
    if url.startswith(("http://", "https://")) and url.endswith(f"/{change.project}"):
        return url.removesuffix(f"/{change.project}").removesuffix("/a")
    return None


def look_up_dependencies(
    settings: Settings,
    change: ChangeUnderTest,
    stack: Stack,
    wanted: Mapping[str, Wanted],
    cache: GitCache,
    ask: Callable[[str], list[NeededChange]] | None = None,
) -> Dependencies:
    """What ``change`` needs, by the messages of its ``stack``; nothing where Zuul has said it.

    Raises DependenciesRefused, GerritFailed where the server does not answer, ConfigurationError where a trigger
    named the change and no server is known to ask.
    """
    if change.trigger not in LOOKED_UP or is_merged_by_zuul(change) or not stack.depends_on:
        return Dependencies()
    server = server_of_change(settings, change)
    if server is None:
        if not change.given_by_hand:
            raise ConfigurationError(
                f"change {change.name} of {change.project} has a Depends-On, and no Gerrit is known to ask about it.",
                next_step="name the server in ci.yaml: gerrit: {url: ..., user: ...}; no password is needed for this.",
            )
        return Dependencies(unknown=tuple(f"{text} (no Gerrit is known to ask)" for text in stack.depends_on[:MOST]))
    places = _Places(settings, wanted, cache)
    return find_dependencies(
        change,
        stack,
        server,
        ask=ask or _asked_at(settings, server),
        stack_of=places.stack_of,
        project_urls=project_addresses(settings),
    )


def _asked_at(settings: Settings, server: str) -> Callable[[str], list[NeededChange]]:
    from ci_scripts.gerrit.needed import OpenToAll
    from ci_scripts.gerrit.pace import Patience

    patience = Patience.for_answers_within(settings.gerrit.timeout_seconds) if settings.gerrit else Patience()
    return OpenToAll(server, patience).found


def read_stack(fetched: Fetched, cache: GitCache) -> Stack:
    """The commits between the branch and the last change of ``fetched``, and their Depends-On.

    Raises CorruptRepository.
    """
    footers: dict[str, None] = {}
    commits: list[str] = []

    def read(line: str) -> None:
        footer = footer_of(line)
        # A commit message holds no NUL.
        if line.startswith("\0"):
            commits.append(line[1:])
        elif footer is not None and len(footers) <= MOST:
            footers[footer] = None

    cache.git.run(
        cache.repository(fetched.wanted.url),
        *("log", "--no-show-signature", f"--max-count={MOST_STACKED}", "--format=%x00%H%n%B"),
        *(fetched.revisions[-1], f"^{fetched.tip}", "--"),
        on_line=read,
    )
    return Stack(tuple(footers), tuple(commits))


@dataclass(frozen=True)
class _Places:
    settings: Settings
    wanted: Mapping[str, Wanted]
    cache: GitCache

    def stack_of(self, item: ChangeUnderTest) -> Stack | None:
        """Brings a dependency into the cache, where it has to come anyway, and reads it with its parents."""
        wanted = self.wanted.get(item.project)
        if wanted is None:
            return None
        alone = replace(wanted, refs=(f"refs/heads/{item.branch}",), changes=(item,), key="")

        def read() -> Stack:
            return read_stack(fetch(alone, self.cache, self.cache.git.say), self.cache)

        return mended(self.cache, wanted.url, read)
