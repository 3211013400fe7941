"""Why stack.sh failed, in one sentence, from its trace. Pure.

stack.sh ends on the first command that fails (errexit). What names the cause stands a little before the end of the
trace, above the clean-up and the dump of the world; where functions run beside each other (inc/async), it stands in the
output of the one that failed, which is printed when stack.sh waits for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 400
# A program's error stands at most so many lines before the command that stack.sh gave up on.
NEAR = 400
_STAMP = re.compile(r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3} \| ")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# PS4 of stackrc: "+ lib/neutron:init_neutron:566    :   command"; more pluses inside of functions and subshells.
_TRACE = re.compile(r"^\++ (\S+:\S*:\d+)\s+:\s+(.*)$")
_SUMMARY = re.compile(r"^echo_summary\s+(.*)$")
# err() of functions-common, which die() calls, too; and it writes the same line to error.log.
_DIED = re.compile(r"^\[ERROR\] (\S+?):(\d+) (.*)$")
_ASYNC = re.compile(r"^\[\d+ Async (\S+?):\S+\]: (?:FAILED with rc \d+|finished .* with result [1-9]\d* in .*)$")
_ENDED = re.compile(r"^(?:Error on exit|\S*stack\.sh failed\b.*|\[Call Trace\])$")
# Commands of the traps and of the clean-up, not of the work.
_OF_THE_END = re.compile(r":(?:exit_trap|err_trap|kill_spinner|die|err|backtrace|async_wait\w*|time_\w+):")
_EXCEPTION = re.compile(r"^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|NotFound|Failure|Conflict)\b.*")
# What programs that stack.sh calls say when they fail, the ones that say most first.
_SAID = (
    re.compile(r"^ERROR: (?:Could not find a version|No matching distribution|Cannot install).*"),
    re.compile(r"^(?:error: )?(?:subprocess-exited-with-error|metadata-generation-failed).*"),
    re.compile(r"^E: .+"),
    re.compile(r"^(?:fatal|error): .+"),
    re.compile(r"^(?:.*\b(?:CRITICAL|ERROR)\b .+)"),
    re.compile(r"^ERROR[: ].+"),
    re.compile(r"^.*(?:No space left on device|Cannot allocate memory|command not found|Permission denied).*"),
    re.compile(r"^.*(?:Connection (?:refused|timed out|reset)|Temporary failure in name resolution).*"),
)


@dataclass(frozen=True)
class FirstCause:
    """``what`` failed, ``where`` in DevStack, and the ``phase`` of its summary; "" for what is unknown."""

    what: str
    where: str
    phase: str

    def __str__(self) -> str:
        place = f" in {self.where}" if self.where else ""
        phase = f", after '{self.phase}'" if self.phase else ""
        return f"{self.what}{place}{phase}"


def first_cause(trace: str, error_log: str = "") -> FirstCause:
    """The cause that the end of a trace names; ``error_log`` is LOGDIR/error.log, which die() writes to."""
    lines = [_plain(line) for line in trace.splitlines()]
    end = _end_of_work(lines)
    work = lines[:end]
    phase = _phase(work)
    died = _died(lines, error_log)
    where, command = _last_command(work)
    if died is not None:
        what, place = died
        # git said more than DevStack's git_timed does.
        better = _said(work[-NEAR:]) if what.startswith("git call failed") else None
        return FirstCause(_short(f"{better} ({what})" if better else what), place, phase)
    name = _failed_async(lines)
    if name:
        said = _said(_output_of_async(lines, name))
        return FirstCause(_short(said or f"{name} failed"), name, phase)
    said = _said(_near(work))
    if said:
        return FirstCause(_short(said), where, phase)
    return FirstCause(_short(f"'{command}' failed") if command else "its log names no cause", where, phase)


def summary_of(line: str) -> str | None:
    """What DevStack tells its user when it comes to another part: the words of echo_summary, None for other lines."""
    match = _TRACE.match(_plain(line))
    told = _SUMMARY.match(match.group(2)) if match else None
    return told.group(1).strip("'\"")[:LONGEST] if told else None


def _plain(line: str) -> str:
    return _ANSI.sub("", _STAMP.sub("", line)).rstrip()


def _end_of_work(lines: Sequence[str]) -> int:
    """Where the clean-up begins: the first line of it, counted from the end."""
    for number in range(len(lines) - 1, -1, -1):
        if _ENDED.match(lines[number]):
            first = number
            while first > 0 and (_ENDED.match(lines[first - 1]) or _OF_THE_END.search(lines[first - 1])):
                first -= 1
            return first
    return len(lines)


def _phase(lines: Sequence[str]) -> str:
    found = (summary_of(line) for line in reversed(lines))
    return next((text for text in found if text), "")


def _died(lines: Sequence[str], error_log: str) -> tuple[str, str] | None:
    """The first thing that DevStack itself called an error: its words, and its file and line."""
    for line in [*map(_plain, error_log.splitlines()), *lines]:
        match = _DIED.match(line)
        if match:
            return match.group(3), f"{match.group(1).rpartition('/devstack/')[2]}:{match.group(2)}"
    return None


def _failed_async(lines: Sequence[str]) -> str | None:
    matches = (_ASYNC.match(line) for line in lines)
    return next((match.group(1) for match in matches if match), None)


def _output_of_async(lines: Sequence[str], name: str) -> Sequence[str]:
    """What the function said: between its wake-up and the line with its result."""
    ends = [n for n, line in enumerate(lines) if (match := _ASYNC.match(line)) and match.group(1) == name]
    return lines[max(0, ends[-1] - NEAR) : ends[-1]] if ends else ()


def _last_command(lines: Sequence[str]) -> tuple[str, str]:
    for line in reversed(lines):
        match = _TRACE.match(line)
        if match and not _OF_THE_END.search(line):
            return match.group(1), match.group(2)
    return "", ""


def _near(lines: Sequence[str]) -> Sequence[str]:
    """The last command that said something, and all behind it: of a pipe each command has its own line."""
    last = lines[-NEAR:]
    spoken = next((n for n in range(len(last) - 1, -1, -1) if not _TRACE.match(last[n])), len(last) - 1)
    first = next((n for n in range(spoken, -1, -1) if _TRACE.match(last[n])), 0)
    return last[first:]


def _said(lines: Sequence[str]) -> str | None:
    """The most telling line of a program's output: the exception of the last traceback, else an error that we know."""
    output = [line for line in lines if line and not _TRACE.match(line)]
    starts = [n for n, line in enumerate(output) if line.startswith("Traceback (most recent call last)")]
    for start in reversed(starts):
        for line in output[start + 1 :]:
            if _EXCEPTION.match(line):
                return line
    for pattern in _SAID:
        for line in output:
            if pattern.match(line):
                return line.strip()
    return next((line for line in reversed(output) if _EXCEPTION.match(line)), None)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
