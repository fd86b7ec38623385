"""Opening a deck file whichever way it is written: delimited text, or a sheet of an XLSX workbook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.source import DeckSource, open_text

_XLSX: Final = b"PK\x03\x04"  # what a ZIP begins with
_GZIP: Final = b"\x1f\x8b"
_XLS: Final = b"\xd0\xcf\x11\xe0"  # and OLE2, which also a workbook with a password is


def open_deck(
    path: Path,
    *,
    sheet: str | None = None,
    columns: Mapping[Column, str] | None = None,
    header_row: int | None = None,
) -> DeckSource:
    """Find out how the file is written and what its columns are.

    `sheet`: of a workbook; None: the first one that has a header. `columns`, `header_row`: of a profile; None finds
    them by their names. Raises DeckFileError: unreadable, no such sheet, no header, or one that could mean two things.
    """
    if is_workbook(path):
        from rating_engine.services.decks.file.workbook import open_workbook  # openpyxl, with the first workbook

        return open_workbook(path, sheet, columns, header_row)
    if sheet is not None:
        raise DeckFileError(f"{path} is text: only a workbook has sheets")
    return open_text(path, columns, header_row)


def is_workbook(path: Path) -> bool:
    """Whether it is XLSX. Raises DeckFileError: unreadable, or the older XLS."""
    try:
        if not path.is_file():
            raise DeckFileError(f"{path}: there is no such file")
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise DeckFileError(f"{path}: {error.strerror or error}") from error
    if start.startswith(_GZIP):
        raise DeckFileError(f"{path} is packed with gzip: unpack it first")
    if start == _XLS:
        raise DeckFileError(f"{path} is an Excel workbook of the old kind, or has a password: save it as XLSX or CSV")
    return start == _XLSX
