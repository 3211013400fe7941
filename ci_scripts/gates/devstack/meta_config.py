r"""Options as DevStack's local.conf must hold them, so that they reach their files unchanged.

DevStack takes the sections ``[[post-config|FILE]]`` apart in inc/meta-config and writes each option with ``iniset`` of
inc/ini-config. On its way a value is read by ``read`` without -r (a backslash goes), by ``eval`` inside double quotes
(``$``, a backquote, ``"`` and a backslash mean something), and by an unquoted ``echo`` (blanks become one, ``*`` the
names of files). What can be escaped is; what would not arrive as it was meant is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ci_scripts.errors import ConfigurationError

# They stand unquoted in a command of the shell and in a pattern of sed and grep.
SECTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")
OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_SPECIAL = re.compile(r'[\\"$`]')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def section_lines(sections: Mapping[str, Mapping[str, str]], where: str) -> list[str]:
    """The lines of one ``[[post-config|...]]`` section below its heading. ``where`` is for errors.

    Raises ConfigurationError for a name or a value that DevStack would not take over unchanged.
    """
    lines: list[str] = []
    for section, options in sections.items():
        _require(SECTION.fullmatch(section) is not None, f"{where}: [{section}] is no plain name of a section")
        lines.append(f"[{section}]")
        for option, value in options.items():
            name = f"{where}: [{section}] {option}"
            _require(OPTION.fullmatch(option) is not None, f"{name} is no plain name of an option")
            problem = value_problem(value)
            _require(problem is None, f"{name}: {problem}")
            lines.append(f"{option} = {escaped(value)}".rstrip())
    return lines


def escaped(value: str) -> str:
    r"""``a$b`` as ``a\\$b``: ``read`` takes one backslash away, ``eval`` the other."""
    return as_written(value)[1]


def as_written(value: str) -> tuple[str, str]:
    """How a value stands in DevStack's trace, and how in local.conf: a secret is masked in each of these forms."""
    for_eval = _SPECIAL.sub(lambda match: "\\" + match.group(0), value)
    return for_eval, for_eval.replace("\\", "\\\\")


def value_problem(value: str) -> str | None:
    """Why DevStack would not write ``value`` as it is, or None."""
    if "\n" in value or "\r" in value:
        return "a line break would begin another option or section; DevStack takes one line for each"
    if _CONTROL.search(value):
        return "it contains a control character"
    if "\t" in value or "  " in value or value != value.strip():
        return "DevStack's iniset makes one blank of several, and none at the ends"
    words = value.split(" ")
    if re.fullmatch(r"-[neE]+", words[0]):
        return f"DevStack's iniset would take {words[0]} for an option of echo"
    for word in words:
        # A pattern with a folder in it that does not exist, as in an address, is left as it is by the shell.
        if re.search(r"[*?]|\[.*\]", word) and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", word):
            return f"DevStack's iniset would put names of files in place of {word}; set it in the driver's plug-in"
    return None


def _require(good: bool, what: str) -> None:
    if not good:
        raise ConfigurationError(f"{what}.", next_step="change driver.neutron_config in ci.yaml.")
