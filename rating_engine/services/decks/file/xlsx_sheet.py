"""The rows of a sheet as text, a piece at a time.

Law: a number arrives as the 15 digits that Excel keeps and shows of it, so that 0.1 is a price of exactly 0.1. A code
longer than that has lost digits inside Excel already; it arrives with an exponent and is rejected.

A reader of our own: openpyxl builds a tree of each row, so that a row of ten million cells takes gigabytes.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import MAC_EPOCH, WINDOWS_EPOCH, from_excel

from rating_engine.services.decks.file import limits
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.units import currencies_of
from rating_engine.services.decks.file.xlsx_package import Attributes, Package

CELL_END: Final = "\x1f"  # cannot stand in XML, so in no cell
SIGNIFICANT_DIGITS: Final = ".15g"  # as Excel keeps numbers

_EXACT_DIGITS: Final = 15
_OWN_FORMATS: Final = 164  # the numbers of formats that a workbook defines begin here
_SHOWN: Final = re.compile(r'\[\$([^\]-]+)(?:-[^\]]*)?\]|"([^"\d]+)"|([€£¥₹$])')
_REFERENCE: Final = re.compile(r"([A-Z]{1,3})\d{1,7}", re.ASCII)
_LETTERS: Final = 26


class Texts:
    """The texts that cells share, by their number: one block of bytes and where each begins."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("I")

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, text: str) -> None:
        """One more."""
        self._bytes += text.encode("utf-8", "replace")
        self._ends.append(len(self._bytes))

    def __getitem__(self, number: int) -> str:
        """Raises IndexError."""
        if not 0 <= number < len(self._ends):
            raise IndexError(number)
        return self._bytes[self._ends[number - 1] if number else 0 : self._ends[number]].decode()


@dataclass(frozen=True, slots=True)
class Book:
    """What the sheets of a workbook share. `sheets`: the part of each by its name; `dates`: formats that show dates.

    A format that shows a span of time is True in `dates`, one that shows a day or a time of day False. `signs`: formats
    that show a currency beside the number, which is part of what a reader of the sheet sees.
    """

    path: Path
    sheets: dict[str, str]
    texts: Texts
    dates: dict[int, bool]
    epoch: datetime
    signs: dict[int, str] = field(default_factory=dict)


def read_book(path: Path) -> Book:
    """Everything but the sheets themselves. Raises DeckFileError."""
    with Package(path) as package:
        workbook = next((one.part for one in package.related("").values() if one.kind == "officeDocument"), "")
        if not package.has(workbook):
            raise DeckFileError(f"{path} is a ZIP archive without a workbook in it: unpack it first")
        related = package.related(workbook)
        names, epoch = _names(path, package, workbook)
        parts = {one.kind: one.part for one in related.values() if package.has(one.part)}
        sheets = {
            name: related[key].part
            for name, key in names
            if key in related and related[key].kind == "worksheet" and package.has(related[key].part)
        }
        if not sheets:
            raise DeckFileError(f"{path} has no sheet with cells")
        texts = _texts(path, package, parts["sharedStrings"]) if "sharedStrings" in parts else Texts()
        dates, signs = _formats(path, package, parts["styles"]) if "styles" in parts else ({}, {})
        return Book(path, sheets, texts, dates, epoch, signs)


def sheet_size(book: Book, sheet: str) -> int:
    """Bytes of a sheet, unpacked. Raises DeckFileError."""
    with Package(book.path) as package:
        return package.size(book.sheets[sheet])


def sheet_rows(book: Book, sheet: str) -> Iterator[tuple[int, list[str]]]:
    """The rows of a sheet in pieces, each with the bytes read so far; row 1 is the first.

    A row is its cells with CELL_END between them, without empty ones at its end. Raises DeckFileError.
    """
    reader = _SheetReader(book, sheet)
    with Package(book.path) as package:
        part = book.sheets[sheet]
        for read in package.parse(part, limits.MAX_SHEET_BYTES, reader.start, reader.end, reader.text):
            rows, reader.rows = reader.rows, []
            yield read, rows
        if reader.rows:
            yield package.size(part), reader.rows


class _SheetReader:
    """Takes the elements of a sheet; `rows` that are whole are its caller's to take."""

    def __init__(self, book: Book, sheet: str) -> None:
        self.rows: list[str] = []
        self._book = book
        self._sheet = sheet
        self._row = 0  # its number while one is read, and of the last one after it
        self._cells: list[str] = []
        self._characters = 0
        self._column = 0  # of the cell that is read, from 1
        self._kind = "n"
        self._style = 0
        self._parts: list[str] = []
        self._held = 0
        self._listens = False
        self._phonetic = False

    def start(self, name: str, attributes: Attributes) -> None:
        """Called by the parser."""
        if name == "c":
            self._begin_cell(attributes)
        elif name in ("v", "t"):
            self._listens = not self._phonetic
        elif name == "rPh":
            self._phonetic = True
        elif name == "row":
            self._begin_row(attributes)

    def text(self, text: str) -> None:
        """Called by the parser."""
        if not self._listens:
            return
        self._held += len(text)
        if self._held > limits.MAX_CELL_CHARACTERS:
            raise self._refused(f"a cell of more than {limits.MAX_CELL_CHARACTERS:,} characters")
        self._parts.append(text)

    def end(self, name: str) -> None:
        """Called by the parser."""
        if name in ("v", "t"):
            self._listens = False
        elif name == "c":
            if self._parts:
                self._put("".join(self._parts))
                self._parts = []
                self._held = 0
        elif name == "rPh":
            self._phonetic = False
        elif name == "row":
            self.rows.append(CELL_END.join(self._cells))

    def _begin_row(self, attributes: Attributes) -> None:
        said = attributes.get("r", "")
        number = int(said) if said.isdecimal() and len(said) <= len(str(limits.MAX_SHEET_ROWS)) else 0
        if said and not self._row < number <= limits.MAX_SHEET_ROWS:
            raise self._refused(f"after it one that calls itself {said[:20]!r}")
        number = number or self._row + 1
        if number > limits.MAX_SHEET_ROWS:
            raise self._refused(f"more than {limits.MAX_SHEET_ROWS:,} rows")
        self.rows += [""] * (number - self._row - 1)
        self._row = number
        self._cells = []
        self._characters = 0
        self._column = 0

    def _begin_cell(self, attributes: Attributes) -> None:
        said = attributes.get("r")
        column = self._column + 1
        if said is not None:
            found = _REFERENCE.fullmatch(said)
            column = _column_of(found[1]) if found else 0
        if not self._column < column <= limits.MAX_COLUMNS:
            raise self._refused(f"more than {limits.MAX_COLUMNS:,} cells, or cells out of order")
        self._column = column
        self._kind = attributes.get("t", "n")
        style = attributes.get("s", "0")
        self._style = int(style) if style.isdecimal() and len(style) <= 6 else 0

    def _put(self, text: str) -> None:
        value = self._value(text)
        if not value:
            return
        if self._column > limits.MAX_CELLS:
            raise self._refused(f"more than {limits.MAX_CELLS:,} cells")
        self._characters += len(value)
        if self._characters > limits.MAX_LINE_CHARACTERS:
            raise self._refused(f"more than {limits.MAX_LINE_CHARACTERS:,} characters")
        self._cells += [""] * (self._column - 1 - len(self._cells))
        self._cells.append(value)

    def _value(self, text: str) -> str:
        """A cell as its text; a number as Excel shows it with all its digits; a date in ISO 8601."""
        kind = self._kind
        if kind == "s":
            try:
                return self._book.texts[int(text)]
            except (ValueError, IndexError):
                raise self._refused(f"a cell with the text number {text[:20]!r}, which there is not") from None
        if kind == "b":
            return "TRUE" if text.strip() == "1" else "FALSE"
        if kind != "n":
            return text
        if self._style in self._book.dates:
            return _date_text(text, self._book, is_span=self._book.dates[self._style])
        number = _number_text(text)
        return f"{number} {self._book.signs[self._style]}" if self._style in self._book.signs else number

    def _refused(self, what: str) -> DeckFileError:
        return DeckFileError(f"{self._book.path}: row {self._row} of the sheet {self._sheet!r} has {what}")


def number_text(value: float) -> str:
    """A number as Excel shows it with all its digits."""
    return format(value, SIGNIFICANT_DIGITS)


def _number_text(text: str) -> str:
    if text.isdecimal() and len(text) <= _EXACT_DIGITS and text[0] != "0":
        return text
    try:
        return number_text(float(text))
    except ValueError:
        return text


def _date_text(text: str, book: Book, *, is_span: bool) -> str:
    try:
        return str(from_excel(float(text), book.epoch, timedelta=is_span))
    except (ValueError, OverflowError):
        return text


def _column_of(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * _LETTERS + ord(letter) - ord("A") + 1
    return column


def _names(path: Path, package: Package, workbook: str) -> tuple[list[tuple[str, str]], datetime]:
    """The sheets by name and id, in their order, and the day 0 of dates."""
    names: list[tuple[str, str]] = []
    epoch: datetime = WINDOWS_EPOCH

    def start(element: str, attributes: Attributes) -> None:
        nonlocal epoch
        if element == "sheet":
            key = next((value for name, value in attributes.items() if name.endswith(" id")), "")
            names.append((attributes.get("name", ""), key))
            if len(names) > limits.MAX_SHEETS:
                raise DeckFileError(f"{path} has more than {limits.MAX_SHEETS} sheets")
        elif element == "workbookPr" and attributes.get("date1904") in ("1", "true"):
            epoch = MAC_EPOCH

    for _ in package.parse(workbook, limits.MAX_PART_BYTES, start):
        pass
    return names, epoch


def _texts(path: Path, package: Package, part: str) -> Texts:
    texts = Texts()
    parts: list[str] = []
    held = 0
    listens = phonetic = False

    def start(element: str, attributes: Attributes) -> None:
        nonlocal listens, phonetic
        if element == "t":
            listens = not phonetic
        elif element == "rPh":
            phonetic = True

    def text(said: str) -> None:
        nonlocal held
        if listens:
            held += len(said)
            if held > limits.MAX_CELL_CHARACTERS:
                number = len(texts) + 1
                raise DeckFileError(
                    f"{path}: the shared text {number:,} has more than {limits.MAX_CELL_CHARACTERS:,} characters"
                )
            parts.append(said)

    def end(element: str) -> None:
        nonlocal held, listens, phonetic
        if element == "t":
            listens = False
        elif element == "rPh":
            phonetic = False
        elif element == "si":
            texts.add("".join(parts))
            parts.clear()
            held = 0

    for _ in package.parse(part, limits.MAX_TEXT_BYTES, start, end, text):
        pass
    return texts


def _formats(path: Path, package: Package, part: str) -> tuple[dict[int, bool], dict[int, str]]:
    """The formats of cells that show dates (False) or spans of time (True), and those that show a currency.

    Excel's own formats of money show the currency of whoever looks at them, and say none.
    """
    codes = dict(BUILTIN_FORMATS)
    used: list[int] = []
    inside = False

    def start(element: str, attributes: Attributes) -> None:
        nonlocal inside
        if element == "numFmt" and (number := attributes.get("numFmtId", "")).isdecimal():
            codes[int(number)] = attributes.get("formatCode", "")
        elif element == "cellXfs":
            inside = True
        elif element == "xf" and inside:
            number = attributes.get("numFmtId", "0")
            used.append(int(number) if number.isdecimal() else 0)
            if len(used) > limits.MAX_FORMATS:
                raise DeckFileError(f"{path} has more than {limits.MAX_FORMATS:,} formats of cells")

    def end(element: str) -> None:
        nonlocal inside
        if element == "cellXfs":
            inside = False

    for _ in package.parse(part, limits.MAX_PART_BYTES, start, end):
        pass
    kinds = {
        number: is_timedelta_format(code) for number, code in codes.items() if number in set(used) and _shows_time(code)
    }
    signs = {
        number: sign
        for number, code in codes.items()
        if number >= _OWN_FORMATS and number not in kinds and (sign := _sign(code))
    }
    return (
        {at: kinds[number] for at, number in enumerate(used) if number in kinds},
        {at: signs[number] for at, number in enumerate(used) if number in signs},
    )


def _sign(code: str) -> str:
    """The currency that a format shows, as in [$€-407]0.00 or "USD" 0.00; '' where it shows none."""
    for found in _SHOWN.finditer(code):
        text = (found[1] or found[2] or found[3]).strip()
        if currencies_of(text):
            return text
    return ""


def _shows_time(code: str) -> bool:
    return bool(is_date_format(code)) or bool(is_timedelta_format(code))
