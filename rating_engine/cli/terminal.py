"""What people read: text as it is, whoever chose it.

Laws: a name, a login or a file's content is never taken for markup, an emoji or an order to the terminal: what a
terminal would obey is shown as its code. What goes into a pipe is cut at no width, whatever COLUMNS says, and a table
there is for grep, cut and awk: a line a row, tabs between the cells, first the names of the columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_COLUMNS: Final = 10_000  # wider than any table: what reads a pipe has no edge to wrap at

# Controls but tab and line feed (ESC begins an order to the terminal, and 0x9b is one by itself), line separators, and
# what turns the direction of writing: with it a name could look like another.
_ORDERS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_RAW_ORDERS_IN_JSON: Final = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class Screen(Console):
    """A console that shows every text as it is."""

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, **options)
        self._is_pipe = not self.is_terminal and "width" not in options
        if self._is_pipe:
            self.width = PIPE_COLUMNS

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints; a table that goes into a pipe as lines of cells."""
        if not self._is_pipe or not any(isinstance(one, Table) for one in objects):
            super().print(*objects, **options)
            return
        for one in objects:
            if isinstance(one, Table):
                self.file.writelines(f"{line}\n" for line in _lines(one))  # rich would make blanks of the tabs
            else:
                super().print(one, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """A text as it is shown: every one that is printed or stands in a table comes by here."""
        return super().render_str(harmless(text), **options)


out = Screen()
err = Screen(stderr=True)


def harmless(text: str) -> str:
    r"""The text with everything that a terminal obeys shown as its code, as in `\x1b`."""
    return _ORDERS.sub(lambda found: repr(found[0])[1:-1], text)


def _lines(table: Table) -> Iterator[str]:
    """A table as lines of cells with tabs between them: its title, the names of its columns, a row a line."""
    if table.title:
        yield _cell(table.title)
    if table.show_header:
        yield "\t".join(_cell(column.header) for column in table.columns)
    for row in zip(*(column.cells for column in table.columns), strict=True):
        yield "\t".join(map(_cell, row))


def _cell(content: Any) -> str:
    """What a cell says, in one line and without a tab."""
    text = content.plain if isinstance(content, Text) else harmless(str(content))
    return text.replace("\t", r"\t").replace("\n", r"\n")


def styled(*parts: str | tuple[str, str]) -> Text:
    """A line of texts and of (text, style)."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((harmless(text), style) for text, style in pairs))


def say(*parts: str | tuple[str, str]) -> None:
    """A line to a person, as it is: nothing breaks it."""
    out.print(styled(*parts), soft_wrap=True)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on stdout, for machines: no colour, no wrapping, nothing that a terminal obeys."""
    text = json.dumps(value, ensure_ascii=False)
    typer.echo(_RAW_ORDERS_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
