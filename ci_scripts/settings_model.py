"""What ci.yaml may contain: frozen pydantic models. Importing this is slow; `settings` does it when it loads.

Times are whole minutes or seconds, as the key's name says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr, StringConstraints, model_validator

from ci_scripts.placeholders import STAGE_NAMES
from ci_scripts.settings_devstack import Devstack
from ci_scripts.settings_devstack_gate import DevstackGate
from ci_scripts.settings_section import Section, VariableName
from ci_scripts.settings_trusted import Contact, Gerrit, History, Jenkins, Logs, Voting, Zuul
from ci_scripts.settings_types import (
    Address,
    AutoOrCount,
    Command,
    Count,
    Database,
    FileHere,
    FileOrUrl,
    GitName,
    HostAndPort,
    Name,
    Options,
    OptionValue,
    PackageOrPath,
    PathHere,
    Plain,
    Project,
    PythonVersion,
    Regex,
    Repository,
    Text,
    WebPage,
)
from ci_scripts.settings_unit_tests import UnitTests


class Gate(Section):
    """The OpenStack that the change is tested on."""

    kind: Literal["local", "devstack", "devstack-gate"] = "local"
    timeout_minutes: Count = 120
    shards: AutoOrCount = "auto"
    database: Database = "sqlite"
    constraints: FileOrUrl | None = None
    python: PythonVersion | None = None
    hang_seconds: Count = 60
    start_timeout_seconds: Count = 180
    user: Name | None = "nobody"
    service_plugins: tuple[Plain, ...] | None = None
    packages: tuple[Plain, ...] = ()
    devstack: Devstack = Field(default_factory=Devstack)
    devstack_gate: DevstackGate = Field(default_factory=DevstackGate)


class CheckedOutProject(Section):
    """A project that is checked out from git; everything else of OpenStack comes from packages.

    ``version`` is told to pbr where the repository has no tags; else the constraints' pin is.
    """

    url: Repository | None = None
    branch: GitName = "master"
    default_branch: GitName | None = None
    patches: tuple[FileHere, ...] = ()
    irrelevant_files: tuple[Regex, ...] = ()
    version: Text | None = None


class Branch(Section):
    """What differs when the change is for this branch."""

    constraints: FileOrUrl | None = None
    driver_ref: GitName | None = None
    tempest: Text | None = None
    python: PythonVersion | None = None


class Driver(Section):
    """The out-of-tree driver. It is installed from ``source`` at ``ref`` (git), or from ``package``."""

    project: Project
    source: Repository | None = None
    ref: GitName = "master"
    package: PackageOrPath | None = None
    distribution: Plain | None = None
    neutron_config: dict[str, Options] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_origin(self) -> Driver:
        if (self.source is None) == (self.package is None):
            raise ValueError("needs either 'source' (git) or 'package' (an index or a path)")
        return self


class Service(Section):
    """A program of the vendor's that runs beside OpenStack, such as the controller."""

    name: Name
    command: Command
    url: Address | None = None
    ready_url: Address | None = None
    ready_timeout_seconds: Count = 60
    per_shard: bool = False
    environment: dict[str, OptionValue] = Field(default_factory=dict)


class Probe(Section):
    """Asks whether something the run depends on is alive."""

    name: Name
    url: Address | None = None
    tcp: HostAndPort | None = None
    command: Command | None = None
    timeout_seconds: Count = 10

    @model_validator(mode="after")
    def _one_way(self) -> Probe:
        if sum(way is not None for way in (self.url, self.tcp, self.command)) != 1:
            raise ValueError("needs exactly one of 'url', 'tcp' and 'command'")
        return self


class Check(Section):
    """A vendor's own command after the tests; it counts as a test."""

    name: Name
    command: Command
    timeout_seconds: Count = 300


class Secret(Section):
    """A lab credential: the placeholder ``{secret.<name>}``, masked in everything that is published."""

    name: Name
    file: PathHere | None = None
    environment: VariableName | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Secret:
        if (self.file is None) == (self.environment is None):
            raise ValueError("needs either 'file' or 'environment'")
        return self


class Inventory(Section):
    """A command that prints one line for each thing that something of the vendor's holds.

    It is asked before the tests and after: what is more then was left behind.
    """

    name: Name
    command: Command
    timeout_seconds: Count = 60


class Verdict(Section):
    """How far the job goes to find out who is to blame; ``signatures`` are files like our signatures.yaml."""

    rerun: Annotated[int, Field(ge=0, le=1)] = 1
    replays: Count = 3
    most_reruns: Count = 20
    control_run: Literal["always", "on-failure", "never"] = "on-failure"
    timeout_minutes: Count = 30
    control_max_age_hours: Count = 48
    same_failure_hours: Count = 24
    signatures: tuple[FileHere, ...] = ()


class Tempest(Section):
    """Which tests run, and how."""

    regex: Regex = r"^tempest\.api\.network"
    include_list: FileHere | None = None
    exclude_list: FileHere | None = None
    concurrency: AutoOrCount = "auto"
    timeout_minutes: Count | None = None
    config: Options = Field(default_factory=dict)
    packages: tuple[Plain, ...] = ("tempest",)


class Settings(Section):
    """ci.yaml, with what flags and the environment changed."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f] CI$")]
    wiki: WebPage
    cache_dir: PathHere
    gate: Gate = Field(default_factory=Gate)
    projects: dict[Project, CheckedOutProject] = Field(default_factory=dict)
    branches: dict[GitName, Branch] = Field(default_factory=dict)
    driver: Driver
    services: tuple[Service, ...] = ()
    probes: tuple[Probe, ...] = ()
    checks: tuple[Check, ...] = ()
    secrets: tuple[Secret, ...] = ()
    inventories: tuple[Inventory, ...] = ()
    tempest: Tempest = Field(default_factory=Tempest)
    unit_tests: UnitTests | None = None
    verdict: Verdict = Field(default_factory=Verdict)
    history: History = Field(default_factory=History)
    gerrit: Gerrit | None = None
    voting: Voting = Field(default_factory=Voting)
    logs: Logs | None = None
    jenkins: Jenkins | None = None
    zuul: Zuul | None = None
    contacts: tuple[Contact, ...] = ()
    _config_path: Path = PrivateAttr(default=Path("ci.yaml"))

    @property
    def config_path(self) -> Path:
        """The absolute path of the file that was read."""
        return self._config_path

    @property
    def recheck_name(self) -> str:
        """The ``<name>`` of the comment ``run-<name>``: as configured, else made of the CI's name."""
        if self.gerrit is not None and self.gerrit.recheck_name is not None:
            return self.gerrit.recheck_name
        return re.sub(r"[^a-z0-9]+", "-", self.name.removesuffix(" CI").lower()).strip("-") or "ci"

    @property
    def tempest_timeout_seconds(self) -> int:
        """``tempest.timeout_minutes``, else the whole time of the gate, in seconds."""
        return 60 * (self.tempest.timeout_minutes or self.gate.timeout_minutes)

    def placeholder_names(self) -> tuple[str, ...]:
        """Every placeholder that this configuration may use."""
        services = (f"service.{service.name}.url" for service in self.services)
        return (*STAGE_NAMES, *services, *(f"secret.{secret.name}" for secret in self.secrets))
