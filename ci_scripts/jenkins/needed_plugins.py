"""Which plug-ins the XML of jobs needs, by the classes that it names. Pure.

Jenkins keeps what it does not know and leaves it out of the job ("old data"), so a missing plug-in is silent.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable

from ci_scripts.jenkins.job_xml import parsed

# Packages of Java, and the short name of the plug-in that has them.
PACKAGES = {
    "com.cloudbees.hudson.plugins.folder.": "cloudbees-folder",
    "com.sonyericsson.hudson.plugins.gerrit.": "gerrit-trigger",
    "hudson.plugins.build_timeout.": "build-timeout",
    "hudson.plugins.copyartifact.": "copyartifact",
    "hudson.plugins.descriptionsetter.": "description-setter",
    "hudson.plugins.parameterizedtrigger.": "parameterized-trigger",
    "hudson.plugins.postbuildtask.": "postbuild-task",
    "hudson.plugins.throttleconcurrents.": "throttle-concurrents",
    "hudson.plugins.timestamper.": "timestamper",
    "hudson.plugins.ws_cleanup.": "ws-cleanup",
    "hudson.tasks.junit.": "junit",
    "org.jenkins.plugins.lockableresources.": "lockable-resources",
    "org.jenkinsci.plugins.credentialsbinding.": "credentials-binding",
    "org.jenkinsci.plugins.workflow.cps.": "workflow-cps",
    "org.jenkinsci.plugins.workflow.job.": "workflow-job",
    "org.jvnet.hudson.plugins.groovypostbuild.": "groovy-postbuild",
}
ROOTS = {"flow-definition": "workflow-job"}
# Steps of a Pipeline, which its script names and not its XML.
STEPS = {
    "copyArtifacts": "copyartifact",
    "junit": "junit",
    "lock": "lockable-resources",
    "timestamps": "timestamper",
    "withCredentials": "credentials-binding",
}


def needed_plugins(xml: str) -> set[str]:
    """The short names. What no name is known for is left out. Raises NotAJob."""
    root = parsed(xml)
    found = {ROOTS[root.tag]} if root.tag in ROOTS else set()
    for element in root.iter():
        if plugin := element.get("plugin", "").partition("@")[0]:
            found.add(plugin)
        found |= _of_classes(filter(None, (element.tag, element.get("class"))))
        if element.tag == "script" and root.tag == "flow-definition":
            found |= _of_script(element)
    return found


def _of_classes(names: Iterable[str]) -> set[str]:
    # XStream writes _ as __ in tags.
    plain = [name.replace("__", "_") for name in names]
    return {plugin for start, plugin in PACKAGES.items() if any(name.startswith(start) for name in plain)}


def _of_script(element: ElementTree.Element) -> set[str]:
    text = element.text or ""
    return {plugin for step, plugin in STEPS.items() if re.search(rf"(?m)(?:^|[{{;])\s*{step}\s*[({{'\"]", text)}
