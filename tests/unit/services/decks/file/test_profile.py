"""What a carrier's columns are called, said once."""

from __future__ import annotations

from pathlib import Path

import pytest

from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.opening import open_deck
from rating_engine.services.decks.file.profile import load_profile, profile_path, propose_profile

SHIPPED = Path(__file__).parents[5] / "config" / "deck_profiles"


def write(directory: Path, text: str, name: str = "p.toml") -> Path:
    path = directory / name
    path.write_text(text, encoding="utf-8")
    return path


def test_with_a_profile_its_names_decide_and_no_other_column_is_looked_at(tmp_path: Path) -> None:
    profile = load_profile(
        write(tmp_path, 'price_unit = "interval"\n[columns]\nprefix = "Ziel"\nprice = "Neu"\nstatus = "zustand"\n')
    )
    deck = write(tmp_path, "remark\nPrefix;Price;Ziel;Zustand;Neu;Alt\n1;2;79;;3;4\n", "deck.csv")
    source = open_deck(deck, columns=profile.columns)
    assert dict(source.layout.positions) == {Column.PREFIX: 2, Column.PRICE: 4, Column.STATUS: 3}
    assert source.layout.ignored == ("Prefix", "Price", "Alt")
    assert (profile.price_unit, profile.sheet) == (PriceUnit.INTERVAL, None)


def test_a_profile_names_columns_of_dates_callers_and_bands(tmp_path: Path) -> None:
    text = '[columns]\nprefix = "A"\nprice_peak = "B"\nprice_off_peak = "C"\neffective_from = "D"\norigin = "E"\n'
    columns = load_profile(write(tmp_path, text)).columns
    source = open_deck(write(tmp_path, "A;B;C;D;E\n79;1;2;;\n", "deck.csv"), columns=columns)
    assert source.layout.ignored == ()
    assert source.layout.name(Column.PRICE_OFF_PEAK) == "C"


def test_a_file_without_a_column_of_the_profile_is_refused(tmp_path: Path) -> None:
    columns = {Column.PREFIX: "Ziel", Column.PRICE: "Neu"}
    with pytest.raises(DeckFileError, match="the profile wants 'Ziel', 'Neu'"):
        open_deck(write(tmp_path, "prefix,price\n79,1\n", "deck.csv"), columns=columns)
    with pytest.raises(DeckFileError, match="two columns are called Neu"):
        open_deck(write(tmp_path, "Ziel,Neu,Neu\n79,1,2\n", "deck.csv"), columns=columns)
    with pytest.raises(DeckFileError, match="lists rows that were rejected"):
        open_deck(write(tmp_path, "Ziel,Neu,rejected_line,rejected_reason\n", "deck.csv"), columns=columns)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[columns", "cannot be understood"),
        ("", "has no table"),
        ('x = 1\n[columns]\nprefix = "a"', "unknown: x"),
        ('[columns]\nprefix = "a"\nprise = "b"', "columns: unknown: prise"),
        ('[columns]\nprefix = "a"\nprice = 3', "price is not the name of a column"),
        ('[columns]\nprefix = "a"', "needs price, or price_1"),
        ('[columns]\nprice = "a"', "needs prefix, or country_code and area_code"),
        ('[columns]\ncountry_code = "c"\nprice = "a"', "needs prefix, or country_code and area_code"),
        ('[columns]\nprefix = "c"\nprice = "a"\nprice_1 = "b"', "needs price, or price_1"),
        ('[columns]\nprefix = "c"\nprice = "a"\nintervals = "b"\ninterval_1 = "d"', "not both"),
        ('[columns]\nprefix = "c"\nprice_peak = "a"\nprice_1 = "b"', "needs price, or price_1"),
        ('[columns]\nprefix = "c"\nprice_peak = "a"\nband = "b"', "needs band and one price, or a price for each"),
        ('price_unit = "hour"\n[columns]\nprefix = "c"\nprice = "a"', "neither interval nor minute"),
        ('sheet = 1\n[columns]\nprefix = "c"\nprice = "a"', "sheet is not a name"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DeckFileError, match=said):
        load_profile(write(tmp_path, text))


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeckFileError, match=r"none\.toml: No such file"):
        load_profile(profile_path("none", tmp_path))


@pytest.mark.parametrize(
    ("said", "path"), [("acme", "dir/acme.toml"), ("acme.toml", "acme.toml"), ("in/acme", "in/acme")]
)
def test_a_profile_is_named_or_a_file(said: str, path: str) -> None:
    assert profile_path(said, Path("dir")) == Path(path)


def test_the_profile_proposed_for_a_file_reads_it_as_without_a_profile(tmp_path: Path) -> None:
    deck = write(tmp_path, 'Carrier "X"\n\n"Code";Rate;"My ""own"" \\ name";Destination\n79;1;;a\n', "deck.csv")
    proposed = propose_profile(deck, None)
    profile = load_profile(write(tmp_path, proposed))
    assert open_deck(deck, columns=profile.columns).layout == open_deck(deck).layout
    assert '# "My \\"own\\" \\\\ name"' in proposed


def test_the_profile_proposed_for_columns_that_nobody_knows_asks_for_them(tmp_path: Path) -> None:
    deck = write(tmp_path, "Ziel;Neu\n79;1\n", "deck.csv")
    proposed = propose_profile(deck, None)
    assert '# "Ziel"\n# "Neu"' in proposed
    with pytest.raises(DeckFileError, match="prefix is not the name of a column"):
        load_profile(write(tmp_path, proposed))


def test_a_file_without_column_names_gives_no_profile(tmp_path: Path) -> None:
    with pytest.raises(DeckFileError, match="no row of column names"):
        propose_profile(write(tmp_path, "\n\n", "deck.csv"), None)


def test_the_profile_that_comes_with_the_engine_can_be_used() -> None:
    assert load_profile(profile_path("example", SHIPPED)).columns[Column.PREFIX] == "Dial Code"


def test_a_profile_longer_than_any_is_refused_and_not_cut(tmp_path: Path) -> None:
    path = write(tmp_path, '[columns]\nprefix = "A"\nprice = "B"\n' + "# more\n" * 10_000)
    with pytest.raises(DeckFileError, match="has more than 65,536 bytes"):
        load_profile(path)
