"""The jobs, folders, builds and the queue of a Jenkins in memory, after its remote API and its config.xml.

What is posted as config.xml is kept as it is until Jenkins saves the job itself (disable, enable); then it is written
anew: XML 1.1, versions of plug-ins, another order of fields, fields with defaults.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from typing import Any

GERRIT_NAMES = (
    *("GERRIT_EVENT_TYPE", "GERRIT_PROJECT", "GERRIT_BRANCH", "GERRIT_REFSPEC", "GERRIT_CHANGE_NUMBER"),
    *("GERRIT_PATCHSET_NUMBER", "GERRIT_PATCHSET_REVISION", "GERRIT_CHANGE_ID", "GERRIT_CHANGE_URL"),
    *("GERRIT_CHANGE_SUBJECT", "GERRIT_HOST"),
)
FOLDER_XML = "<com.cloudbees.hudson.plugins.folder.Folder/>"
MARK = "&lt;!-- Managed by Jenkins Job Builder --&gt;"


@dataclass
class FakeBuild:
    """``number`` is 0 while it waits in the queue; ``looks`` is how often it was seen running."""

    queue: int
    parameters: dict[str, str]
    number: int = 0
    ended: bool = False
    cancelled: bool = False
    looks: int = 0
    job: str = ""
    result: str = "SUCCESS"
    description: str | None = None
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def as_json(self, url: str) -> dict[str, Any]:
        """As /job/NAME/NUMBER/api/json."""
        return {
            "_class": "hudson.model.FreeStyleBuild",
            "number": self.number,
            "queueId": self.queue,
            "building": not self.ended,
            "result": self.result if self.ended else None,
            "description": self.description,
            "timestamp": 1769860800000 + 60000 * self.number,
            "duration": 753000 if self.ended else 0,
            "url": f"{url}{self.number}/",
            "actions": [{}, parameters_action(self)],
            "artifacts": [
                {"displayPath": path, "fileName": path.rpartition("/")[2], "relativePath": path}
                for path in self.artifacts
            ],
        }


@dataclass
class FakeJob:
    """A job or a folder; ``earlier`` is the number of its last build before the test."""

    name: str
    xml: str
    earlier: int = 0
    disabled: bool = False

    @property
    def is_folder(self) -> bool:
        return "Folder" in ElementTree.fromstring(self.xml).tag

    @property
    def declared(self) -> list[str]:
        path = ".//hudson.model.ParametersDefinitionProperty/parameterDefinitions/*/name"
        return [str(found.text) for found in ElementTree.fromstring(self.xml).findall(path)]

    def configure(self, xml: str) -> None:
        """What is posted is the job from now on. Raises ParseError."""
        found = ElementTree.fromstring(xml).find("disabled")
        self.xml, self.disabled = xml, found is not None and found.text == "true"

    def switch(self, disabled: bool) -> None:
        """Disabled or enabled: Jenkins saves the job in its own form."""
        self.disabled = disabled
        self.xml = saved_form(self.xml, disabled)


def job_xml(parameters: tuple[str, ...] = GERRIT_NAMES, description: str = MARK) -> str:
    """A freestyle job as Jenkins Job Builder makes one."""
    declared = "".join(
        f"<hudson.model.StringParameterDefinition><name>{name}</name></hudson.model.StringParameterDefinition>"
        for name in parameters
    )
    properties = (
        "<hudson.model.ParametersDefinitionProperty><parameterDefinitions>"
        f"{declared}</parameterDefinitions></hudson.model.ParametersDefinitionProperty>"
    )
    return (
        f"<project><description>{description}</description><properties>{properties if parameters else ''}</properties>"
        "<builders/></project>"
    )


def saved_form(xml: str, disabled: bool) -> str:
    """The same job as Jenkins writes it."""
    root = ElementTree.fromstring(xml)
    for old in root.findall("disabled"):
        root.remove(old)
    ElementTree.SubElement(root, "disabled").text = str(disabled).lower()
    ElementTree.SubElement(root, "concurrentBuildLimit").text = "0"
    _as_saved(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f"<?xml version='1.1' encoding='UTF-8'?>\n{body}"


def _as_saved(element: ElementTree.Element) -> None:
    if "." in element.tag:
        element.set("plugin", "some-plugin@1.2.3")
    children = list(element)
    if children and not any("." in child.tag for child in children):
        element[:] = sorted(children, key=lambda child: child.tag, reverse=True)
    for child in children:
        _as_saved(child)


def parameters_action(build: FakeBuild) -> dict[str, Any]:
    return {"parameters": [{"name": name, "value": value} for name, value in build.parameters.items()]}


def pick(data: Any, tree: str) -> Any:
    """What the remote API's ``tree`` leaves: ``a,b[c,d]{0,5}``. Raises ValueError, as Jenkins answers with 500."""
    wanted, rest = _tree(tree)
    if rest:
        raise ValueError(f"expected EOF at {rest}")
    return _picked(data, wanted)


def _tree(text: str) -> tuple[dict[str, Any], str]:
    found: dict[str, Any] = {}
    while True:
        name = re.match(r"[A-Za-z_*]+", text)
        if name is None:
            raise ValueError(f"expected a name at {text}")
        text, inner, limits = text[name.end() :], None, None
        if text.startswith("["):
            inner, text = _tree(text[1:])
            if not text.startswith("]"):
                raise ValueError(f"expected ] at {text}")
            text = text[1:]
        if limited := re.match(r"\{(\d+),(\d+)\}", text):
            limits, text = (int(limited[1]), int(limited[2])), text[limited.end() :]
        found[name[0]] = (inner, limits)
        if not text.startswith(","):
            return found, text
        text = text[1:]


def _picked(data: Any, wanted: dict[str, Any] | None) -> Any:
    if isinstance(data, list):
        return [_picked(each, wanted) for each in data]
    if not isinstance(data, dict) or wanted is None:
        return data
    found = {name: data[name] for name in ("_class",) if name in data}
    for name, (inner, limits) in wanted.items():
        if name in data:
            value = data[name][slice(*limits)] if limits and isinstance(data[name], list) else data[name]
            found[name] = _picked(value, inner)
    return found
