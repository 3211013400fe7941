"""How DevStack is told where the projects under test are: the variables that its own stackrc reads.

A server has ``NEUTRON_REPO`` and ``NEUTRON_BRANCH``; a library is installed from a release unless LIBS_FROM_GIT names
it, and its variables have names of their own (``OSLOCFG_REPO`` for oslo.config). They are read from the stackrc of the
DevStack that will run, so a new library or an old release needs no table of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ci_scripts.errors import ConfigurationError

_SERVER = re.compile(r"^([A-Z][A-Z0-9_]*)_REPO=\$\{\1_REPO:-\S*?/([A-Za-z0-9_.-]+?)(?:\.git)?\}", re.MULTILINE)
_LIBRARY = re.compile(r"^GITREPO\[\"([A-Za-z0-9_.-]+)\"\]=\$\{([A-Z][A-Z0-9_]*)_REPO:-", re.MULTILINE)


@dataclass(frozen=True)
class Variables:
    """The prefixes of the variables by a repository's short name: servers, and libraries."""

    servers: Mapping[str, str]
    libraries: Mapping[str, str]

    @classmethod
    def of_stackrc(cls, text: str) -> Variables:
        """What a stackrc reads."""
        return cls(
            servers={name: prefix for prefix, name in _SERVER.findall(text)},
            libraries=dict(_LIBRARY.findall(text)),
        )


def project_lines(variables: Variables, checkouts: Mapping[str, str], plugins: Sequence[str], base: Path) -> list[str]:
    """The lines of localrc for the projects under test; ``checkouts`` are their branches by project.

    Their trees lie in ``base`` (DEST) already, where DevStack's git_clone leaves them alone; the variables name the
    same trees, so that nothing else could be cloned in their place.

    Raises ConfigurationError for a project that this DevStack would not install: a change to it would not be tested.
    """
    lines: list[str] = []
    libraries: list[str] = []
    for project, branch in sorted(checkouts.items()):
        name = short_name(project)
        if name in plugins:
            continue
        prefix = variables.servers.get(name) or variables.libraries.get(name)
        if prefix is None:
            raise ConfigurationError(
                f"{project} is to be tested, but this DevStack installs no {name}: its stackrc has no such repository.",
                next_step=f"name the plug-in {name} in gate.devstack.plugins, or take the project out of projects:.",
            )
        if name not in variables.servers:
            libraries.append(name)
        lines += [f"{prefix}_REPO={base / name}", f"{prefix}_BRANCH={branch}"]
    return [f"LIBS_FROM_GIT={','.join(libraries)}", *lines] if libraries else lines


def short_name(project: str) -> str:
    """``neutron`` of ``openstack/neutron``: the name of a tree in DevStack's DEST."""
    return project.rpartition("/")[2]
