"""The change under test as Zuul describes it: ZUUL_* variables of version 2, a variables file since version 3.

Version 2: "Launchers" in Zuul 2's documentation. ZUUL_CHANGES is ``project:branch:ref^...``, the change under test
last; ZUUL_REF exists in every project and branch of the build set, at ``ZUUL_URL/<project>``.
Version 3: "Job Content" in Zuul's documentation; an Ansible inventory holds the same under ``all: vars: zuul:``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ci_scripts.errors import ConfigurationError
from ci_scripts.gerrit_trigger import base_of_change_page, word_of
from ci_scripts.untrusted_words import Word, change_of_ref, quoted, ref_of_change, zuul_ref_of_branch

LARGEST_FILE = 4 * 1024 * 1024
Words = dict[str, Word | None]


def words_of_zuul_v2(environment: Mapping[str, str]) -> list[Words] | None:
    """What ZUUL_* says, unchecked: one entry per item, the change under test last; None without ZUUL_CHANGE."""
    if not environment.get("ZUUL_CHANGE"):
        return None
    under_test: Words = {
        "number": word_of(environment, "ZUUL_CHANGE"),
        "patchset": word_of(environment, "ZUUL_PATCHSET"),
        "project": word_of(environment, "ZUUL_PROJECT"),
        "branch": word_of(environment, "ZUUL_BRANCH"),
        "ref": word_of(environment, "ZUUL_REF"),
        "revision": word_of(environment, "ZUUL_COMMIT"),
        "pipeline": word_of(environment, "ZUUL_PIPELINE"),
        "uuid": word_of(environment, "ZUUL_UUID"),
    }
    items = [item for item in environment.get("ZUUL_CHANGES", "").split("^") if item]
    if items:
        # Workers that pass on only a part of the variables leave out ZUUL_BRANCH (Wikimedia's do).
        project, branch, ref = (*items[-1].split(":", 2), "", "")[:3]
        for field, value in (("project", project), ("branch", branch), ("ref", ref)):
            if under_test[field] is None and value:
                under_test[field] = Word("ZUUL_CHANGES", value)
    under_test["url"] = _v2_url(environment, _value(under_test, "project"))
    return [*(_v2_item(item, environment) for item in items[:-1]), under_test]


def what_else_started(environment: Mapping[str, str]) -> str | None:
    """Words for a build of Zuul 2 that is about no change (post, periodic), None if there is none."""
    if environment.get("ZUUL_CHANGE") or not environment.get("ZUUL_PROJECT"):
        return None
    return "Zuul started this build for a branch or a tag, not for a change (ZUUL_CHANGE is empty)"


def _v2_url(environment: Mapping[str, str], project: str) -> Word | None:
    base = environment.get("ZUUL_URL", "").rstrip("/")
    return Word("ZUUL_URL and the project", f"{base}/{project}") if base and project else None


def _v2_item(item: str, environment: Mapping[str, str]) -> Words:
    project, branch, ref = (*item.split(":", 2), "", "")[:3]
    number, patchset = change_of_ref(ref) or ("", "")
    # Zuul's merger serves its own refs, not Gerrit's, so the item is fetched as what Zuul made of it.
    zuul_ref = zuul_ref_of_branch(environment.get("ZUUL_REF", ""), branch)
    words = {
        "project": project,
        "branch": branch,
        "ref": zuul_ref or ref,
        "number": number,
        "patchset": patchset,
    }
    if not number:
        words["ref"] = ref
    found: Words = {field: Word("ZUUL_CHANGES", value) for field, value in words.items() if value}
    return {**found, "url": _v2_url(environment, project)}


def words_of_zuul_file(path: Path) -> list[Words]:
    """What a variables file says, unchecked: one entry per item, the change under test last.

    Raises ConfigurationError for a file that cannot be read or holds no change of Zuul's.
    """
    zuul = _zuul_variables(path, _read(path))
    if not _text(zuul, "change"):
        raise ConfigurationError(
            f"{path}: Zuul started this build for a branch, a tag or a timer (zuul.change is missing).",
            next_step="use this job in a pipeline that is triggered by changes.",
        )
    items = [item for item in zuul.get("items") or [] if isinstance(item, dict)]
    ahead = [_file_item(item, f"zuul.items[{number}]") for number, item in enumerate(items)]
    under_test = _file_item(zuul, "zuul")
    under_test["pipeline"] = _word(zuul, "pipeline", "zuul")
    under_test["uuid"] = _word(zuul, "build", "zuul")
    number = _text(zuul, "change")
    # Changes that depend on each other in a circle put the one under test anywhere in the list.
    return [*(words for words in ahead if _value(words, "number") != number), under_test]


def _file_item(item: Mapping[str, Any], where: str) -> Words:
    project = item.get("project")
    project = project if isinstance(project, dict) else {"name": project}
    words = {
        "number": _word(item, "change", where),
        "patchset": _word(item, "patchset", where),
        "branch": _word(item, "branch", where),
        "ref": _word(item, "ref", where),
        "change_url": _word(item, "change_url", where),
        "project": _word(project, "name", f"{where}.project"),
    }
    if words["ref"] is None and words["number"] and words["patchset"]:
        ref = ref_of_change(words["number"].value, words["patchset"].value)
        words["ref"] = Word(f"{where}.change and patchset", ref)
    elif words["patchset"] is None and (parts := change_of_ref(_value(words, "ref"))):
        words["patchset"] = Word(f"{where}.ref", parts[1])
    name = _value(words, "project")
    base = base_of_change_page(_value(words, "change_url"), name)
    words["url"] = Word(f"{where}.change_url and project", f"{base}/{name}") if base and name else None
    return words


def _value(words: Words, field: str) -> str:
    word = words.get(field)
    return word.value if word else ""


def _word(mapping: Mapping[str, Any], key: str, where: str) -> Word | None:
    text = _text(mapping, key)
    return Word(f"{where}.{key}", text) if text else None


def _text(mapping: Mapping[str, Any], key: str) -> str:
    value = mapping.get(key)
    if isinstance(value, (dict, list)) or value is None or value in ("null", "~"):
        return ""
    return str(value)


def _zuul_variables(path: Path, document: Any) -> dict[str, Any]:
    places = [document]
    if isinstance(document, dict):
        everything = document.get("all")
        if isinstance(everything, dict):
            hosts = everything.get("hosts")
            places += [everything.get("vars"), *(hosts.values() if isinstance(hosts, dict) else ())]
    for place in places:
        if isinstance(place, dict) and isinstance(place.get("zuul"), dict):
            found: dict[str, Any] = place["zuul"]
            return found
    raise ConfigurationError(
        f"{path} has no Zuul variables: neither a 'zuul:' key nor an inventory with 'all: vars: zuul:'.",
        next_step="give the file that Zuul writes as zuul-info/inventory.yaml.",
    )


def _read(path: Path) -> Any:
    import yaml

    next_step = "give the file that Zuul writes as zuul-info/inventory.yaml."
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise ConfigurationError(f"{path} is larger than {LARGEST_FILE} bytes.", next_step=next_step)
        text = raw.decode("utf-8")
        if text.lstrip().startswith("{"):
            return json.loads(text, parse_int=str, parse_float=str)
        # BaseLoader leaves every scalar a text (a branch 2026.10 stays one) and takes Ansible's !unsafe.
        return yaml.load(text, Loader=yaml.BaseLoader)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", next_step=next_step) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = getattr(error, "lineno", None) or (mark.line + 1 if mark else None)
        where = f"{path}:{line}" if line else str(path)
        reason = getattr(error, "problem", None) or getattr(error, "msg", None) or type(error).__name__
        raise ConfigurationError(
            f"{where} is neither YAML nor JSON: {quoted(str(reason))}.", next_step=next_step
        ) from error
