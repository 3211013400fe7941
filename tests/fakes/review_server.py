"""A review server for tests of Depends-On: the fake Gerrit, and real git repositories that hold its patch sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tests.fakes.fake_gerrit import FakeGerrit
from tests.fakes.gerrit_state import FakeChange
from tests.repositories import Remote, change_ref


class ReviewServer:
    """``remotes``: the repository of each project. Its Gerrit is to be entered as a context by the test."""

    def __init__(self, gerrit: FakeGerrit, remotes: Mapping[str, Remote]) -> None:
        self.gerrit = gerrit
        self.remotes = remotes
        for project in remotes:
            gerrit.add_project(project)

    def push(
        self,
        project: str,
        files: Mapping[str, str],
        *depends_on: str,
        branch: str = "master",
        on: str = "",
        change_id: str = "",
    ) -> FakeChange:
        """A new change with these Depends-On; its commit is on top of ``on``, else of its branch."""
        number = self.gerrit.push(project, branch=branch)
        change = self.gerrit.changes[number]
        change.change_id = change_id or change.change_id
        self._commit(change, files, depends_on, on or branch)
        return change

    def amend(self, change: FakeChange, files: Mapping[str, str], *depends_on: str) -> None:
        """The next patch set of a change."""
        self.gerrit.new_patch_set(change.number)
        self._commit(change, files, depends_on, change.branch)

    def page(self, change: FakeChange) -> str:
        return f"{self.gerrit.url}/c/{change.project}/+/{change.number}"

    def _commit(self, change: FakeChange, files: Mapping[str, str], depends_on: tuple[str, ...], on: str) -> None:
        footers = "".join(f"Depends-On: {text}\n" for text in depends_on)
        message = f"Change {change.number}\n\n{footers}Change-Id: {change.change_id}\n"
        current = change.current
        remote = self.remotes.get(change.project)
        if remote is not None:
            commit = remote.change(change.number, current.number, files, on=on, message=message)
        else:
            commit = "1" * 40
        ref = change_ref(change.number, current.number)
        change.patch_sets[-1] = replace(current, revision=commit, message=message, ref=ref)
