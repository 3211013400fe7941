"""Tables and progress of the verbs: for a person at a terminal with rich, for a log in plain lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import click

from ci_scripts.views.clean_text import for_terminal

LINE_EVERY = 25
WIDEST = 60


def show_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """On standard output. Whatever the rows hold, it cannot drive a terminal."""
    safe = [[for_terminal(cell, one_line=True) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in safe:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    shown = [list(columns), *([cell[:WIDEST] for cell in row[:-1]] + [row[-1]] for row in safe)]
    widths = [max(len(row[place]) for row in shown) for place in range(len(columns))]
    for row in shown:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


class Bar:
    """How far a verb has come, on standard error: a bar where a person watches, else a line every ``LINE_EVERY``."""

    def __init__(self, total: int, what: str, say: Callable[[str], None] | None = None) -> None:
        self.total, self.done, self._what = total, 0, what
        self._say = say or (lambda text: click.echo(text, err=True))
        self._live: Any = None
        self._task: Any = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Live

            columns = (TextColumn(self._what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._live = Live(*columns, console=Console(stderr=True), transient=True)
            self._live.start()
            self._task = self._live.add_task("", total=self.total)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
        elif self.done and self.done % LINE_EVERY:
            self._say(self._line())

    def one_more(self, note: str = "") -> None:
        """One is dealt with; ``note`` is said at once, for what a person should see."""
        self.done += 1
        if note:
            self.note(note)
        if self._live is not None:
            self._live.update(self._task, completed=self.done)
        elif self.done % LINE_EVERY == 0:
            self._say(self._line())

    def note(self, text: str) -> None:
        """Say a line above the bar."""
        safe = for_terminal(text, one_line=True)
        if self._live is not None:
            from rich.text import Text

            self._live.console.print(Text(safe))
        else:
            self._say(safe)

    def _line(self) -> str:
        return f"{self._what}: {self.done} of {self.total}"
