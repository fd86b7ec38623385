"""Bytes as carriers send them become numbered lines and cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.services.decks.file import limits
from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.source import DeckSource


def deck(directory: Path, content: bytes) -> DeckSource:
    path = directory / "deck.csv"
    path.write_bytes(content)
    return open_deck(path)


def rows_of(source: DeckSource) -> list[list[str]]:
    return [source.cells(line) for piece in source.rows() for line in piece.lines if line]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"prefix,price\n79,0.1\n", id="commas and LF"),
        pytest.param(b"prefix;price\r\n79;0.1\r\n", id="semicolons and CRLF"),
        pytest.param(b"prefix\tprice\r79\t0.1\r", id="tabs and CR"),
        pytest.param(b"prefix|price\n79|0.1", id="bars, and no end of the last line"),
        pytest.param(b"\xef\xbb\xbfprefix,price\n79,0.1\n", id="UTF-8 with a byte order mark"),
        pytest.param("prefix\tprice\r\n79\t0.1\r\n".encode("utf-16"), id="UTF-16, Excel's Unicode text"),
        pytest.param(b'"prefix","price"\n"79","0.1"\n', id="everything in quotes"),
        pytest.param(b"sep=;\r\nprefix;price\r\n79;0.1\r\n", id="Excel's word for the delimiter"),
        pytest.param(b"Carrier X, rates\n,\n\nprefix,price\n79,0.1\n", id="lines above the header"),
    ],
)
def test_the_same_deck_is_read_from_every_dialect(tmp_path: Path, content: bytes) -> None:
    assert rows_of(deck(tmp_path, content)) == [["79", "0.1"]]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        pytest.param("prefix,price,name\n225,0.1,Côte d’Ivoire\n".encode(), "Côte d’Ivoire", id="UTF-8"),
        pytest.param("prefix,price,name\n225,0.1,Côte d'Ivoire\n".encode("latin-1"), "Côte d'Ivoire", id="Latin-1"),
        pytest.param(b"prefix,price,name\n225,0.1,C\xf4te d\x92Ivoire\n", "Côte d’Ivoire", id="Windows-1252"),
    ],
)
def test_names_keep_their_letters(tmp_path: Path, content: bytes, name: str) -> None:
    assert rows_of(deck(tmp_path, content))[0][2] == name


def test_a_name_that_is_utf8_but_for_one_byte_at_the_end_of_a_long_file_is_still_read(tmp_path: Path) -> None:
    rows = b"".join(b"%d,0.1,x\n" % number for number in range(100_000, 140_000))
    assert rows_of(deck(tmp_path, b"prefix,price,name\n" + rows + b"9,0.1,\xe9\n"))[-1] == ["9", "0.1", "é"]


def test_a_delimiter_and_doubled_quotes_inside_quotes_belong_to_the_cell(tmp_path: Path) -> None:
    source = deck(tmp_path, b'prefix,price,name\n79,0.1,"Russia, ""mobile"""\n')
    assert rows_of(source) == [["79", "0.1", 'Russia, "mobile"']]


@pytest.mark.parametrize("line", ['"Russia,79,0.1', '"Russia"x,79,0.1'])
def test_a_row_whose_quotes_do_not_pair_is_rejected_alone(tmp_path: Path, line: str) -> None:
    source = deck(tmp_path, b"name,prefix,price\n" + line.encode() + b'\n"Germany",49,0.1\n')
    bad, good = (line for piece in source.rows() for line in piece.lines)
    with pytest.raises(RowRejected, match="quote"):
        source.cells(bad)
    assert source.cells(good) == ["Germany", "49", "0.1"]


def test_lines_are_numbered_as_an_editor_numbers_them_across_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PIECE_BYTES", 7)  # pieces end inside lines and between CR and LF
    lines = ["remark", "prefix,price", *(f"{number},0.1" for number in range(3, 40))]
    source = deck(tmp_path, "\r\n".join([*lines, ""]).encode())
    numbered = [(piece.first + offset, line) for piece in source.rows() for offset, line in enumerate(piece.lines)]
    assert numbered == [(number, f"{number},0.1") for number in range(3, 40)]


def test_bytes_read_grow_to_the_size_of_the_file(tmp_path: Path) -> None:
    source = deck(tmp_path, b"prefix,price\n79,0.1\n")
    assert [piece.read for piece in source.rows()][-1] == source.size


def test_the_delimiter_is_the_one_under_which_most_columns_are_understood(tmp_path: Path) -> None:
    source = deck(tmp_path, b"prefix,price;direction;price;prefix\n")
    assert source.delimiter == ";"
    assert source.layout.positions[Column.PREFIX] == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "The file is empty", id="empty"),
        pytest.param(b"79,0.1\n44,0.2\n", "begins with: '79,0.1'", id="no header"),
        pytest.param(b"PK\x03\x04 zip", "cannot be read as an Excel workbook", id="a damaged XLSX"),
        pytest.param(b"\xd0\xcf\x11\xe0 ole", "Excel workbook of the old kind", id="XLS"),
        pytest.param(b"x" * 400_000, "longer than", id="a line without end"),
    ],
)
def test_a_file_that_is_no_deck_is_refused_in_words(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(DeckFileError, match=said):
        deck(tmp_path, content)


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DeckFileError, match=r"missing\.csv: there is no such file"):
        open_deck(tmp_path / "missing.csv")


def test_a_directory_is_no_deck(tmp_path: Path) -> None:
    with pytest.raises(DeckFileError, match="no such file"):
        open_deck(tmp_path)
