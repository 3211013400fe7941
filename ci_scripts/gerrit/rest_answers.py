"""Gerrit's REST answers as plain values. Strict in what it needs, indulgent in what a server may leave out."""

from __future__ import annotations

from typing import Any

from ci_scripts.gerrit.answers import (
    PATCH_SET_LEVEL,
    as_list,
    as_object,
    is_file,
    nonsense,
    number_in,
    object_in,
    objects_in,
    patch_set_named,
    status_in,
    text_in,
    time_of_text,
    without_heading,
)
from ci_scripts.gerrit.records import Account, Change, Message, PatchSet, Vote

# What `change_of` needs of a change.
OPTIONS = ("CURRENT_REVISION", "DETAILED_LABELS", "DETAILED_ACCOUNTS", "MESSAGES")


def account_of(value: dict[str, Any]) -> Account:
    """An AccountInfo."""
    return Account(
        number=number_in(value, "_account_id"),
        name=text_in(value, "name"),
        username=text_in(value, "username"),
        email=text_in(value, "email"),
    )


def change_of(answer: object, server: str) -> Change:
    """A ChangeInfo that was asked for with OPTIONS; ``server`` is the address that its page is below."""
    value = as_object(answer, "a change")
    number, project = number_in(value, "_number", None), text_in(value, "project", None)
    return Change(
        number=number,
        project=project,
        branch=text_in(value, "branch", None),
        subject=text_in(value, "subject"),
        status=status_in(value),
        owner=account_of(object_in(value, "owner")),
        current=_current(value),
        updated=time_of_text(text_in(value, "updated", None), "updated"),
        url=f"{server}/c/{project}/+/{number}",
        change_id=text_in(value, "change_id"),
        work_in_progress=value.get("work_in_progress") is True,
        messages=tuple(_message(each) for each in objects_in(value, "messages")),
        votes=tuple(_votes(object_in(value, "labels"))),
    )


def changes_of(answer: object, server: str) -> tuple[list[Change], bool]:
    """A page of a query, and whether there are more."""
    entries = as_list(answer, "the list of changes")
    more = bool(entries) and as_object(entries[-1], "a change").get("_more_changes") is True
    return [change_of(entry, server) for entry in entries], more


def comments_of(answer: object) -> list[Message]:
    """The comments on patch sets themselves, oldest first."""
    entries = objects_in(as_object(answer, "the comments"), PATCH_SET_LEVEL)
    found = [
        Message(
            number=text_in(entry, "id", None),
            author=account_of(object_in(entry, "author")),
            time=time_of_text(text_in(entry, "updated", None), "updated"),
            text=text_in(entry, "message"),
            patch_set=number_in(entry, "patch_set"),
            tag=text_in(entry, "tag"),
        )
        for entry in entries
    ]
    return sorted(found, key=lambda message: message.time)


def files_of(answer: object) -> list[str]:
    """Paths by name; see the verb ``files``."""
    found: set[str] = set()
    for path, about in as_object(answer, "the list of files").items():
        about = as_object(about, "a file")
        found.add(path)
        if about.get("status") == "R":
            found.add(text_in(about, "old_path"))
    return sorted(path for path in found if is_file(path))


def votes_taken(answer: object) -> dict[str, int]:
    """Which votes the server says that it took, out of its answer to a review."""
    labels = object_in(as_object(answer, "the answer to a review"), "labels")
    return {label: number_in(labels, label) for label in labels}


def _current(value: dict[str, Any]) -> PatchSet:
    revision = text_in(value, "current_revision", None)
    revisions = object_in(value, "revisions")
    if revision not in revisions:
        raise nonsense("the current patch set is missing")
    about = as_object(revisions[revision], "a patch set")
    return PatchSet(
        number=number_in(about, "_number", None),
        revision=revision,
        ref=text_in(about, "ref", None),
        created=time_of_text(text_in(about, "created", None), "created"),
    )


def _message(value: dict[str, Any]) -> Message:
    text = text_in(value, "message")
    return Message(
        number=text_in(value, "id", None),
        # Gerrit's own messages may have no author.
        author=account_of(object_in(value, "author")),
        time=time_of_text(text_in(value, "date", None), "date"),
        text=without_heading(text),
        patch_set=number_in(value, "_revision_number") or patch_set_named(text) or 0,
        tag=text_in(value, "tag"),
    )


def _votes(labels: dict[str, Any]) -> list[Vote]:
    found = []
    for label in labels:
        for each in objects_in(object_in(labels, label), "all"):
            value, date = number_in(each, "value"), text_in(each, "date")
            if value:
                found.append(Vote(label, value, account_of(each), time_of_text(date, "date") if date else None))
    return found
