"""The section ``gate.devstack_gate``: the classic wrapper. Importing this is slow, as `settings_model` is."""

from __future__ import annotations

from ci_scripts.settings_section import Section
from ci_scripts.settings_types import Count, GitName, Repository


class DevstackGate(Section):
    """Where the wrapper comes from. It is retired upstream: ``ref`` is the last commit that holds its scripts."""

    source: Repository = "https://opendev.org/openstack/devstack-gate"
    ref: GitName = "9cfd5cca0a3b1dbfe8f1fefd836942d20425f172"
    timeout_buffer_minutes: Count = 10
