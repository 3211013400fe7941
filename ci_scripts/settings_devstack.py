"""The section ``gate.devstack``: DevStack on a throw-away node. Importing this is slow, as `settings_model` is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from ci_scripts.settings_section import Section, VariableName
from ci_scripts.settings_types import Count, GitName, OptionValue, PathHere, Repository

# What a job of Neutron's API tests needs and no more: Keystone, MySQL, RabbitMQ, Neutron's server, Tempest's settings.
NETWORK_API = ("key", "mysql", "rabbit", "q-svc", "tempest")

ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
PluginName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
UnixUser = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$")]


class Plugin(Section):
    """A further DevStack plug-in, beside the driver's own; DevStack clones it."""

    name: PluginName
    url: Repository
    ref: GitName = "master"


class Devstack(Section):
    """Where DevStack comes from, where it lives on the node, and what its local.conf says.

    ``ref`` is by default the branch of the change. ``base`` is DevStack's DEST, ``user`` the account of stack.sh.
    ``localrc`` are variables that come last in local.conf, so they win over ours.
    """

    source: Repository = "https://opendev.org/openstack/devstack"
    ref: GitName | None = None
    base: PathHere = Path("/opt/stack")
    user: UnixUser = "stack"
    clouds_file: PathHere = Path("/etc/openstack/clouds.yaml")
    services: Annotated[tuple[ServiceName, ...], Field(min_length=1)] = NETWORK_API
    plugins: tuple[Plugin, ...] = ()
    localrc: dict[VariableName, OptionValue] = Field(default_factory=dict)
    stack_timeout_minutes: Count = 60
    unstack_timeout_minutes: Count = 10
