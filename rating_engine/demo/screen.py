"""What the demo shows: a line for each step on standard output, and bars that move on standard error.

Bars are for a terminal alone and vanish, so that what stays is the same on a terminal, in a file and in a picture.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rating_engine.demo.calls import Exchange
from rating_engine.demo.errors import DemoError
from rating_engine.services.decks.importing import Progress as ImportProgress

STEP_COLUMNS: Final = 70  # the seconds of every step stand below each other, on a terminal of 80 columns

_WEB_FONT: Final = re.compile(r"@font-face \{.*?\}", re.DOTALL)  # a picture that asks the network for nothing


class Screen:
    """`console` is what stays, `bars` where things move."""

    def __init__(self, console: Console, bars: Console) -> None:
        self.console = console
        self._bars = bars
        self._mark = time.monotonic()

    def step(self, text: str, *, timed: bool = True) -> None:
        """Something is done; with the seconds since the last step."""
        now = time.monotonic()
        seconds = f"[dim]{now - self._mark:5.1f} s[/]" if timed else ""
        self._mark = now
        line = f"[green]✓[/] {text.ljust(STEP_COLUMNS)}{seconds}"
        self.console.print(line.rstrip(), markup=True, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """A line, or some, with rich's markup."""
        self.console.print(text, markup=True, highlight=False, soft_wrap=True)

    def tables(self, *tables: RenderableType) -> None:
        """Tables, set off from what is above."""
        for table in tables:
            self.console.print()
            self.console.print(table, highlight=False)

    def draw(self, file: Path) -> None:
        """Everything that was shown, as a picture. The console has to be one that records. Errors: DemoError."""
        picture = _WEB_FONT.sub("", self.console.export_svg(title="rating-engine demo"))
        try:
            file.write_text(picture, encoding="utf-8")
        except OSError as error:
            raise DemoError(f"{file}: {error.strerror}") from error

    def waiting(self, text: str) -> contextlib.AbstractContextManager[object]:
        """Something that moves while nothing can be counted."""
        return self._bars.status(text) if self._bars.is_terminal else contextlib.nullcontext()

    @contextlib.contextmanager
    def import_bar(self) -> Iterator[Callable[[ImportProgress], None]]:
        """Rates as they are imported."""
        columns = (
            SpinnerColumn(),
            TextColumn("importing rates"),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
        )
        with Progress(*columns, console=self._bars, transient=True, disable=not self._bars.is_terminal) as bar:
            task = bar.add_task("", total=None, rows=0)
            yield lambda at: bar.update(task, total=at.size, completed=at.read, rows=at.rows)

    @contextlib.contextmanager
    def calls_bar(self, count: int) -> Iterator[Callable[[Exchange], None]]:
        """Calls as they are placed."""
        words = (
            "[green]{task.fields[allowed]} allowed[/] [red]{task.fields[declined]} declined[/] {task.fields[open]} open"
        )
        columns = (TextColumn("calls"), BarColumn(), MofNCompleteColumn(), TextColumn(words), TimeElapsedColumn())
        with Progress(*columns, console=self._bars, transient=True, disable=not self._bars.is_terminal) as bar:
            task = bar.add_task("", total=count, allowed=0, declined=0, open=0)

            def show(exchange: Exchange) -> None:
                over = len(exchange.placed)
                allowed = over + exchange.open_calls - exchange.declined
                bar.update(task, completed=over, allowed=allowed, declined=exchange.declined, open=exchange.open_calls)

            yield show
