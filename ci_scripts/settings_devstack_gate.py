"""The section ``gate.devstack_gate``: the classic wrapper. Importing this is slow, as `settings_model` is."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from ci_scripts.settings_section import Section, VariableName
from ci_scripts.settings_types import Count, GitName, OptionValue, Project, Repository

# What ci-prepare-gate writes itself; see ci_scripts.gates.devstack_gate.environment.
OURS = re.compile(
    r"WORKSPACE|BASE|PATH|LC_ALL|USER|PROJECTS|ZUUL_(?:URL|REF|BRANCH)|BUILD_TIMEOUT|CI_.*|DEVSTACK_LOCAL_?CONF(?:IG)?"
    r"|DEVSTACK_GATE_(?:TIMEOUT(?:_BUFFER)?|TEMPEST(?:_NOTESTS|_REGEX)?|PROJECTS_OVERRIDE)"
)


class DevstackGate(Section):
    """Where the wrapper comes from. It is retired upstream: ``ref`` is the last commit that holds its scripts.

    ``timeout_buffer_minutes`` of gate.timeout_minutes are kept for collecting logs. ``projects`` are cloned instead of
    the wrapper's own long list, beside what the run checks out. ``environment`` are further variables for it.
    """

    source: Repository = "https://opendev.org/openstack/devstack-gate"
    ref: GitName = "9cfd5cca0a3b1dbfe8f1fefd836942d20425f172"
    timeout_buffer_minutes: Count = 10
    projects: tuple[Project, ...] | None = None
    environment: dict[VariableName, OptionValue] = Field(default_factory=dict)

    @field_validator("environment")
    @classmethod
    def _not_ours(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if OURS.fullmatch(name):
                raise ValueError(f"{name} is written by ci-prepare-gate itself")
        return value
