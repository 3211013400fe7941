"""The fake Gerrit's answers, with the names and the shape that the real one uses."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from tests.fakes.gerrit_state import LABELS, FakeAccount, FakeChange, FakeMessage


def time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}.000000000"


def account_info(account: FakeAccount, options: Collection[str] = ("DETAILED_ACCOUNTS",)) -> dict[str, Any]:
    info: dict[str, Any] = {"_account_id": account.number}
    if "DETAILED_ACCOUNTS" in options:
        names = {"name": account.name, "email": account.email, "username": account.username}
        info |= {key: value for key, value in names.items() if value}
    return info


def change_info(change: FakeChange, options: Collection[str]) -> dict[str, Any]:
    """A ChangeInfo with what ``options`` asks for."""
    project = change.project.replace("/", "%2F")
    info: dict[str, Any] = {
        "id": f"{project}~{change.number}",
        "triplet_id": f"{project}~{change.branch}~{change.change_id}",
        "project": change.project,
        "branch": change.branch,
        "change_id": change.change_id,
        "subject": change.subject,
        "status": change.status,
        "created": time(change.created),
        "updated": time(change.updated),
        "_number": change.number,
        "owner": account_info(change.owner, options),
        "current_revision_number": change.current.number,
        "requirements": [],
        **({"work_in_progress": True} if change.work_in_progress else {}),
    }
    if "DETAILED_LABELS" in options:
        info["labels"] = {label: _label(change, label, options) for label in LABELS}
    if "MESSAGES" in options:
        info["messages"] = [message_info(message, options) for message in change.messages]
    if "CURRENT_REVISION" in options:
        current = change.current
        info["current_revision"] = current.revision
        info["revisions"] = {
            current.revision: {
                "kind": "REWORK",
                "_number": current.number,
                "created": time(current.created),
                "uploader": account_info(change.owner, options),
                "ref": current.ref,
                "fetch": {},
                "branch": f"refs/heads/{change.branch}",
                **({"commit": {"message": current.message}} if "CURRENT_COMMIT" in options else {}),
            }
        }
    return info


def message_info(message: FakeMessage, options: Collection[str]) -> dict[str, Any]:
    return {
        "id": message.number,
        **({"tag": message.tag} if message.tag else {}),
        "author": account_info(message.author, options),
        "date": time(message.time),
        "message": message.text,
        "accounts_in_message": [],
        "_revision_number": message.patch_set,
    }


def comments_info(change: FakeChange) -> dict[str, Any]:
    """Comments by path; the fake keeps those on the patch set itself only."""
    found = [
        {
            "author": account_info(comment.author),
            "unresolved": False,
            "patch_set": comment.patch_set,
            "id": comment.number,
            **({"tag": comment.tag} if comment.tag else {}),
            "updated": time(comment.time),
            "message": comment.text,
        }
        for comment in change.comments
    ]
    return {"/PATCHSET_LEVEL": found} if found else {}


def files_info(change: FakeChange, patch_set: int) -> dict[str, Any]:
    about = {"lines_inserted": 1, "size_delta": 2, "size": 2}
    files = change.patch_sets[patch_set - 1].files
    return {"/COMMIT_MSG": {"status": "A", **about}, **{path: {**about, **how} for path, how in files.items()}}


def _label(change: FakeChange, label: str, options: Collection[str]) -> dict[str, Any]:
    everybody = {message.author.username: message.author for message in change.messages}
    entries = []
    for username, account in everybody.items():
        value, when = change.votes.get((change.current.number, label, username), (0, None))
        dated = {"date": time(when)} if when and value else {}
        entries.append({"value": value, **dated, **account_info(account, options)})
    return {"all": entries, "values": {" 0": "No score"}, "default_value": 0}
