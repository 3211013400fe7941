"""Gerrit's verbs over REST, with an HTTP password."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from ci_scripts.gerrit.answers import as_object
from ci_scripts.gerrit.errors import GerritFailed, Refused
from ci_scripts.gerrit.records import Account, Change, Message, Review
from ci_scripts.gerrit.rest_answers import (
    OPTIONS,
    account_of,
    change_of,
    changes_of,
    comments_of,
    files_of,
    votes_taken,
)
from ci_scripts.gerrit.rest_connection import RestConnection

PAGE = 100


class RestGerrit:
    """See the protocol ``Gerrit``; the limit of time is for each request with all its attempts."""

    def __init__(self, connection: RestConnection) -> None:
        self._connection = connection

    def own_account(self) -> Account:
        answer = self._connection.get("/accounts/self/detail", "the own account")
        return account_of(as_object(answer, "the account"))

    def change(self, number: int) -> Change:
        path = f"/changes/{number:d}?{urlencode([('o', option) for option in OPTIONS])}"
        return change_of(self._connection.get(path, f"change {number}"), self._connection.url)

    def changes(self, query: str, *, most: int = 500) -> list[Change]:
        found: dict[int, Change] = {}
        start, more = 0, True
        while more and len(found) < most:
            count = min(PAGE, most - len(found))
            words = [("q", query), ("n", count), ("S", start), *(("o", option) for option in OPTIONS)]
            answer = self._connection.get(f"/changes/?{urlencode(words)}", "a query for changes")
            page, more = changes_of(answer, self._connection.url)
            # One that was updated meanwhile has moved to the front and pushed another onto the next page.
            found |= {change.number: change for change in page if change.number not in found}
            start += len(page)
        return list(found.values())[:most]

    def comments(self, number: int) -> list[Message]:
        return comments_of(self._connection.get(f"/changes/{number:d}/comments", f"comments of change {number}"))

    def files(self, number: int, patch_set: int) -> list[str]:
        path = f"/changes/{number:d}/revisions/{patch_set:d}/files"
        return files_of(self._connection.get(path, f"files of change {number},{patch_set}"))

    def review(self, number: int, patch_set: int, review: Review) -> None:
        what = f"a review of change {number},{patch_set}"
        body: dict[str, object] = {"message": review.message, "notify": review.notify}
        if review.tag:
            body["tag"] = review.tag
        if review.votes:
            body["labels"] = dict(review.votes)
        answer = self._connection.post(f"/changes/{number:d}/revisions/{patch_set:d}/review", what, body)
        try:
            taken = votes_taken(answer)
        except GerritFailed as error:
            error.sent = True
            raise
        lost = [f"{label} {value:+d}" for label, value in review.votes.items() if taken.get(label) != value]
        if lost:
            # Gerrit posts the message and passes over a label, or a value of it, that the project does not have.
            raise Refused(
                f"{what}: the message was posted, but the project takes no vote {', '.join(lost)}.",
                next_step="see gerrit.label and the labels of the project.",
                sent=True,
            )

    def delete_vote(self, number: int, label: str, account: Account) -> None:
        who = str(account.number) if account.number else quote(account.username or account.email, safe="")
        path = f"/changes/{number:d}/reviewers/{who}/votes/{quote(label, safe='')}/delete"
        self._connection.post(path, f"deleting the vote {label} on change {number}", {"notify": "NONE"})
