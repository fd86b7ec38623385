"""A sheet of an XLSX file as rows of text."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.services.decks.file import limits
from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.workbook import WorkbookSource
from rating_engine.services.decks.file.xlsx_sheet import number_text

HEADER = ["Prefix", "Price", "Name"]


def deck(directory: Path, rows: Sequence[Sequence[object]], sheet: str | None = None, **more: object) -> WorkbookSource:
    """The rows as the first sheet of a workbook, `more` sheets after it."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    for name in more:
        other = book.create_sheet(name)
        other.append(HEADER)
        other.append([44, 0.2, name])
    path = directory / "deck.xlsx"
    book.save(path)
    source = open_deck(path, sheet=sheet)
    assert isinstance(source, WorkbookSource)
    return source


def rows_of(source: WorkbookSource) -> list[list[str]]:
    return [source.cells(line) for piece in source.rows() for line in piece.lines]


def test_cells_of_every_kind_arrive_as_their_text(tmp_path: Path) -> None:
    date = datetime.datetime(2026, 1, 1, tzinfo=None)  # noqa: DTZ001  # a workbook knows no time zones
    rows = [
        [7901, 0.048, "Russia"],
        ["7901, 7902", "0,05", True],
        [None, 1, date],
        [7901.0, 1e-05, 'a "b", c'],
        [39, 0.1 + 0.2, "x"],
        [1234567890123456789, 2, "y"],
    ]
    assert rows_of(deck(tmp_path, [HEADER, *rows])) == [
        ["7901", "0.048", "Russia"],
        ["7901, 7902", "0,05", "TRUE"],
        ["", "1", "2026-01-01 00:00:00"],
        ["7901", "1e-05", 'a "b", c'],
        ["39", "0.3", "x"],
        ["1.23456789012346e+18", "2", "y"],
    ]


@given(st.decimals(min_value=0, max_value=999_999, places=8, allow_nan=False))
def test_a_price_of_a_carriers_deck_comes_out_of_a_workbook_exactly(price: Decimal) -> None:
    if len(price.normalize().as_tuple().digits) <= 15:  # what Excel itself keeps
        assert Decimal(number_text(float(price))) == price


def test_the_header_is_found_below_remarks_and_rows_have_the_numbers_that_excel_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_BYTES", 100)
    source = deck(tmp_path, [["Carrier X"], [], HEADER, *([n, 0.1, "x"] for n in range(4, 15))])
    numbered = [(piece.first + at, line) for piece in source.rows() for at, line in enumerate(piece.lines)]
    assert [(number, source.cells(line)[0]) for number, line in numbered] == [(n, str(n)) for n in range(4, 15)]
    assert source.layout.name(Column.DIRECTION) == "Name"
    assert [piece.read for piece in source.rows()][-1] == source.size


def test_the_first_sheet_is_read_or_the_one_that_is_asked_for(tmp_path: Path) -> None:
    assert rows_of(deck(tmp_path, [HEADER, [79, 0.1, "first"]], None, Rates=1, Old=1))[0][2] == "first"
    assert rows_of(deck(tmp_path, [["a cover"]], "Old", Rates=1, Old=1)) == [["44", "0.2", "Old"]]
    with pytest.raises(DeckFileError, match="no sheet 'New'; its sheets are: 'Sheet', 'Rates'"):
        deck(tmp_path, [["a cover"]], "New", Rates=1)
    with pytest.raises(DeckFileError, match="begins with: 'a cover'"):
        deck(tmp_path, [["a cover"]], "Sheet", Rates=1)


def test_behind_a_cover_the_first_sheet_with_a_header_is_read(tmp_path: Path) -> None:
    source = deck(tmp_path, [["a cover"]], None, Rates=1, Old=1)
    assert (source.sheet, rows_of(source)) == ("Rates", [["44", "0.2", "Rates"]])


def test_text_has_no_sheets(tmp_path: Path) -> None:
    (tmp_path / "deck.csv").write_text("prefix,price\n")
    with pytest.raises(DeckFileError, match="only a workbook has sheets"):
        open_deck(tmp_path / "deck.csv", sheet="Rates")


def test_a_workbook_cut_short_is_refused_in_words(tmp_path: Path) -> None:
    whole = deck(tmp_path, [HEADER, [79, 0.1, "x"]]).path.read_bytes()
    path = tmp_path / "cut.xlsx"
    for length in (10, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(DeckFileError, match="cannot be read as an Excel workbook"):
            open_deck(path)
