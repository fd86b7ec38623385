"""FILE.rejected.csv."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.rejects import RejectedRows, rejected_path
from rating_engine.services.decks.file.source import DeckSource


def deck(directory: Path) -> DeckSource:
    path = directory / "deck.csv"
    path.write_text("prefix;price;name\n", encoding="utf-8")
    return open_deck(path)


def test_a_rejected_row_stands_as_it_was_with_its_line_and_the_reason(tmp_path: Path) -> None:
    source = deck(tmp_path)
    with RejectedRows(source) as rejects:
        rejects.add(7, ["7x", "0,1", 'a "name"; quoted'], "prefix: '7x' is not a prefix of digits")
    with (tmp_path / "deck.rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file, delimiter=";")) == [
            ["prefix", "price", "name", "rejected_line", "rejected_reason"],
            ["7x", "0,1", 'a "name"; quoted', "7", "prefix: '7x' is not a prefix of digits"],
        ]
    assert rejects.count == 1


def test_cells_beyond_the_header_come_after_the_reason(tmp_path: Path) -> None:
    with RejectedRows(deck(tmp_path)) as rejects:
        rejects.add(2, ["79", "0", "05", "Russia"], "too many")
        rejects.add(3, ["79"], "too few")
    lines = rejects.path.read_text(encoding="utf-8-sig").splitlines()
    assert lines[1:] == ["79;0;05;2;too many;Russia", "79;;;3;too few"]


def test_without_rejected_rows_there_is_no_file_and_an_earlier_one_is_gone(tmp_path: Path) -> None:
    source = deck(tmp_path)
    (tmp_path / "deck.rejected.csv").write_text("of an earlier import", encoding="utf-8")
    with RejectedRows(source):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["deck.csv"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("deck.csv", "deck.rejected.csv"), ("deck", "deck.rejected.csv"), ("a.b.txt", "a.b.rejected.csv")],
)
def test_rejected_rows_go_beside_the_deck(name: str, expected: str) -> None:
    assert rejected_path(Path("in") / name) == Path("in") / expected


def test_a_reject_that_cannot_be_written_stops_the_import(tmp_path: Path) -> None:
    source = deck(tmp_path)
    with RejectedRows(source) as rejects:
        (tmp_path / "deck.rejected.csv").mkdir()
        with pytest.raises(DeckFileError, match=r"cannot write .*deck\.rejected\.csv"):
            rejects.add(2, ["7x"], "bad")
