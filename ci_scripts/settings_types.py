"""The kinds of values in ci.yaml: what is checked of a word, a path, an address before a section sees it.

Relative paths are resolved against the folder in the validation context (``{"folder": Path}``).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

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


def _python_version(value: str, info: ValidationInfo) -> str:
    if value.startswith("-") or not value:
        raise ValueError("must be a version such as 3.12 or the path of an interpreter")
    return str(_absolute(value, info)) if "/" in value else value


def _database(value: str) -> str:
    if value == "sqlite" or re.fullmatch(r"mysql\+pymysql://\S+", value):
        return value
    raise ValueError("must be sqlite or mysql+pymysql://user:password@host:port/")


def _history_url(value: str) -> str:
    if not re.fullmatch(r"(?:sqlite|postgresql(?:\+psycopg)?)://\S*", value):
        raise ValueError("must be sqlite:///path or postgresql://user@host:port/name")
    if re.search(r"[?&]password=", value) or re.match(r"[^/]+://[^/\s@:]*:[^/@]*@", value):
        raise ValueError("holds a password: name its file or variable with password_file or password_environment")
    return value


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


def _server_page(value: str) -> str:
    """Where a password is sent to: https, or this machine."""
    if problem := web_url_problem(value):
        raise ValueError(problem)
    if not re.match(r"https://|http://(?:localhost|127\.0\.0\.1|\[::1\])(?:[:/]|$)", value):
        raise ValueError("must be https: a password would be sent in clear text")
    if "?" in value or "#" in value:
        raise ValueError("must be the address of the server, without '?' and '#'")
    return value.rstrip("/")


def _logs_place(value: str, info: ValidationInfo) -> str:
    """The path of a folder made absolute, or ``user@host:/folder`` for rsync."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:/[A-Za-z0-9_./-]+", value):
        return value
    if ":" in value.partition("/")[0]:
        raise ValueError("must be a folder, or user@host:/folder")
    return str(_absolute(value, info))


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
Database = Annotated[str, AfterValidator(_database)]
WebPage = Annotated[str, AfterValidator(_page)]
HostAndPort = Annotated[Plain, AfterValidator(_host_and_port)]
PackageOrPath = Annotated[Plain, AfterValidator(_package_or_path)]
PythonVersion = Annotated[Text, AfterValidator(_python_version)]
HistoryUrl = Annotated[Plain, AfterValidator(_history_url)]
ServerPage = Annotated[Plain, AfterValidator(_server_page)]
LogsPlace = Annotated[Plain, AfterValidator(_logs_place)]
Host = Annotated[str, StringConstraints(pattern=r"^(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[?[0-9A-Fa-f:]+\]?)$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$")]
