"""One server that is asked over HTTP: the password, time-outs, attempts, limits, and what its refusals mean."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from ci_scripts.gerrit.answers import parsed
from ci_scripts.gerrit.errors import GerritFailed, NotAllowed, NotLoggedIn, NotThere, Refused
from ci_scripts.gerrit.pace import Pace, Patience, Trouble, persist
from ci_scripts.run_command import MASK

# What Gerrit writes before all JSON, so that no browser takes it for a script.
MAGIC_LINE = b")]}'"
LARGEST_ANSWER = 64 * 1024 * 1024
LARGEST_REFUSAL = 16 * 1024
SHOWN = 300
TRANSIENT = (429, 502, 503, 504)
# By these a server says that it has not begun with the request.
NOT_BEGUN = (429, 503)
REFUSALS = (400, 409, 412, 413, 422)


@dataclass(frozen=True)
class _Answer:
    status: int
    kind: str
    body: bytes
    retry_after: float | None
    location: str

    @property
    def is_page(self) -> bool:
        return "html" in self.kind or self.body.lstrip()[:1] == b"<"


@dataclass
class RestConnection:
    """``url`` is the server's address without ``/a``. Nothing is sent before the first request.

    Without a ``user`` it is asked as anybody can ask it: no password, and none out of a ``.netrc`` either.
    """

    url: str
    user: str
    password: str = field(repr=False)
    patience: Patience
    pace: Pace
    largest: int = LARGEST_ANSWER

    def __post_init__(self) -> None:
        self._session = requests.Session()
        # As bytes: requests would encode text as Latin-1, Gerrit reads UTF-8.
        login = (self.user.encode(), self.password.encode())
        self._session.auth = login if self.user else _nobody  # type: ignore[assignment]
        self._session.headers["Accept"] = "application/json"

    def get(self, path: str, what: str) -> Any:
        """The JSON at ``path``; ``what`` names it for people ("change 12")."""
        return self._value(self._ask("GET", path, what, None), what, sent=False)

    def post(self, path: str, what: str, body: object) -> Any:
        """Send JSON; the answer's JSON, None where it is empty. Sent again only if it is certain not to have arrived.

        Raises GerritFailed with ``sent`` where nobody knows whether it has been done.
        """
        answer = self._ask("POST", path, what, json.dumps(body).encode())
        return None if answer.status == 204 or not answer.body.strip() else self._value(answer, what, sent=True)

    def _ask(self, method: str, path: str, what: str, body: bytes | None) -> _Answer:
        posted = body is not None
        try:
            answer = persist(
                lambda seconds: self._once(method, path, body, seconds),
                self.patience,
                self.pace,
                repeatable=not posted,
            )
        except Trouble as trouble:
            tries = f" after {trouble.attempts} tries" if trouble.attempts > 1 else ""
            unknown = " It is not known whether it was done." if posted and trouble.begun else ""
            host = urlsplit(self.url).netloc
            raise GerritFailed(
                f"{what}: no good answer from {self.url}{tries}: {self._masked(str(trouble))}.{unknown}",
                next_step=f"see whether {host} can be reached from here and run the command again.",
                sent=posted and trouble.begun,
                transient=trouble.passing,
            ) from None
        self._raise_unless_good(answer, what, posted)
        return answer

    def _once(self, method: str, path: str, body: bytes | None, seconds: float) -> _Answer:
        """One request. Raises Trouble."""
        patience, headers = self.patience, {"Content-Type": "application/json; charset=UTF-8"} if body else {}
        limit = min(patience.answer, seconds)
        deadline = patience.clock() + seconds
        try:
            # A redirect is not followed: it would take the password to wherever it points.
            with self._session.request(
                method,
                f"{self.url}{'/a' if self.user else ''}{path}",
                data=body,
                headers=headers,
                timeout=(limit, limit),
                allow_redirects=False,
                stream=True,
            ) as response:
                answer = self._read(response, deadline)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _trouble_of(error, limit) from None
        if answer.status in TRANSIENT:
            after = f", again in {answer.retry_after:.0f} s" if answer.retry_after is not None else ""
            why = f"status {answer.status}{self._said(answer)}{after}"
            raise Trouble(why, begun=answer.status not in NOT_BEGUN, after=answer.retry_after)
        return answer

    def _read(self, response: requests.Response, deadline: float) -> _Answer:
        pieces, size, good = [], 0, response.status_code < 300
        largest = self.largest if good else LARGEST_REFUSAL
        # Piece by piece as it comes: a server that sends one byte now and then would hold us for ever.
        while piece := response.raw.read1(65536, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > largest and good:
                raise Trouble(f"its answer is larger than {largest} bytes", begun=True, passing=False)
            if size > largest:
                break
            if self.patience.clock() > deadline:
                raise Trouble("its answer did not end in time", begun=True)
        return _Answer(
            response.status_code,
            response.headers.get("Content-Type", "").lower(),
            b"".join(pieces),
            _seconds(response.headers.get("Retry-After")),
            response.headers.get("Location", ""),
        )

    def _value(self, answer: _Answer, what: str, *, sent: bool) -> Any:
        if not answer.body.startswith(MAGIC_LINE):
            kind = "a page (HTML)" if answer.is_page else "something else"
            raise GerritFailed(
                f"{self.url} answered with {kind} where Gerrit would answer with JSON, asked for {what}.",
                next_step="see whether gerrit.url is the address of a Gerrit, and whether a proxy or a login page "
                "stands before it.",
                sent=sent,
            )
        try:
            return parsed(answer.body.removeprefix(MAGIC_LINE))
        except GerritFailed as error:
            error.sent = sent
            raise

    def _raise_unless_good(self, answer: _Answer, what: str, posted: bool) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        said = f"{what}: {self.url} says {status}{self._said(answer)}."
        if status < 400:
            raise self._redirected(answer, what)
        if status == 401 and not self.user:
            raise NotLoggedIn(said, next_step="it shows nothing without a password; let it be read by anybody.")
        if status == 401:
            how = "which Gerrit makes under Settings, HTTP Credentials"
            raise NotLoggedIn(said, next_step=f"check gerrit.user ({self.user}) and its HTTP password, {how}.")
        if answer.is_page:
            next_step = "see whether gerrit.url is the address of a Gerrit, and what stands before it."
            raise GerritFailed(said, next_step=next_step, sent=posted and status >= 500, transient=status >= 500)
        if status == 403:
            raise NotAllowed(said, next_step=f"ask Gerrit's administrators to give {self.user} that right.")
        if status == 404:
            raise NotThere(said, next_step="see whether it exists and whether the account may see it.")
        if status in REFUSALS:
            raise Refused(said)
        raise GerritFailed(
            said,
            next_step="it is Gerrit's own trouble: try again later, or ask its administrators.",
            sent=posted and status >= 500,
            transient=status >= 500,
        )

    def _redirected(self, answer: _Answer, what: str) -> GerritFailed:
        try:
            where = urlsplit(urljoin(f"{self.url}/", answer.location))
            place = f"{where.scheme}://{where.hostname}"
        except ValueError:
            place = "another address"
        return GerritFailed(
            f"{what}: {self.url} redirects to {place}, which is not followed.",
            next_step="if that is the Gerrit, name its address in gerrit.url; if it is a login page, ask its "
            "administrators how a program gets in.",
        )

    def _said(self, answer: _Answer) -> str:
        """The first line of a refusal, for a message."""
        if answer.is_page:
            return " with a page (HTML)"
        first = answer.body.decode("utf-8", "replace").strip().partition("\n")[0][:SHOWN]
        first = self._masked(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", first))
        return f" ({first.rstrip('.')})" if first else ""

    def _masked(self, text: str) -> str:
        return text.replace(self.password, MASK.decode()) if self.password else text


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _trouble_of(error: Exception, limit: float) -> Trouble:
    """What became of a request, in few words: the library's own quote addresses of objects."""
    causes = _causes(error)
    begun = not any(isinstance(each, (NewConnectionError, ConnectTimeoutError)) for each in causes)
    if any("CERTIFICATE_VERIFY_FAILED" in str(each) for each in causes):
        return Trouble("its certificate is not valid", begun=False, passing=False)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return Trouble("its address is not usable", begun=False, passing=False)
    if isinstance(error, requests.Timeout) or any("timed out" in str(each) for each in causes):
        return Trouble(f"no answer in {limit:g} s", begun=begun)
    words = [each.strerror for each in causes if isinstance(each, OSError) and each.strerror]
    return Trouble(words[-1] if words else "the connection ended before the answer did", begun=begun)


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and what it wraps, outermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in found and len(found) < 20:
            found.append(each)
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
    return found


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After (RFC 9110, 10.2.3): seconds or a date. None where there is none or it is neither."""
    text = (retry_after or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()) if text else None
    except (ValueError, TypeError):
        return None
