"""The section ``gate.devstack``: DevStack on a throw-away node. Importing this is slow, as `settings_model` is."""

from __future__ import annotations

from pathlib import Path

from ci_scripts.settings_section import Section
from ci_scripts.settings_types import GitName, Name, PathHere, Repository


class Devstack(Section):
    """Where DevStack comes from and where it lives on the node; by default its branch is that of the change."""

    source: Repository = "https://opendev.org/openstack/devstack"
    ref: GitName | None = None
    base: PathHere = Path("/opt/stack")
    user: Name = "stack"
