"""Names that a spreadsheet would take for formulas, in files that people open with one.

Law: what is written reads back as it was. A text that begins with = + - @, a tab or a line break gets an apostrophe
before it, which spreadsheets take for "this is text"; so does one that begins so behind apostrophes of its own.
"""

from __future__ import annotations

import re
from typing import Final

_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n]")
_QUOTED: Final = re.compile(r"'+[=+\-@\t\r\n]")


def quoted(text: str) -> str:
    """A text as a cell has it that no spreadsheet works out."""
    return f"'{text}" if _FORMULA.match(text) else text


def unquoted(cell: str) -> str:
    """The text that `quoted` made this of; any other cell is its own text."""
    return cell[1:] if _QUOTED.match(cell) else cell
