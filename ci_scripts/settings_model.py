"""What ci.yaml may contain: frozen pydantic models. Importing this is slow; `settings` does it when it loads.

Relative paths are resolved against the folder in the validation context (``{"folder": Path}``).
Times are whole minutes or seconds, as the key's name says.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from ci_scripts.placeholders import STAGE_NAMES
from ci_scripts.untrusted_words import branch_problem, project_problem, url_by_hand_problem, web_url_problem


def _number_as_text(value: Any) -> Any:
    # Lossless: the loader makes numbers only of what reads the same when written back.
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


def _option_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) else value


def _auto_or_count(value: Any) -> int | Literal["auto"]:
    if value == "auto":
        return "auto"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(f"must be 'auto' or a whole number of at least 1, not {value!r}")


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("contains a NUL character")
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return value


def _folder(info: ValidationInfo) -> Path:
    context = info.context
    folder = context.get("folder") if isinstance(context, dict) else None
    return folder if isinstance(folder, Path) else Path.cwd()


def _absolute(value: str, info: ValidationInfo) -> Path:
    if not value:
        raise ValueError("must be a path, not empty")
    try:
        return _folder(info) / Path(value).expanduser()
    except RuntimeError as error:
        raise ValueError("names a home folder that is not known: set HOME, or write the whole path") from error


def _path(value: Any, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return _folder(info) / value
    if not isinstance(value, str):
        raise ValueError(f"must be a path, not {value!r}")
    return _absolute(_without_nul(value), info)


def _existing_file(value: Any, info: ValidationInfo) -> Path:
    path = _path(value, info)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def _file_or_url(value: str, info: ValidationInfo) -> str:
    if "://" not in value:
        return str(_existing_file(value, info))
    if problem := web_url_problem(value):
        raise ValueError(problem)
    return value


def _repository(value: str, info: ValidationInfo) -> str:
    """A git URL, or the path of a repository made absolute."""
    looks_like_path = "://" not in value and "::" not in value and not re.match(r"[^/]*:", value)
    where = str(_absolute(value, info).resolve()) if looks_like_path and not value.startswith("-") else value
    if problem := url_by_hand_problem(where):
        raise ValueError(f"{problem} (for ssh write ssh://user@host/path)" if "@" in value else problem)
    return where


def _package_or_path(value: str, info: ValidationInfo) -> str:
    """A requirement such as ``networking-example>=2``, or the path of a source tree or file made absolute."""
    if value.startswith("-") or not value.strip():
        raise ValueError("must be the name of a package or a path")
    return str(_absolute(value, info).resolve()) if "/" in value or value.startswith((".", "~")) else value


def _python(value: str, info: ValidationInfo) -> str:
    if value.startswith("-") or not value:
        raise ValueError("must be a version such as 3.12 or the path of an interpreter")
    return str(_absolute(value, info)) if "/" in value else value


def _database(value: str) -> str:
    if value == "sqlite" or re.fullmatch(r"mysql\+pymysql://\S+", value):
        return value
    raise ValueError("must be sqlite or mysql+pymysql://user:password@host:port/")


def _project(value: str) -> str:
    if problem := project_problem(value):
        raise ValueError(problem)
    return value


def _git_name(value: str) -> str:
    """A branch or a tag; a commit's name has the same form."""
    if problem := branch_problem(value):
        raise ValueError(problem)
    return value


def _address(value: str) -> str:
    if not re.match(r"(?:https?://|\{)", value):
        raise ValueError("must be a http or https URL")
    return value


def _host_and_port(value: str) -> str:
    if not re.fullmatch(r"\S+:(?:[0-9]{1,5}|\{[a-z_.-]+\})", value):
        raise ValueError("must be host:port")
    return value


def _page(value: str) -> str:
    if problem := web_url_problem(value):
        raise ValueError(problem)
    return value


Plain = Annotated[str, AfterValidator(_without_nul)]
Text = Annotated[str, BeforeValidator(_number_as_text), AfterValidator(_without_nul)]
OptionValue = Annotated[
    str,
    BeforeValidator(_option_as_text),
    AfterValidator(_without_nul),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]
Options = dict[str, dict[str, OptionValue]]
AutoOrCount = Annotated[
    int | Literal["auto"],
    PlainValidator(_auto_or_count),
    WithJsonSchema({"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}),
]
Count = Annotated[int, Field(ge=1)]
Regex = Annotated[str, AfterValidator(_regex)]
PathHere = Annotated[Path, PlainValidator(_path), WithJsonSchema({"type": "string"})]
FileHere = Annotated[Path, PlainValidator(_existing_file), WithJsonSchema({"type": "string"})]
FileOrUrl = Annotated[Plain, AfterValidator(_file_or_url)]
Repository = Annotated[Plain, AfterValidator(_repository)]
Project = Annotated[str, AfterValidator(_project)]
GitName = Annotated[Text, AfterValidator(_git_name)]
Address = Annotated[Plain, AfterValidator(_address)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Command = Annotated[tuple[Text, ...], Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Gate(_Section):
    """The OpenStack that the change is tested on."""

    kind: Literal["local"] = "local"
    timeout_minutes: Count = 120
    shards: AutoOrCount = "auto"
    database: Annotated[str, AfterValidator(_database)] = "sqlite"
    constraints: FileOrUrl | None = None
    python: Annotated[Text, AfterValidator(_python)] | None = None
    hang_seconds: Count = 60
    start_timeout_seconds: Count = 180
    user: Name | None = "nobody"
    service_plugins: tuple[Plain, ...] | None = None
    packages: tuple[Plain, ...] = ()


class CheckedOutProject(_Section):
    """A project that is checked out from git; everything else of OpenStack comes from packages.

    ``version`` is told to pbr where the repository has no tags; else the constraints' pin is.
    """

    url: Repository | None = None
    branch: GitName = "master"
    default_branch: GitName | None = None
    patches: tuple[FileHere, ...] = ()
    irrelevant_files: tuple[Regex, ...] = ()
    version: Text | None = None


class Branch(_Section):
    """What differs when the change is for this branch."""

    constraints: FileOrUrl | None = None
    driver_ref: GitName | None = None
    tempest: Text | None = None


class Driver(_Section):
    """The out-of-tree driver. It is installed from ``source`` at ``ref`` (git), or from ``package``."""

    project: Project
    source: Repository | None = None
    ref: GitName = "master"
    package: Annotated[Plain, AfterValidator(_package_or_path)] | None = None
    distribution: Plain | None = None
    neutron_config: dict[str, Options] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_origin(self) -> Driver:
        if (self.source is None) == (self.package is None):
            raise ValueError("needs either 'source' (git) or 'package' (an index or a path)")
        return self


class Service(_Section):
    """A program of the vendor's that runs beside OpenStack, such as the controller."""

    name: Name
    command: Command
    url: Address | None = None
    ready_url: Address | None = None
    ready_timeout_seconds: Count = 60
    per_shard: bool = False
    environment: dict[str, OptionValue] = Field(default_factory=dict)


class Probe(_Section):
    """Asks whether something the run depends on is alive."""

    name: Name
    url: Address | None = None
    tcp: Annotated[Plain, AfterValidator(_host_and_port)] | None = None
    command: Command | None = None
    timeout_seconds: Count = 10

    @model_validator(mode="after")
    def _one_way(self) -> Probe:
        if sum(way is not None for way in (self.url, self.tcp, self.command)) != 1:
            raise ValueError("needs exactly one of 'url', 'tcp' and 'command'")
        return self


class Check(_Section):
    """A vendor's own command after the tests; it counts as a test."""

    name: Name
    command: Command
    timeout_seconds: Count = 300


class Secret(_Section):
    """A lab credential: the placeholder ``{secret.<name>}``, masked in everything that is published."""

    name: Name
    file: PathHere | None = None
    environment: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Secret:
        if (self.file is None) == (self.environment is None):
            raise ValueError("needs either 'file' or 'environment'")
        return self


class Tempest(_Section):
    """Which tests run, and how."""

    regex: Regex = r"^tempest\.api\.network"
    include_list: FileHere | None = None
    exclude_list: FileHere | None = None
    concurrency: AutoOrCount = "auto"
    timeout_minutes: Count | None = None
    config: Options = Field(default_factory=dict)
    packages: tuple[Plain, ...] = ("tempest",)


class Settings(_Section):
    """ci.yaml, with what flags and the environment changed."""

    name: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f] CI$")]
    wiki: Annotated[str, AfterValidator(_page)]
    cache_dir: PathHere
    gate: Gate = Field(default_factory=Gate)
    projects: dict[Project, CheckedOutProject] = Field(default_factory=dict)
    branches: dict[GitName, Branch] = Field(default_factory=dict)
    driver: Driver
    services: tuple[Service, ...] = ()
    probes: tuple[Probe, ...] = ()
    checks: tuple[Check, ...] = ()
    secrets: tuple[Secret, ...] = ()
    tempest: Tempest = Field(default_factory=Tempest)
    _config_path: Path = PrivateAttr(default=Path("ci.yaml"))

    @property
    def config_path(self) -> Path:
        """The absolute path of the file that was read."""
        return self._config_path

    @property
    def tempest_timeout_seconds(self) -> int:
        """``tempest.timeout_minutes``, else the whole time of the gate, in seconds."""
        return 60 * (self.tempest.timeout_minutes or self.gate.timeout_minutes)

    def placeholder_names(self) -> tuple[str, ...]:
        """Every placeholder that this configuration may use."""
        services = (f"service.{service.name}.url" for service in self.services)
        return (*STAGE_NAMES, *services, *(f"secret.{secret.name}" for secret in self.secrets))
