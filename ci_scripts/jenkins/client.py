"""python-jenkins with limits: every answer has a time-out and a size, and a Jenkins that restarts is waited for.

python-jenkins says "does not exist" for most refusals and quotes whole pages; here each refusal is told by its status,
in one line, with the right that is missing.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import jenkins  # type: ignore[import-untyped]
import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from ci_scripts.jenkins.errors import JenkinsFailed, NoRight, Unreachable
from ci_scripts.run_command import MASK

LARGEST_ANSWER = 32 * 1024 * 1024
LARGEST_REFUSAL = 64 * 1024
SHOWN = 300
FIRST_WAIT, LONGEST_WAIT = 1.0, 15.0
# 503: Jenkins starts or restarts. The others come from a proxy before it, and what was asked may have been done.
RESTARTING, BEHIND_A_PROXY = 503, (502, 504)
LACKS = re.compile(r"is missing the ([\w./ -]{1,80}?) permission")


@dataclass(frozen=True)
class Limits:
    """Seconds: ``answer`` for silence (an answer ends within twice that), ``restart`` for a Jenkins that is not up."""

    answer: float
    restart: float


@dataclass(frozen=True)
class Doing:
    """What is being asked, for an error: ``what`` as in "job a/b", and the right it needs, as Jenkins calls it."""

    what: str = "its state"
    right: str = "Overall/Read"


@dataclass(frozen=True)
class Answer:
    """As much of requests' Response as python-jenkins looks at."""

    status_code: int
    headers: Any
    content: bytes

    @property
    def text(self) -> str:
        # Jenkins writes UTF-8 and does not always say so; requests would guess.
        return self.content.decode("utf-8", "replace")

    @property
    def is_page(self) -> bool:
        return "html" in self.headers.get("Content-Type", "").lower()


class _Trouble(Exception):
    """No good answer. ``begun``: the request may be done. ``passing``: again may help, ``slow``: later."""

    def __init__(self, why: str, *, begun: bool, passing: bool = True, slow: bool = False) -> None:
        super().__init__(why)
        self.begun = begun
        self.passing = passing and not slow
        self.slow = slow


class Client(jenkins.Jenkins):  # type: ignore[misc]
    """python-jenkins' verbs over our own requests. ``note`` is told when a Jenkins that is not up is waited for.

    Each verb raises a JenkinsFailed, or python-jenkins' own exceptions where something is not there (404).
    """

    def __init__(self, url: str, user: str, token: str, limits: Limits, note: Callable[[str], None]) -> None:
        super().__init__(url, username=user, password=token, timeout=limits.answer)
        self.url, self.user, self.limits = url, user, limits
        self.crumb: Any = None
        self._token, self._note = token, note
        self._doing = Doing()
        self._http = requests.Session()
        # What is packed can be larger than it looks, and some servers pack their error pages wrongly.
        self._http.headers["Accept-Encoding"] = "identity"
        # As bytes: requests would encode text as Latin-1.
        self._http.auth = (user.encode(), token.encode())  # type: ignore[assignment]

    @contextlib.contextmanager
    def doing(self, what: str, right: str) -> Iterator[None]:
        """What the verbs called within are for; errors say it."""
        before, self._doing = self._doing, Doing(what, right)
        try:
            yield
        finally:
            self._doing = before

    def jenkins_request(
        self, req: requests.Request, add_crumb: bool = True, resolve_auth: bool = True, stream: bool | None = None
    ) -> Answer:
        """All of python-jenkins' verbs come here."""
        changes = req.method != "GET"
        if changes and add_crumb:
            self.maybe_add_crumb(req)
        answer = self._patiently(req)
        if changes and self.crumb and answer.status_code == 403 and b"crumb" in answer.content[:LARGEST_REFUSAL]:
            # The session that the crumb was made for ended with a restart; nothing was done.
            self.crumb = None
            self.maybe_add_crumb(req)
            answer = self._patiently(req)
        self._raise_unless_good(answer, req)
        return answer

    def json(self, path: str, tree: str) -> dict[str, Any]:
        """What the remote API says of ``path`` (empty, or ending in a slash), no more than ``tree`` names."""
        data = json.loads(
            self.jenkins_open(requests.Request("GET", self.address(f"{path}api/json"), {}, params={"tree": tree}))
        )
        if not isinstance(data, dict):
            raise ValueError("the answer is no object")
        return data

    def address(self, path: str) -> str:
        return urljoin(f"{self.url}/", path)

    def _patiently(self, request: requests.Request) -> Answer:
        """The answer, waited for while Jenkins is not up; a change is sent again only if it did not arrive."""
        began, wait, told = time.monotonic(), FIRST_WAIT, False
        while True:
            try:
                return self._once(request)
            except _Trouble as trouble:
                again = trouble.passing and (request.method == "GET" or not trouble.begun)
                left = self.limits.restart - (time.monotonic() - began)
                if not again or left <= 0:
                    waited = time.monotonic() - began if told else 0.0
                    self._give_up(trouble, request.method != "GET", waited)
                if not told:
                    self._note(f"{self.url}: {trouble}; it is asked again for up to {self.limits.restart:g} s")
                    told = True
            time.sleep(min(wait, left))
            wait = min(2 * wait, LONGEST_WAIT)

    def _give_up(self, trouble: _Trouble, changes: bool, waited: float) -> NoReturn:
        tried = f", tried for {waited:.0f} s" if waited else ""
        unknown = " It is not known whether it was done." if changes and trouble.begun else ""
        raise Unreachable(
            f"no good answer from Jenkins {self.url}, asked for {self._doing.what}{tried}: "
            f"{self._masked(str(trouble))}.{unknown}",
            next_step=f"see whether Jenkins runs and {urlsplit(self.url).netloc} can be reached from here, "
            "then give the command again.",
            begun=changes and trouble.begun,
            slow=trouble.slow,
        ) from None

    def _once(self, request: requests.Request) -> Answer:
        """One request. Raises _Trouble."""
        limit = self.limits.answer
        try:
            prepared = self._http.prepare_request(request)
            settings = self._http.merge_environment_settings(prepared.url or "", {}, True, None, None)
            # A redirect is not followed: it would make a GET of what changes something.
            with self._http.send(prepared, timeout=(limit, limit), allow_redirects=False, **settings) as response:
                answer = self._read(response, time.monotonic() + 2 * limit)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise _trouble_of(error, limit) from None
        if answer.status_code == RESTARTING:
            raise _Trouble("it is starting or restarting (status 503)", begun=False)
        if answer.status_code in BEHIND_A_PROXY:
            raise _Trouble(f"status {answer.status_code} of a proxy before it", begun=True)
        return answer

    def _read(self, response: requests.Response, deadline: float) -> Answer:
        pieces, size, good = [], 0, response.status_code < 300
        largest = LARGEST_ANSWER if good else LARGEST_REFUSAL
        # Piece by piece as it comes: a server that sends one byte now and then would hold us for ever.
        while piece := response.raw.read1(65536, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > largest and good:
                raise _Trouble(f"its answer is larger than {largest} bytes", begun=True, passing=False)
            if size > largest:
                break
            if time.monotonic() > deadline:
                raise _Trouble("its answer did not end in time", begun=True, slow=True)
        return Answer(response.status_code, response.headers, b"".join(pieces))

    def _raise_unless_good(self, answer: Answer, request: requests.Request) -> None:
        status, doing = answer.status_code, self._doing
        if status < 300:
            if urlsplit(request.url).path.endswith("/api/json"):
                self._raise_unless_json(answer)
            return
        if status < 400:
            self._raise_unless_back_home(answer, request)
            return
        if status == 404:
            raise jenkins.NotFoundException("Requested item could not be found")
        said = f"{doing.what}: Jenkins {self.url} says {status}{self._said(answer)}."
        if status == 401:
            raise NoRight(
                said,
                next_step=f"see jenkins.user ({self.user}) in ci.yaml and its token (its page, Security).",
                status=401,
            )
        if status == 403:
            right = self._right_in(answer) or doing.right
            raise NoRight(said, next_step=f"ask Jenkins' administrators to give {self.user} the right {right}.")
        raise JenkinsFailed(said, next_step="see Jenkins' own log.", status=status)

    def _raise_unless_json(self, answer: Answer) -> None:
        try:
            json.loads(answer.content)
        except (ValueError, RecursionError):
            kind = "a page (HTML)" if answer.is_page or answer.content.lstrip()[:1] == b"<" else "something else"
            raise Unreachable(
                f"{self.url} answers with {kind} where Jenkins would answer with JSON, asked for {self._doing.what}.",
                next_step="see whether jenkins.url is the address of a Jenkins, and what stands before it: "
                "a proxy or a login page.",
                status=answer.status_code,
            ) from None

    def _raise_unless_back_home(self, answer: Answer, request: requests.Request) -> None:
        """Jenkins leads back to one of its pages after a change; anything else did nothing."""
        with contextlib.suppress(ValueError):
            here, there = urlsplit(request.url), urlsplit(urljoin(request.url, answer.headers.get("Location", "")))
            login = "login" in there.path.lower() or "securityrealm" in there.path.lower()
            if request.method != "GET" and not login and (here.scheme, here.netloc) == (there.scheme, there.netloc):
                return
        raise Unreachable(
            f"{self._doing.what}: {self.url} leads elsewhere (status {answer.status_code}), which is not followed.",
            next_step="name Jenkins' own address in jenkins.url; if a login page stands before it, ask its "
            "administrators how a program gets in.",
            status=answer.status_code,
        )

    def _right_in(self, answer: Answer) -> str:
        """The right that Jenkins says is missing, empty where it does not."""
        named = str(answer.headers.get("X-Required-Permission", ""))
        if re.fullmatch(r"[\w.$]{1,120}", named):
            return ".".join(named.split(".")[-2:])
        found = LACKS.search(answer.text[:LARGEST_REFUSAL])
        return found[1] if found else ""

    def _said(self, answer: Answer) -> str:
        """Why, in one line: Jenkins says it in a header, or somewhere on a page."""
        text = str(answer.headers.get("X-Error", "")) or _gist(answer.text)
        text = self._masked(" ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text).split()))[:SHOWN]
        return f" ({text.rstrip('.')})" if text else ""

    def _masked(self, text: str) -> str:
        return text.replace(self._token, MASK.decode())


def _gist(page: str) -> str:
    """What a page of Jenkins, or of the servlet container below it, says went wrong."""
    for pattern in (
        r"Caused by:\s*(?:</h3>)?\s*<pre>([^\n<]+)",
        r"<h1[^>]*>.*?</h1>\s*<p>(.*?)</p>",
        r"<title>(.*?)</title>",
    ):
        if found := re.search(pattern, page, re.S | re.I):
            return html.unescape(re.sub(r"<[^>]{0,200}>", " ", found[1]))
    return "" if page.lstrip().startswith("<") else page.strip().partition("\n")[0]


def _trouble_of(error: Exception, limit: float) -> _Trouble:
    """What became of a request, in few words: the library's own quote addresses of objects."""
    causes = list(_causes(error))
    begun = not any(isinstance(each, (NewConnectionError, ConnectTimeoutError)) for each in causes)
    if any("CERTIFICATE_VERIFY_FAILED" in str(each) for each in causes):
        return _Trouble("its certificate is not valid", begun=False, passing=False)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return _Trouble("its address is not usable", begun=False, passing=False)
    if isinstance(error, requests.Timeout) or any("timed out" in str(each) for each in causes):
        return _Trouble(f"no answer in {limit:g} s", begun=begun, slow=True)
    words = [each.strerror for each in causes if isinstance(each, OSError) and each.strerror]
    return _Trouble(words[-1] if words else "the connection ended before the answer did", begun=begun)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it wraps, outermost first."""
    seen: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(seen) < 20:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and each not in seen:
            seen.append(each)
            yield each
            waiting += [*each.args, getattr(each, "reason", None), each.__cause__, each.__context__]
