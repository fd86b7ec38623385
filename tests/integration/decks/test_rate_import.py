"""What a file becomes, what is rejected, what is refused."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from rating_engine.demo.deck import write_demo_deck
from rating_engine.domain.deck import TariffLine
from rating_engine.domain.errors import InvalidRequest, Unavailable
from rating_engine.domain.page import Cursor
from rating_engine.rating.rate import PriceUnit, Rate
from rating_engine.services.decks.file import reading, repeats
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.importing import DeckFileOptions, EmptyDeck, Phase, Progress, import_deck
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks import deck_removal
from rating_engine.storage.decks.deck_versions import every_version
from rating_engine.storage.decks.rate_decks import list_decks
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import load_named_tariff
from tests.support.decks import make_tariff, match_now, replace_deck, write_deck


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


async def rates_of(database: Database, tariff: str) -> dict[str, tuple[str, Decimal]]:
    """Direction and price by prefix of the published deck."""
    rows = await database.fetch(
        """SELECT r.prefix, r.direction, r.price_1 FROM rates r
           JOIN tariffs t ON r.deck_id = deck_at(t.tariff_id, now())
           WHERE t.name = $1 ORDER BY r.prefix""",
        tariff,
    )
    return {row["prefix"]: (row["direction"], row["price_1"]) for row in rows}


async def rate_of(database: Database, tariff: str, number: str) -> Rate:
    found = await load_named_tariff(database, tariff)
    assert found is not None
    match = await match_now(RateDecks(database), found.tariff_id, number)
    assert match is not None
    return match.rate


def rejected(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))[1:]


async def test_a_deck_becomes_the_rates_of_a_new_tariff(database: Database, database_url: str, tmp_path: Path) -> None:
    path = write_deck(tmp_path, ["79,RussiaMobile,0.10", "44,UnitedKingdom,0.02"])
    report = await import_deck(database_url, path, "retail", currency="USD")
    assert await rates_of(database, "retail") == {
        "44": ("UnitedKingdom", Decimal("0.02")),
        "79": ("RussiaMobile", Decimal("0.10")),
    }
    assert (report.taken, report.rejected, report.repeated, report.directions) == (2, 0, 0, 2)
    assert (report.tariff_created, report.currency, report.version) == (True, "USD", 1)
    assert report.rejected_file is None
    assert not (tmp_path / "deck.rejected.csv").exists()
    tariff = await load_named_tariff(database, "retail")
    assert tariff is not None
    assert (tariff.currency, tariff.decks[0].longest_prefix) == ("USD", 2)


async def test_every_column_of_the_file_is_in_the_rate(database: Database, database_url: str, tmp_path: Path) -> None:
    header = "prefix,price_1,price_n,price_unit,interval_1,interval_n,connect_fee,free_seconds,grace_period"
    path = write_deck(tmp_path, ["79,0.5,0.25,interval,60,6,0.01,5,3,0.02"], header + ",postcall_surcharge")
    await import_deck(database_url, path, "retail")
    assert await rate_of(database, "retail", "7901") == Rate(
        price_1="0.5",
        price_n="0.25",
        price_unit="interval",
        interval_1=60,
        interval_n=6,
        connect_fee="0.01",
        free_seconds=5,
        grace_period=3,
        postcall_surcharge="0.02",
    )


@pytest.mark.parametrize(
    ("header", "row", "said", "expected"),
    [
        pytest.param("prefix,price", "79,0.6", None, PriceUnit.MINUTE, id="a price alone is per minute"),
        pytest.param("prefix,price_1", "79,0.6", None, PriceUnit.INTERVAL, id="price_1 is per interval"),
        pytest.param("prefix,price_1", "79,0.6", PriceUnit.MINUTE, PriceUnit.MINUTE, id="unless the user says"),
        pytest.param("prefix,price_1,price_unit", "79,0.6,minute", None, PriceUnit.MINUTE, id="or the row does"),
        pytest.param(
            "prefix,price,price_unit", "79,0.6,interval", PriceUnit.MINUTE, PriceUnit.INTERVAL, id="which wins"
        ),
    ],
)
async def test_what_prices_are_for(
    database: Database,
    database_url: str,
    tmp_path: Path,
    header: str,
    row: str,
    said: PriceUnit | None,
    expected: PriceUnit,
) -> None:
    await import_deck(
        database_url, write_deck(tmp_path, [row], header), "retail", options=DeckFileOptions(price_unit=said)
    )
    assert (await rate_of(database, "retail", "7901")).price_unit is expected


async def test_directions_are_added_once_and_those_there_are_left_alone(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await database.fetch("INSERT INTO directions VALUES ('Known', 'A Better Name', 5, 9)")
    await import_deck(database_url, write_deck(tmp_path, ["79,Known,1", "44,New,1", "45,New,1", "1,,1"]), "retail")
    rows = await database.fetch("SELECT code, name, min_len FROM directions ORDER BY code")
    assert [tuple(row) for row in rows] == [("Known", "A Better Name", 5), ("New", "New", None)]


async def test_names_with_what_copy_treats_specially_arrive_as_they_are(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    names = ["back\\slash", "\\N", "\\.", 'quo"te', "tab\there", "комма, и «кавычки»"]
    path = tmp_path / "deck.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["prefix", "name", "price"], *([n, name, 1] for n, name in enumerate(names, 1))])
    await import_deck(database_url, path, "retail")
    assert [direction for direction, _ in (await rates_of(database, "retail")).values()] == names


async def test_bad_rows_go_to_the_rejected_file_and_the_others_are_published(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    path = write_deck(tmp_path, ["79,Russia,0.10", "7x,Bad,0.10", "", "44,NoPrice,", '"44,Quote,1', "49,Germany,0.02"])
    report = await import_deck(database_url, path, "retail")
    assert list(await rates_of(database, "retail")) == ["44", "49", "79"]  # 44 is blocked until its price is known
    assert report.rejected_file == tmp_path / "deck.rejected.csv"
    assert (report.taken, report.rejected, report.blocked_instead) == (3, 3, 1)
    assert rejected(report.rejected_file) == [
        ["7x", "Bad", "0.10", "3", "prefix: '7x' is not a prefix of digits"],
        ["44", "NoPrice", "", "5", "price: is empty (blocked until it is mended)"],
        ['"44', "Quote", "1", "6", "a quote is not closed on its line, or stands inside a cell without being doubled"],
    ]


@pytest.fixture(params=[1, repeats.MIN_SLOTS], ids=["every row suspected", "few rows suspected"])
def slots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows come by way of the staging table; what is published does not depend on it."""
    monkeypatch.setattr(repeats, "MIN_SLOTS", request.param)
    monkeypatch.setattr(repeats, "MAX_SLOTS", request.param)


@pytest.mark.usefixtures("slots")
async def test_of_a_prefix_said_twice_the_first_row_counts(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = ["79,Russia,0.10", "44,UK,0.02", "79,Russia,0.100", "+79,Russia,0.11", "44,Britain,0.02", "79,Russia,0.1"]
    report = await import_deck(database_url, write_deck(tmp_path, rows), "retail")
    assert await rates_of(database, "retail") == {"44": ("UK", Decimal("0.02")), "79": ("Russia", Decimal("0.10"))}
    assert (report.taken, report.repeated, report.rejected) == (2, 2, 2)
    assert report.rejected_file is not None
    assert rejected(report.rejected_file) == [
        ["+79", "Russia", "0.11", "5", "the prefix stands in line 2 already, with other terms"],
        ["44", "Britain", "0.02", "6", "the prefix stands in line 3 already, with other terms"],
    ]


@pytest.mark.usefixtures("slots")
async def test_contradicting_rows_are_found_however_many_there_are(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = [f"{prefix},X,{price}" for price in ("0.1", "0.2") for prefix in range(10_000, 13_000)]
    report = await import_deck(database_url, write_deck(tmp_path, rows), "retail")
    assert (report.taken, report.rejected) == (3_000, 3_000)
    assert report.rejected_file is not None
    lines = rejected(report.rejected_file)
    assert [int(line[3]) for line in lines] == list(range(3_002, 6_002))
    assert all(line[4].startswith(f"the prefix stands in line {int(line[3]) - 3_000} ") for line in lines)


@pytest.mark.usefixtures("slots")
async def test_the_codes_of_a_row_are_rates_of_their_own_and_only_those_said_before_are_refused(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = ['"7901-7903, 7905",A,0.1', '"7903,7904",A,0.2', '"7901;7905",A,0.1', '"7902,7901",A,0.3', "7902-7903,A,0.1"]
    report = await import_deck(database_url, write_deck(tmp_path, rows, "prefix,direction,price"), "retail")
    prices = {prefix: str(price.normalize()) for prefix, (_, price) in (await rates_of(database, "retail")).items()}
    assert prices == {"7901": "0.1", "7902": "0.1", "7903": "0.1", "7904": "0.2", "7905": "0.1"}
    assert (report.taken, report.repeated, report.rejected) == (5, 4, 2)
    assert report.rejected_file is not None
    assert [(row[3], row[4]) for row in rejected(report.rejected_file)] == [
        (
            "3",
            "1 of its 2 codes stand in earlier lines with other terms, such as 7903 in line 2;"
            " its other codes were taken",
        ),
        ("5", "2 of its 2 codes stand in earlier lines with other terms, such as 7901 in line 2"),
    ]


async def test_a_deck_of_ranges_goes_to_the_database_in_portions(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "RATES_AT_ONCE", 100)
    path = write_deck(tmp_path, ["7000-7999,X,1", "91000-91449,X,1", "98,X,1"])
    report = await import_deck(database_url, path, "retail")
    assert len(await rates_of(database, "retail")) == report.taken == 1_451


async def test_ranges_that_make_more_rates_than_a_deck_may_have_are_refused(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_RATES", 1_000)
    with pytest.raises(DeckFileError, match="more than 1,000 rates"):
        await import_deck(database_url, write_deck(tmp_path, ["7000-7999,X,1", "8,X,1"]), "retail")
    assert (await list_decks(database, Cursor())).items == ()


async def test_a_blocked_prefix_has_no_rate_even_where_a_shorter_one_has(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    path = write_deck(tmp_path, ["53,Cuba,0.7", "535,Cuba Mobile,blocked", "53512,Cuba Special,0.9"])
    assert (await import_deck(database_url, path, "retail")).taken == 3
    tariff = await load_named_tariff(database, "retail")
    assert tariff is not None
    decks = RateDecks(database)
    for _ in ("from PostgreSQL", "from memory"):
        found = {
            number: await match_now(decks, tariff.tariff_id, number) for number in ("5371", "5351", "53512", "5352")
        }
        assert {number: match and match.prefix for number, match in found.items()} == {
            "5371": "53",
            "5351": None,
            "53512": "53512",
            "5352": None,
        }


@pytest.mark.usefixtures("slots")
async def test_rows_that_only_share_a_slot_are_all_taken(database: Database, database_url: str, tmp_path: Path) -> None:
    prefixes = [str(number) for number in range(1_000, 3_000)]
    report = await import_deck(database_url, write_deck(tmp_path, [f"{prefix},X,1" for prefix in prefixes]), "retail")
    assert list(await rates_of(database, "retail")) == prefixes
    assert (report.taken, report.rejected, report.repeated, report.directions) == (2_000, 0, 0, 1)


async def test_a_file_of_many_pieces_is_taken_whole(database: Database, database_url: str, tmp_path: Path) -> None:
    prefixes = [str(number) for number in range(100_000, 130_000)]
    seen: list[Progress] = []
    path = write_deck(tmp_path, [f"{prefix},Somewhere,0.1" for prefix in prefixes])
    await import_deck(database_url, path, "retail", on_progress=seen.append)
    assert list(await rates_of(database, "retail")) == prefixes
    reading = [progress.read for progress in seen if progress.phase is Phase.READING]
    assert len(reading) > 2
    assert reading == sorted(reading)
    assert reading[-1] == seen[-1].size == path.stat().st_size
    assert seen[-1] == Progress(Phase.PUBLISHING, seen[-1].size, seen[-1].size, len(prefixes), 0)


async def test_a_workbook_becomes_the_rates_of_a_tariff_and_its_rejected_rows_a_csv_file(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    book = openpyxl.Workbook()
    book.active.append(["a cover"])
    sheet = book.create_sheet("Rates")
    for row in (
        ["Carrier X, rates"],
        ["Destination", "Code", "Rate", "Increments"],
        ["Russia", "7901-7902, 7904", 0.145, "60/1"],
        ["Germany", 49, "0,008", "1/1"],
        ["Nowhere", "7x", 1, "1/1"],
        ["Germany, dearer", 49, 0.01, "1/1"],
    ):
        sheet.append(row)
    book.save(tmp_path / "deck.xlsx")
    report = await import_deck(database_url, tmp_path / "deck.xlsx", "retail", options=DeckFileOptions(sheet="Rates"))
    assert await rates_of(database, "retail") == {
        "49": ("Germany", Decimal("0.008")),
        **dict.fromkeys(("7901", "7902", "7904"), ("Russia", Decimal("0.145"))),
    }
    assert report.rejected_file == tmp_path / "deck.rejected.csv"
    assert rejected(report.rejected_file) == [
        ["Nowhere", "7x", "1", "1/1", "5", "Code: '7x' is not a prefix of digits"],
        ["Germany, dearer", "49", "0.01", "1/1", "6", "the prefix stands in line 4 already, with other terms"],
    ]


async def test_the_demo_deck_is_taken_without_a_reject(database: Database, database_url: str, tmp_path: Path) -> None:
    rows = write_demo_deck(tmp_path / "demo.csv")
    report = await import_deck(database_url, tmp_path / "demo.csv", "demo")
    assert (report.taken, report.rejected, report.repeated) == (rows, 0, 0)


@pytest.mark.parametrize(
    ("rows", "said"),
    [([], "the file has no rows"), (["7x,Bad,1", "8y,Bad,1"], r"all 2 rows were rejected, see .*deck\.rejected\.csv")],
)
async def test_an_empty_deck_is_never_published(
    database: Database, database_url: str, tmp_path: Path, rows: list[str], said: str
) -> None:
    await replace_deck(database, await make_tariff(database), {"79": "0.5"})
    with pytest.raises(EmptyDeck, match=said):
        await import_deck(database_url, write_deck(tmp_path, rows), "retail")
    assert await rates_of(database, "retail") == {"79": ("somewhere", Decimal("0.5"))}


async def test_an_empty_deck_makes_no_tariff(database: Database, database_url: str, tmp_path: Path) -> None:
    with pytest.raises(EmptyDeck):
        await import_deck(database_url, write_deck(tmp_path, []), "retail")
    assert (await list_decks(database, Cursor())).items == ()


async def test_another_currency_than_the_tariffs_is_refused(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await replace_deck(database, await make_tariff(database), {"79": "0.5"})
    with pytest.raises(InvalidRequest, match="currency: the tariff retail is in EUR, not in USD"):
        await import_deck(database_url, write_deck(tmp_path, ["79,Russia,1"]), "retail", currency="USD")
    assert await rates_of(database, "retail") == {"79": ("somewhere", Decimal("0.5"))}


async def test_without_a_currency_the_tariff_keeps_its_own(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await make_tariff(database, currency="PLN")
    report = await import_deck(database_url, write_deck(tmp_path, ["79,Russia,1"]), "retail")
    assert (report.currency, report.tariff_created) == ("PLN", False)


@pytest.mark.parametrize(("currency", "ends_well"), [("USD", True), ("EUR", False), (None, False)])
async def test_a_price_column_that_names_a_currency_must_agree_with_the_tariff(
    database: Database, database_url: str, tmp_path: Path, currency: str | None, ends_well: bool
) -> None:
    path = write_deck(tmp_path, ["79,1"], "prefix,rate (USD)")
    if ends_well:
        assert (await import_deck(database_url, path, "retail", currency=currency)).currency == "USD"
    else:
        with pytest.raises(InvalidRequest, match=r"is in USD, the tariff retail is in EUR: name USD as its currency"):
            await import_deck(database_url, path, "retail", currency=currency)


@pytest.mark.parametrize(("tariff", "currency"), [("", None), (" ", None), ("x" * 101, None), ("retail", "euro")])
async def test_a_bad_name_or_currency_is_refused_before_anything_is_read(tariff: str, currency: str | None) -> None:
    with pytest.raises(InvalidRequest):
        await import_deck("postgresql://nowhere", Path("no such file"), tariff, currency=currency)


async def test_a_file_that_is_no_deck_leaves_everything_as_it_was(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(DeckFileError, match="no header"):
        await import_deck(database_url, write_deck(tmp_path, ["79,1"], header="a,b"), "retail")
    assert (await list_decks(database, Cursor())).items == ()


async def test_a_database_without_the_schema_is_named(empty_database_url: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="the schema is missing or old"):
        await import_deck(empty_database_url, write_deck(tmp_path, ["79,X,1"]), "retail")


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="PostgreSQL"):
        await import_deck("postgresql://x@127.0.0.1:1/x", write_deck(tmp_path, ["79,X,1"]), "retail")


async def test_replaced_decks_stay_up_to_a_limit(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_removal, "STILL_ASKED", timedelta(0))
    monkeypatch.setattr(deck_removal, "KEPT_DECKS", 2)
    monkeypatch.setattr(deck_removal, "REMOVAL_BATCH", 2)  # several batches a deck
    path = write_deck(tmp_path, [f"{prefix},X,1" for prefix in range(1, 6)])
    for _ in range(5):
        report = await import_deck(database_url, path, "retail")
    kept = [(version.version, version.state) for version in await every_version(database, "retail")]
    assert kept == [(5, "in force"), (4, "replaced"), (3, "replaced")]
    assert await database.fetchval("SELECT count(DISTINCT deck_id) FROM rates") == 3
    assert report.version == 5


async def test_decks_of_other_tariffs_are_not_removed(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_removal, "STILL_ASKED", timedelta(0))
    monkeypatch.setattr(deck_removal, "KEPT_DECKS", 0)
    path = write_deck(tmp_path, ["79,X,1"])
    for tariff in ("other", "retail", "retail"):
        await import_deck(database_url, path, tariff)
    rows = await database.fetch(
        "SELECT t.name, d.version FROM rate_decks d JOIN tariffs t USING (tariff_id) ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("other", 1), ("retail", 2)]


async def test_tariffs_are_listed_with_their_deck(database: Database, database_url: str, tmp_path: Path) -> None:
    await make_tariff(database, "empty")
    await import_deck(database_url, write_deck(tmp_path, ["79,X,1", "7901,X,1"]), "retail")
    empty, retail = (await list_decks(database, Cursor())).items
    assert empty == TariffLine("empty", "EUR", None, None, None, None)
    assert (retail.name, retail.version, retail.rates, retail.longest_prefix) == ("retail", 1, 2, 4)
    assert retail.published_at is not None
