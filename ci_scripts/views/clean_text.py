"""Make text of a node safe to show: in XML and HTML, and at a terminal."""

from __future__ import annotations

import re

# XML 1.0, section 2.2; HTML forbids the same and more.
NOT_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
# Control characters of C0 (without tab and line feed) and C1, and those that turn the direction of writing.
UNSAFE_AT_TERMINAL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def for_markup(text: str) -> str:
    """Text without terminal sequences and without characters that XML 1.0 forbids (they become U+FFFD).

    Markup is not escaped here: that is the template's or the XML writer's part.
    """
    return NOT_XML.sub("\ufffd", TERMINAL_SEQUENCE.sub("", text))


def for_terminal(text: str, *, one_line: bool = False) -> str:
    """Text with every control character made visible, so that a test's name cannot drive a terminal."""
    text = UNSAFE_AT_TERMINAL.sub(_visible, text)
    return text.replace("\n", "\\n") if one_line else text


def shortened(text: str, limit: int) -> str:
    """The beginning and the end of a text of more than ``limit`` characters, with a note between."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"


def what_happened(text: str) -> str:
    """The line of a failure's first traceback that names the exception; else its last line, or nothing."""
    lines = [line for line in text.partition("\n\n--- ")[0].splitlines() if line.strip()]
    frames = [number for number, line in enumerate(lines) if line.startswith("  ")]
    # Exceptions of Tempest go on for several lines; the first after the frames has the name.
    if frames and frames[-1] + 1 < len(lines) and lines[0].startswith("Traceback"):
        return lines[frames[-1] + 1].strip()
    return lines[-1].strip() if lines else ""


def duration(seconds: float | None) -> str:
    """Seconds as a person reads them: 0.42 s, 12.3 s, 12m 33s, 1h 02m."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
