"""The part of Gerrit's query language that the fake understands; anything else is refused as Gerrit refuses it.

https://gerrit-review.googlesource.com/Documentation/user-search.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tests.fakes.gerrit_state import FakeAccount, FakeChange, Refusal

Test = Callable[[FakeChange], bool]
_TOKEN = re.compile(r'\s*(\(|\)|-(?=\S)|[^\s()":{}]+:(?:"[^"]*"|\{[^}]*\}|[^\s()]+)|"[^"]*"|[^\s()]+)')
_LABEL = re.compile(r"([A-Za-z-]+?)(<=|>=|=|<|>|)([+-]?[0-9])(?:,(?:user=)?([^,]+))?")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def matcher(query: str, caller: FakeAccount, now: datetime) -> tuple[Test, int | None]:
    """Which changes a query means, and its ``limit:``. Raises Refusal."""
    return _Parser(query, caller, now).parse()


class _Parser:
    def __init__(self, query: str, caller: FakeAccount, now: datetime) -> None:
        self.words = _TOKEN.findall(query)
        self.caller = caller
        self.now = now
        self.limit: int | None = None

    def parse(self) -> tuple[Test, int | None]:
        test = self._or()
        if self.words:
            raise Refusal(400, f"line 1:0 no viable alternative at input '{self.words[0]}'")
        return test, self.limit

    def _or(self) -> Test:
        tests = [self._and()]
        while self.words and self.words[0] == "OR":
            self.words.pop(0)
            tests.append(self._and())
        return lambda change: any(test(change) for test in tests)

    def _and(self) -> Test:
        tests = []
        while self.words and self.words[0] not in (")", "OR"):
            if self.words[0] == "AND":
                self.words.pop(0)
            tests.append(self._not())
        return lambda change: all(test(change) for test in tests)

    def _not(self) -> Test:
        if not self.words:
            raise Refusal(400, "line 1:0 no viable alternative at input '<EOF>'")
        word = self.words.pop(0)
        if word in ("-", "NOT"):
            test = self._not()
            return lambda change: not test(change)
        if word == "(":
            test = self._or()
            if not self.words or self.words.pop(0) != ")":
                raise Refusal(400, "line 1:0 missing ')' at '<EOF>'")
            return test
        return self._term(word)

    def _term(self, word: str) -> Test:
        operator, colon, value = word.partition(":")
        if not colon:
            return lambda change: word in (str(change.number), change.change_id, change.current.revision)
        value = value.strip('"{}')
        makers: dict[str, Callable[[str], Test]] = {
            "change": lambda value: lambda change: value in (str(change.number), change.change_id),
            "status": self._status,
            "is": self._status,
            "project": lambda value: lambda change: _same(value, change.project),
            "projects": lambda value: lambda change: change.project.startswith(value),
            "branch": lambda value: lambda change: _same(value, change.branch),
            "subject": lambda value: lambda change: value in change.subject,
            "label": self._label,
            "owner": lambda value: lambda change: change.owner.username == self._who(value),
            "after": self._after,
            "since": self._after,
            "before": self._before,
            "until": self._before,
            "age": self._age,
            **dict.fromkeys(("reviewer", "cc", "from", "commentby", "reviewedby"), self._involved),
        }
        if operator == "limit":
            self.limit = int(value)
            return lambda change: True
        if operator not in makers:
            raise Refusal(400, f"Unsupported operator {word}")
        return makers[operator](value)

    def _who(self, value: str) -> str:
        return self.caller.username if value in ("self", "me") else value

    def _status(self, value: str) -> Test:
        groups = {
            "open": ("NEW",),
            "new": ("NEW",),
            "pending": ("NEW",),
            "merged": ("MERGED",),
            "abandoned": ("ABANDONED",),
            "closed": ("MERGED", "ABANDONED"),
        }
        if value == "wip":
            return lambda change: change.work_in_progress
        if value == "owner":
            return lambda change: change.owner is self.caller
        if value == "reviewer":
            return self._involved("self")
        if value not in groups:
            raise Refusal(400, f"Unrecognized value: {value}")
        return lambda change: change.status in groups[value]

    def _involved(self, value: str) -> Test:
        who = self._who(value)

        def test(change: FakeChange) -> bool:
            spoke = {message.author.username for message in (*change.messages, *change.comments)}
            return who in spoke | {username for _, _, username in change.votes}

        return test

    def _label(self, value: str) -> Test:
        match = _LABEL.fullmatch(value)
        if match is None:
            raise Refusal(400, f"Invalid label expression: {value}")
        label, compare, number, user = match[1], match[2], int(match[3]), match[4]

        def test(change: FakeChange) -> bool:
            for (patch_set, name, username), (vote, _) in change.votes.items():
                fits = {"<=": vote <= number, ">=": vote >= number, "<": vote < number, ">": vote > number}
                right_user = user is None or username == self._who(user)
                here = (patch_set, name) == (change.current.number, label) and vote != 0
                if here and right_user and fits.get(compare, vote == number):
                    return True
            return False

        return test

    def _after(self, value: str) -> Test:
        return lambda change: change.updated >= _time(value)

    def _before(self, value: str) -> Test:
        return lambda change: change.updated <= _time(value)

    def _age(self, value: str) -> Test:
        match = re.fullmatch(r"([0-9]+)\s*([smhdw])[a-z]*", value)
        if match is None:
            raise Refusal(400, f"Invalid value: {value}")
        age = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
        return lambda change: change.updated <= self.now - age


def _same(value: str, text: str) -> bool:
    return re.fullmatch(value[1:], text) is not None if value.startswith("^") else value == text


def _time(value: str) -> datetime:
    for form in ("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"):
        try:
            found = datetime.strptime(value, form)
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    raise Refusal(400, f"Date in wrong format: {value}")
