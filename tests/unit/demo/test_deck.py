"""demo_deck: real prefixes, the same every time, in the shape that `rates import` takes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from rating_engine.demo.deck import write_demo_deck
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.rows import DeckTerms, RowChecker


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "demo.csv"
    write_demo_deck(path)
    return path


@pytest.fixture(scope="module")
def directions(demo: Path) -> dict[str, str]:
    with demo.open(encoding="utf-8", newline="") as file:
        return {row["prefix"]: row["direction"] for row in csv.DictReader(file)}


def test_the_demo_deck_has_at_least_twenty_thousand_prefixes_and_none_twice(
    demo: Path, directions: dict[str, str]
) -> None:
    rows = len(demo.read_text(encoding="utf-8").splitlines()) - 1
    assert len(directions) == rows >= 20_000


def test_the_import_takes_every_row_of_it(demo: Path) -> None:
    source = open_deck(demo)
    checker = RowChecker(source.layout, DeckTerms("EUR", PriceUnit.MINUTE, decimal_comma=False))
    checked = [checker.check(source.cells(line)) for piece in source.rows() for line in piece.lines]
    assert len(checked) >= 20_000


@pytest.mark.parametrize(
    ("prefix", "direction"),
    [
        ("7", "Russia"),
        ("79020", "RussiaMobile-T2"),
        ("77", "Kazakhstan"),
        ("1242", "Bahamas"),
        ("1416", "Canada-Ontario"),
        ("1212", "UnitedStates-NewYork"),
        ("44", "UnitedKingdom"),
    ],
)
def test_prefixes_have_the_names_they_have_in_the_world(
    directions: dict[str, str], prefix: str, direction: str
) -> None:
    assert directions[prefix] == direction


def test_names_are_one_word(directions: dict[str, str]) -> None:
    assert not [name for name in directions.values() if not name.replace("-", "").isalnum() or not name.isascii()]


def test_it_is_the_same_every_time(demo: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.csv"
    write_demo_deck(again)
    assert again.read_bytes() == demo.read_bytes()
