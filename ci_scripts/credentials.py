"""Passwords and API tokens of the trusted side: read from a file or a variable, never from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ci_scripts.settings_section import WithPassword

LARGEST_PASSWORD = 4096


class NoPassword(Exception):
    """``where`` is the file or variable that should hold it, ``key`` the setting that names that."""

    def __init__(self, where: str, key: str) -> None:
        super().__init__(f"the {where} is missing, empty or cannot be read")
        self.where = where
        self.key = key


def read_password(section: WithPassword, environment: Mapping[str, str]) -> str | None:
    """The section's password without the line feed at its end; None where the section names none.

    Raises NoPassword.
    """
    if section.password_file is not None:
        where, key = f"file {section.password_file}", "password_file"
        try:
            with section.password_file.open("rb") as file:
                password = file.read(LARGEST_PASSWORD).decode("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError):
            password = ""
    elif section.password_environment is not None:
        where, key = f"variable {section.password_environment}", "password_environment"
        password = environment.get(section.password_environment, "")
    else:
        return None
    if not password:
        raise NoPassword(where, key)
    return password
