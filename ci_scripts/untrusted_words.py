"""Words that come from a trigger, checked by pattern before they reach git, a path or a shell.

The rules are stricter than git's own (git-check-ref-format(1), gitremote-helpers(7)): what no OpenStack project
needs is refused, so that nothing can be taken for an option, leave its folder or start a remote helper.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ci_scripts.errors import ConfigurationError

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+#@=-]*"
_PROJECT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_BRANCH = re.compile(rf"{_NAME}(?:/{_NAME})*")
_CHANGE_REF = re.compile(r"refs/changes/[0-9]{2}/([1-9][0-9]{0,9})/([1-9][0-9]{0,5})")
_ZUUL_REF = re.compile(r"refs/zuul/(.+)/(Z[0-9a-f]{32})")
_REVISION = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_URL_PATH = r"(?:/[A-Za-z0-9._~+@=-]*)*"
_GIT_URL = re.compile(
    rf"(?:(?:https?|git)://{_HOST}|ssh://(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?{_HOST}|file://(?=/)){_URL_PATH}"
)
_WEB_URL = re.compile(rf"https?://{_HOST}(?:[/#?][A-Za-z0-9._~+@=/#?&,%:-]*)?")
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

LONGEST = 1024
LONGEST_COMMENT = 16 * 1024
SHOWN_CHARACTERS = 80


class Word(NamedTuple):
    """A value and where it was given: the name of a variable, a flag, or a key of a file."""

    origin: str
    value: str


def quoted(value: str) -> str:
    """``value`` in ASCII without control characters and not too long, fit for an error message."""
    shown = ascii(value[:SHOWN_CHARACTERS])
    return f"{shown} (cut)" if len(value) > SHOWN_CHARACTERS else shown


def _general_problem(value: str) -> str | None:
    if len(value) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if _CONTROL.search(value):
        return "contains a control character or a line break"
    if value.startswith("-"):
        return "starts with a dash, git would take it for an option"
    return None


def _dotted_problem(value: str) -> str | None:
    if ".." in value:
        return "contains '..'"
    if any(part.endswith((".lock", ".")) for part in value.split("/")):
        return "has a part that ends in '.lock' or a dot"
    return None


def project_problem(value: str) -> str | None:
    """Why ``value`` is not a project's name such as ``openstack/neutron``, or None."""
    if problem := _general_problem(value) or _dotted_problem(value):
        return problem
    return None if _PROJECT.fullmatch(value) else "is not a project's name such as openstack/neutron"


def branch_problem(value: str) -> str | None:
    """Why ``value`` is not a branch's name such as ``stable/2026.1``, or None."""
    if problem := _general_problem(value) or _dotted_problem(value):
        return problem
    if value == "@" or not _BRANCH.fullmatch(value):
        return "is not a branch's name such as stable/2026.1"
    return None


def ref_problem(value: str) -> str | None:
    """Why ``value`` is not a ref of a change (``refs/changes/...``, ``refs/zuul/<branch>/Z...``), or None."""
    if problem := _general_problem(value) or _dotted_problem(value):
        return problem
    if _CHANGE_REF.fullmatch(value):
        return None
    if zuul := _ZUUL_REF.fullmatch(value):
        return branch_problem(zuul.group(1))
    return "is neither refs/changes/<two digits>/<change>/<patch set> nor refs/zuul/<branch>/Z<32 hex digits>"


def ref_by_hand_problem(value: str) -> str | None:
    """As `ref_problem`, and a person may also name a branch: ``refs/heads/<branch>``."""
    if value.startswith("refs/heads/"):
        return branch_problem(value.removeprefix("refs/heads/"))
    problem = ref_problem(value)
    return f"{problem} nor refs/heads/<branch>" if problem and problem.startswith("is neither") else problem


def url_problem(value: str) -> str | None:
    """Why git may not fetch from ``value``, or None. Schemes: https, http, ssh, git, file (an absolute path)."""
    if problem := _general_problem(value):
        return problem
    if "::" in value and not re.match(r"[a-z]+://[^/]*\[", value):
        return "names a git remote helper (a '::' in it)"
    if ".." in value:
        return "contains '..'"
    return None if _GIT_URL.fullmatch(value) else "is not a https, http, ssh, git or file URL without a password"


def url_by_hand_problem(value: str) -> str | None:
    """As `url_problem`, and a person may also give the absolute path of a repository."""
    if not value.startswith("/"):
        problem = url_problem(value)
        return f"{problem}, nor an absolute path" if problem and problem.startswith("is not") else problem
    if problem := _general_problem(value):
        return problem
    return "contains '..'" if ".." in value.split("/") else None


def web_url_problem(value: str) -> str | None:
    """Why ``value`` is not the address of a page (http, https), or None."""
    if problem := _general_problem(value):
        return problem
    return None if _WEB_URL.fullmatch(value) else "is not a http or https URL"


def revision_problem(value: str) -> str | None:
    """Why ``value`` is not a commit's full name, or None."""
    if problem := _general_problem(value):
        return problem
    return None if _REVISION.fullmatch(value) else "is not a commit's full name (40 hex digits)"


def number_problem(value: str) -> str | None:
    """Why ``value`` is not a positive number in ASCII digits, or None."""
    if problem := _general_problem(value):
        return problem
    return None if _NUMBER.fullmatch(value) else "is not a number"


def word_problem(value: str) -> str | None:
    """Why ``value`` is not one plain word (a pipeline, an event type, a build's id), or None."""
    if problem := _general_problem(value):
        return problem
    return None if _WORD.fullmatch(value) else "is not one plain word"


def ref_of_change(number: str, patchset: str) -> str:
    """Gerrit's ref of a patch set: two last digits of the change, the change, the patch set."""
    return f"refs/changes/{number[-2:].zfill(2)}/{number}/{patchset}"


def change_of_ref(ref: str) -> tuple[str, str] | None:
    """Change number and patch set of a ``refs/changes/`` ref, None for any other text."""
    match = _CHANGE_REF.fullmatch(ref)
    return (match.group(1), match.group(2)) if match else None


def zuul_ref_of_branch(ref: str, branch: str) -> str | None:
    """The ref under which Zuul v2 keeps another branch of the same build set, None if ``ref`` is not Zuul's."""
    match = _ZUUL_REF.fullmatch(ref)
    return f"refs/zuul/{branch}/{match.group(2)}" if match else None


def without_control_characters(text: str) -> str:
    """Free text such as a comment: line breaks become ``\\n``, other control characters U+FFFD; cut at 16 KiB."""
    lines = text[:LONGEST_COMMENT].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(_CONTROL.sub("�", line.replace("\t", "    ")) for line in lines)


class Inspection:
    """Collects everything that is wrong with the words of a trigger, so that all of it is told at once."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def accept(self, word: Word | None, problem_of: Callable[[str], str | None]) -> str | None:
        """The word's value, or None where it is not given or (then noted as a problem) not acceptable."""
        if word is None:
            return None
        problem = problem_of(word.value)
        if problem is not None:
            self.problems.append(f"{word.origin} = {quoted(word.value)} {problem}")
            return None
        return word.value

    def require(self, word: Word | None, problem_of: Callable[[str], str | None], name: str) -> str:
        """As `accept`; that the word is not given is a problem too. Empty text after a problem."""
        if word is None:
            self.problems.append(f"{name} is not given")
            return ""
        return self.accept(word, problem_of) or ""

    def finish(self) -> None:
        """Raises ConfigurationError if anything was wrong."""
        if self.problems:
            raise ConfigurationError(
                f"The change under test is not usable: {'; '.join(self.problems)}.",
                next_step="correct what the trigger sends, or name the change with --change, --project and --url.",
            )
