"""What doctor --trusted looks at: all that publishing, reporting and taking back need, and no node has."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ci_scripts.comment_parsers import is_shown
from ci_scripts.credentials import NoPassword, read_password
from ci_scripts.errors import CIError
from ci_scripts.operate.examination import Finding, Site
from ci_scripts.operate.jenkins_examination import examine_jenkins
from ci_scripts.settings import command_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ci_scripts.settings_model import Settings

ENOUGH_CONTACTS = 2


def examine_trusted(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, one after the other, as they are made."""
    site = Site(settings, command_environment(environment), environment)
    yield Finding("configuration", True, str(settings.config_path))
    for look in _LOOKS:
        yield from look(site)


def _contacts(site: Site) -> Iterator[Finding]:
    names = [contact.name for contact in site.settings.contacts]
    good = len(names) >= ENOUGH_CONTACTS
    mend = "" if good else "name at least two people under contacts: one may be on holiday"
    yield Finding("contacts", good, ", ".join(names) or "none", mend)


def _gerrit(site: Site) -> Iterator[Finding]:
    from ci_scripts.gerrit import open_gerrit

    gerrit = site.settings.gerrit
    if gerrit is None:
        yield Finding("gerrit", False, "there is no gerrit section", "add one: see docs/reporting.md")
        return
    where = gerrit.url if gerrit.over_rest else f"{gerrit.ssh.host}:{gerrit.ssh.port} by ssh" if gerrit.ssh else ""
    try:
        own = open_gerrit(site.settings, site.environment).own_account()
    except CIError as error:
        yield Finding("gerrit", False, f"{where}: {error.what}", error.next_step or "see that the server answers")
        return
    yield Finding("gerrit", True, f"{where}: we are {own.username or gerrit.user}, {own.name or 'name not told'}")
    # Over SSH an account's full name is not always told.
    name = own.name or site.settings.name
    good = is_shown(name, gerrit.tag) and name == site.settings.name
    mend = f"give the account the full name {site.settings.name!r}, or correct name: in ci.yaml" if not good else ""
    yield Finding("account's full name", good, name, mend)


def _logs(site: Site) -> Iterator[Finding]:
    logs = site.settings.logs
    if logs is None:
        yield Finding("logs", False, "there is no logs section", "add one: see docs/publishing.md")
        return
    if not logs.publish_to.startswith("/"):
        yield Finding("logs", True, f"{logs.publish_to}, not asked; addresses begin with {logs.url}")
        return
    folder = Path(logs.publish_to)
    good = folder.is_dir() and os.access(folder, os.W_OK)
    text = f"{folder}{'' if good else ' is no folder that we can write to'}; addresses begin with {logs.url}"
    yield Finding("logs", good, text, "" if good else "make or mount it")


def _history(site: Site) -> Iterator[Finding]:
    from ci_scripts.history import HistoryFailed, history_url, open_history

    settings = site.settings
    try:
        url = history_url(settings, site.environment)
        with open_history(url, timeout=settings.history.timeout_seconds):
            yield Finding("history", True, url.render_as_string(hide_password=True))
    except HistoryFailed as error:
        yield Finding("history", False, error.what, error.next_step or "see that the database answers")


def _zuul(site: Site) -> Iterator[Finding]:
    """Its token only: what Zuul answers is seen when something is asked for."""
    section = site.settings.zuul
    if section is None:
        return
    try:
        good = read_password(section, site.environment) is not None
        text, mend = (section.url, "") if good else (f"{section.url}, no password", "name it in zuul:")
        yield Finding("zuul", good, text, mend)
    except NoPassword as error:
        yield Finding("zuul", False, f"{section.url}: {error}", f"provide it, or correct zuul.{error.key}")


_LOOKS: tuple[Callable[[Site], Iterator[Finding]], ...] = (_contacts, _gerrit, _logs, _history, examine_jenkins, _zuul)
