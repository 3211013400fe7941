"""The only reader of flags, the environment and ci.yaml.

A value comes from a flag, else from the environment (``CI_<SECTION>_<KEY>``, blank means not given), else from the
file, else it is the default. pydantic and PyYAML are imported when a file is loaded, not before.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ci_scripts.errors import ConfigurationError

if TYPE_CHECKING:
    from ci_scripts.settings_model import Settings
    from ci_scripts.yaml_with_lines import Document

CONFIG_VARIABLE = "CI_CONFIG"
DEFAULT_CONFIG = Path("ci.yaml")
CACHE_FOLDER = "openstack-driver-ci"
LARGEST_FILE = 1024 * 1024
LARGEST_SECRET = 64 * 1024
SHORTEST_SECRET_LINE = 6
MASK = "***"
NO_FLAGS: Mapping[str, object] = MappingProxyType({})
KeyPath = tuple[str | int, ...]

# LD_PRELOAD and FAKETIME: a run's clock can be moved with libfaketime, to test what happens at another date; it must
# be moved for all programs of the run or for none.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|LANG|LANGUAGE|LC_[A-Z]+|TMPDIR|TZ|TERM|CI|CI_RUN_ID"
    r"|(?:HTTP|HTTPS|FTP|ALL|NO)_PROXY|(?:http|https|ftp|all|no)_proxy"
    r"|(?:UV|PIP|SSL_CERT|GIT_SSL)_[A-Z0-9_]+|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE"
    r"|LD_PRELOAD|FAKETIME[A-Z0-9_]*|WORKSPACE|BUILD_[A-Z0-9_]+|JOB_NAME"
)
_NAMES_A_SECRET = re.compile(r"TOKEN|PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|API_?KEY", re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]*@")


class SettingRow(NamedTuple):
    """One value of the configuration as doctor shows it, and where it came from."""

    path: str
    value: str
    origin: str


class _Loaded(NamedTuple):
    settings: Settings
    document: Document
    origins: dict[KeyPath, str]
    shown_path: str


def read_environment() -> dict[str, str]:
    """This process's environment, copied. Nothing else reads os.environ."""
    return dict(os.environ)


def command_environment(
    environment: Mapping[str, str], extra: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """What a program that we start sees: an allow-list of ``environment``, and ``extra``.

    Words of a trigger (GERRIT_*, ZUUL_*), tokens and passwords are not on it.
    """
    allowed = {
        name: value
        for name, value in environment.items()
        if _PASSED_ON.fullmatch(name) and not _NAMES_A_SECRET.search(name)
    }
    return {**allowed, **extra}


def transfer_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What git sees while it talks to a server: `command_environment`, the SSH agent and GIT_*, which git.py sifts.

    For nothing else: whoever reaches the agent's socket can log in with the operator's keys.
    """
    own = {name: value for name, value in environment.items() if name.startswith("GIT_") or name == "SSH_AUTH_SOCK"}
    return command_environment(environment, own)


def load_settings(
    config: Path | None, *, flags: Mapping[str, object] = NO_FLAGS, environment: Mapping[str, str]
) -> Settings:
    """Read the configuration, by default the file that CI_CONFIG names, else ``ci.yaml`` here.

    ``flags`` are values by dotted path (``{"gate.shards": 2}``), None for a flag that was not given.

    Raises ConfigurationError with everything that is wrong at once, each with its key and line.
    """
    return _load(config, flags, environment).settings


def settings_with_origins(
    config: Path | None, *, flags: Mapping[str, object] = NO_FLAGS, environment: Mapping[str, str]
) -> list[SettingRow]:
    """Every value with its origin: ``--flag``, a variable's name, ``ci.yaml:12`` or ``default``; secrets masked."""
    loaded = _load(config, flags, environment)
    return [
        SettingRow(dotted(path), _masked(path, value), _origin(path, loaded))
        for path, value in _leaves(loaded.settings, ())
    ]


def settings_as_text(settings: Settings) -> dict[str, str]:
    """Every value by its dotted path, secrets masked: what a run was configured with."""
    return {dotted(path): _masked(path, value) for path, value in _leaves(settings, ())}


def json_schema() -> dict[str, Any]:
    """The schema of ci.yaml for editors."""
    from ci_scripts import settings_problems

    return settings_problems.json_schema()


def secret_values(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """The lab credentials by name. They fill ``{secret.<name>}`` and are masked in everything that is written.

    Raises ConfigurationError naming all that are missing or empty.
    """
    values: dict[str, str] = {}
    problems: list[str] = []
    for secret in settings.secrets:
        if secret.file is not None:
            value, where = _secret_of_file(secret.file), f"file {secret.file}"
        else:
            value, where = environment.get(secret.environment or "", ""), f"variable {secret.environment}"
        if not value:
            problems.append(f"secret {secret.name!r}: the {where} is missing or empty")
        values[secret.name] = value
    if problems:
        raise ConfigurationError(f"{'; '.join(problems)}.", next_step="provide it where the job runs.")
    return values


def values_to_mask(settings: Settings, secrets: Mapping[str, str]) -> tuple[str, ...]:
    """The lab credentials and the database's password in every form in which they may be written, longest first."""
    plain = {*secrets.values()}
    with contextlib.suppress(ValueError):
        password = urllib.parse.urlsplit(settings.gate.database).password or ""
        plain |= {password, urllib.parse.unquote(password)}
    # Errors show the lines of a text one by one; a very short line would mask half of what is said.
    plain |= {line.strip() for text in plain for line in text.splitlines() if len(line.strip()) >= SHORTEST_SECRET_LINE}
    forms = {form for text in plain for form in (text, urllib.parse.quote(text), urllib.parse.quote_plus(text))}
    forms |= {repr(text)[1:-1] for text in plain}
    return tuple(sorted(filter(None, forms), key=lambda form: (-len(form), form)))


def stage_environment(
    settings: Settings, *, flags: Mapping[str, object] = NO_FLAGS, environment: Mapping[str, str]
) -> dict[str, str]:
    """What a stage that another stage starts needs besides `command_environment` to load the same settings."""
    from ci_scripts.settings_overrides import overridable

    names = overridable()
    passed = {name: environment[name] for name in names if environment.get(name)}
    for secret in settings.secrets:
        if secret.environment and secret.environment in environment:
            passed[secret.environment] = environment[secret.environment]
    variables = {dotted(path): name for name, path in names.items()}
    for flag, value in flags.items():
        if value is not None and flag in variables:
            passed[variables[flag]] = _as_text(value)
    return {**passed, CONFIG_VARIABLE: str(settings.config_path)}


def dotted(path: KeyPath) -> str:
    """A path as people write it: ``services[0].name``."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return "".join(parts).removeprefix(".")


def _load(config: Path | None, flags: Mapping[str, object], environment: Mapping[str, str]) -> _Loaded:
    from pydantic import ValidationError

    from ci_scripts import settings_overrides, settings_problems
    from ci_scripts.settings_model import Settings
    from ci_scripts.yaml_with_lines import parse_yaml

    path = config or Path(environment.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    document = parse_yaml(_read(path))
    shown = str(path)
    if not isinstance(document.data, dict):
        text = "the file must hold keys with values" if document.data is not None else "the file is empty"
        raise _error([*_lines(shown, document), *([] if document.problems else [f"{shown}:1: {text}"])], shown)
    data: dict[str, Any] = document.data
    origins, problems = settings_overrides.override(data, flags, environment)
    if "cache_dir" not in data:
        data["cache_dir"] = str(_cache_dir(environment))
    found = list(settings_problems.problems_between_entries(data))
    settings = None
    try:
        settings = Settings.model_validate(_tuples(data), context={"folder": path.resolve().parent})
    except ValidationError as error:
        found += settings_problems.problems_of_validation(error)
    problems += _lines(shown, document, found, origins)
    if problems or settings is None:
        raise _error(problems, shown)
    settings._config_path = path.resolve()
    return _Loaded(settings, document, origins, shown)


def _read(path: Path) -> str:
    next_step = f"name the file with --config or {CONFIG_VARIABLE}; examples/ci.yaml is one to start from."
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.", next_step=next_step) from error
    if len(raw) > LARGEST_FILE:
        raise ConfigurationError(f"{path} is larger than {LARGEST_FILE} bytes.", next_step=next_step)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}:{line}: not UTF-8.", next_step="save the file as UTF-8.") from error


def _error(problems: list[str], shown: str) -> ConfigurationError:
    listed = problems[0]
    if len(problems) > 1:
        listed = f"{shown} has {len(problems)} problems:\n  " + "\n  ".join(problems)
    return ConfigurationError(
        listed if listed.endswith("?") else f"{listed}.",
        next_step="correct this and try again; `ci-operate doctor` checks the file.",
    )


def _lines(
    shown: str,
    document: Document,
    found: list[tuple[KeyPath, str]] | None = None,
    origins: Mapping[KeyPath, str] = MappingProxyType({}),
) -> list[str]:
    """Problems as text in the order of the file; those of flags and variables name these instead of a line."""
    placed = [(line, f"{shown}:{line}", path, text) for line, path, text in document.problems]
    unreadable = {path for _, path, text in document.problems if not text.startswith("duplicate")}
    for path, text in found or []:
        if path in unreadable:
            continue
        origin = next((origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), None)
        line = next(
            (document.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in document.lines),
            1,
        )
        placed.append((0, origin, path, text) if origin else (line, f"{shown}:{line}", path, text))
    return [
        f"{where}: {dotted(path)}: {text}" if path else f"{where}: {text}"
        for _, where, path, text in sorted(placed, key=lambda problem: problem[0])
    ]


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(entry) for key, entry in value.items()}
    return tuple(_tuples(entry) for entry in value) if isinstance(value, list) else value


def _cache_dir(environment: Mapping[str, str]) -> Path:
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        # The XDG Base Directory Specification: a relative path is ignored.
        base = (Path(environment["HOME"]) if environment.get("HOME") else _home()) / ".cache"
    return base / CACHE_FOLDER


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigurationError(
            "there is no home folder for the cache: HOME is not set, and this user has no entry in passwd.",
            next_step="set HOME, or cache_dir in ci.yaml.",
        ) from error


def _secret_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_SECRET).decode("utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    from pydantic import BaseModel

    entries: list[tuple[str | int, Any]] = []
    if isinstance(value, BaseModel):
        entries = [(name, getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, tuple):
        entries = list(enumerate(value))
    if not entries:
        yield path, value
    for step, entry in entries:
        yield from _leaves(entry, (*path, step))


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(Path.cwd() / value)
    if isinstance(value, str):
        return value
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _masked(path: KeyPath, value: Any) -> str:
    text = _as_text(value)
    named = any(isinstance(step, str) and _NAMES_A_SECRET.search(step) for step in path)
    if named and path[0] != "secrets" and not text.startswith("{secret."):
        return MASK
    return _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", text)


def _origin(path: KeyPath, loaded: _Loaded) -> str:
    for end in range(len(path), 0, -1):
        if path[:end] in loaded.origins:
            return loaded.origins[path[:end]]
    line = loaded.document.lines.get(path)
    return f"{loaded.shown_path}:{line}" if line else "default"
