"""The change under test as Jenkins' Gerrit Trigger plug-in describes it: GERRIT_* variables.

Names and encodings follow the plug-in's GerritTriggerParameters: the comment's text is base64 of UTF-8 by
default, but a job can be configured to get it plain or not at all.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ci_scripts.untrusted_words import Word, ref_of_change, without_control_characters


def word_of(environment: Mapping[str, str], name: str) -> Word | None:
    """The variable as a word; None where it is missing or empty (Jenkins passes blank parameters as empty)."""
    value = environment.get(name, "")
    return Word(name, value) if value else None


def words_of_gerrit_trigger(environment: Mapping[str, str]) -> dict[str, Word | None] | None:
    """What the plug-in says about a change, unchecked; None if it did not start this build for a change."""
    if not environment.get("GERRIT_CHANGE_NUMBER"):
        return None
    names = {
        "number": "GERRIT_CHANGE_NUMBER",
        "patchset": "GERRIT_PATCHSET_NUMBER",
        "project": "GERRIT_PROJECT",
        "branch": "GERRIT_BRANCH",
        "ref": "GERRIT_REFSPEC",
        "revision": "GERRIT_PATCHSET_REVISION",
        "change_url": "GERRIT_CHANGE_URL",
        "event_type": "GERRIT_EVENT_TYPE",
    }
    words = {field: word_of(environment, name) for field, name in names.items()}
    number, patchset = words["number"], words["patchset"]
    if words["ref"] is None and number and patchset:
        words["ref"] = Word("GERRIT_CHANGE_NUMBER", ref_of_change(number.value, patchset.value))
    words["url"] = _git_url(environment)
    words["comment"] = word_of(environment, "GERRIT_EVENT_COMMENT_TEXT")
    return words


def what_else_started(environment: Mapping[str, str]) -> str | None:
    """Words for an event of the plug-in that is not about a change (ref-updated), None if there is none."""
    if environment.get("GERRIT_CHANGE_NUMBER") or not environment.get("GERRIT_EVENT_TYPE"):
        return None
    return "Jenkins' Gerrit Trigger started this build for an event without a change (GERRIT_CHANGE_NUMBER is empty)"


def base_of_change_page(change_url: str, project: str) -> str | None:
    """Gerrit's web root, found by cutting the change off the address of its page; None if it has no such form.

    Known forms: ``/123``, ``/r/123``, ``/#/c/123/``, ``/c/<project>/+/123/4``. Anonymous git over HTTP is served
    at ``<web root>/<project>``.
    """
    for separator in (f"/c/{project}/+/", "/#/c/", "/c/"):
        root, found, rest = change_url.partition(separator)
        if found and re.fullmatch(r"[0-9]+(?:/[0-9]*)?/?", rest):
            return root
    root, _, number = change_url.rstrip("/").rpartition("/")
    if root.endswith("/+"):
        return None
    return root if re.fullmatch(r"[0-9]+", number) and urlsplit(root).netloc else None


def _git_url(environment: Mapping[str, str]) -> Word | None:
    """Where to fetch from: the web address first, because it needs no key and a node has none.

    GERRIT_SCHEME, HOST and PORT describe the connection of the event stream, which is ssh.
    """
    project = environment.get("GERRIT_PROJECT", "")
    page = environment.get("GERRIT_CHANGE_URL", "")
    if page.startswith(("http://", "https://")) and (base := base_of_change_page(page, project)):
        return Word("GERRIT_CHANGE_URL and GERRIT_PROJECT", f"{base}/{project}")
    host = environment.get("GERRIT_HOST", "")
    if not host or not project:
        return None
    scheme = environment.get("GERRIT_SCHEME") or "ssh"
    port = environment.get("GERRIT_PORT", "")
    # The plug-in gives the port of sshd whatever the scheme says.
    where = f"{host}:{port}" if scheme == "ssh" and port else host
    return Word("GERRIT_SCHEME, GERRIT_HOST, GERRIT_PORT and GERRIT_PROJECT", f"{scheme}://{where}/{project}")


def comment_text(value: str) -> str:
    """The comment of a GERRIT_EVENT_COMMENT_TEXT, decoded where it is base64, without control characters.

    Plain text is told from base64 by its blanks: Gerrit begins every comment with "Patch Set N:".
    """
    packed = "".join(value.split("\n"))
    try:
        text = base64.b64decode(packed, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError, ValueError):
        text = value
    return without_control_characters(text)
