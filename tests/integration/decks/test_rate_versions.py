"""Versions of a deck: taken back, exported, looked up, compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.services.decks.export import export_deck
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.importing import DeckFileOptions, compare_file, import_deck
from rating_engine.services.decks.versions import DeckDifference, Kind, compare_versions, history, roll_back
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks import deck_versions as store
from rating_engine.storage.decks.deck_columns import ROW
from rating_engine.storage.decks.deck_versions import every_version
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import (
    BLOCKED,
    DeckRow,
    give_bands,
    make_tariff,
    match_now,
    publish_rows,
    replace_deck,
    write_deck,
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


async def rows_of(database: Database, version: int) -> list[tuple[object, ...]]:
    """Every rate of a version with all its terms."""
    columns = ", ".join(f"rates.{name}" for name in ROW)
    rows = await database.fetch(
        f"SELECT {columns} FROM rates JOIN rate_decks USING (deck_id) WHERE version = $1 ORDER BY 1, 2, 3, 4", version
    )
    return [tuple(row) for row in rows]


def names_in(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


async def price_of(database: Database, tariff_id: int, number: str) -> Decimal | None:
    match = await match_now(RateDecks(database), tariff_id, number)
    return None if match is None else match.rate.price_1


async def versions_of(database: Database) -> list[tuple[int, str]]:
    return [(version.version, version.state) for version in await every_version(database, "retail")]


async def publish(database_url: str, directory: Path, *prices: str) -> None:
    """A version of the tariff retail for each price of 79."""
    for price in prices:
        await import_deck(database_url, write_deck(directory, [f"79,Russia,{price}"]), "retail")


async def test_a_rollback_publishes_the_version_before_again_as_a_new_one(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1", "0.2", "0.3")
    tariff_id = await database.fetchval("SELECT tariff_id FROM tariffs")
    old, published = await roll_back(database_url, "retail", None)
    assert (old.version, published.version) == (2, 4)
    assert await price_of(database, tariff_id, "7901") == Decimal("0.2")
    assert await rows_of(database, 4) == await rows_of(database, 2)
    assert await versions_of(database) == [(4, "in force"), (3, "replaced"), (2, "replaced"), (1, "replaced")]
    assert (await roll_back(database_url, "retail", 1))[1].version == 5
    assert await price_of(database, tariff_id, "7901") == Decimal("0.1")


@pytest.mark.breaks_books  # the rates of version 1 are removed by hand
async def test_a_rollback_that_cannot_be_says_why_and_changes_nothing(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="there is no tariff retail"):
        await roll_back(database_url, "retail", None)
    await publish(database_url, tmp_path, "0.1")
    with pytest.raises(NotFound, match="has no version before 1"):
        await roll_back(database_url, "retail", None)
    with pytest.raises(NotFound, match="has no version 7 any more; kept are: 1"):
        await roll_back(database_url, "retail", 7)
    with pytest.raises(InvalidRequest, match="version 1 is the one in force"):
        await roll_back(database_url, "retail", 1)
    await publish(database_url, tmp_path, "0.2")
    await database.fetch("DELETE FROM rates USING rate_decks d WHERE d.deck_id = rates.deck_id AND d.version = 1")
    with pytest.raises(NotFound, match="version 1 of retail was removed meanwhile"):
        await roll_back(database_url, "retail", 1)
    assert await versions_of(database) == [(2, "in force"), (1, "replaced")]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
async def test_what_is_exported_imports_again_unchanged(
    database: Database, database_url: str, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CURSOR_ROWS", 2)
    header = "prefix,direction,price_1,price_n,price_unit,interval_1,interval_n,connect_fee,free_seconds,grace_period"
    rows = [
        '0079,"Россия, ""моб""; x",0.12345678,0.1,minute,60,1,0.5,3,2,0.00000001,no',
        "7,=1+1,9999999999.99999999,0,interval,1,1,0,0,0,0,",
        "44,back\\slash 'a,0,0,minute,1,1,0,0,0,0,no",
        "445,Blocked,,,minute,1,1,0,0,0,0,yes",
        "4455,,1,1,minute,1,1,0,0,0,0,no",
    ]
    deck = write_deck(tmp_path, rows, header + ",postcall_surcharge,blocked")
    await import_deck(database_url, deck, "retail", currency="USD")
    path = tmp_path / f"exported.{suffix}"
    assert (await export_deck(database, "retail", None, path)).rates == 5
    report = await import_deck(database_url, path, "retail")
    assert (report.taken, report.rejected, report.ignored_columns, report.currency) == (5, 0, (), "USD")
    assert await rows_of(database, 2) == await rows_of(database, 1)
    assert names_in(tmp_path) == ["deck.csv", path.name]


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
async def test_dates_callers_bands_and_extras_are_exported_and_import_again_unchanged(
    database: Database, database_url: str, tmp_path: Path, suffix: str
) -> None:
    tariff_id = await make_tariff(database)
    await give_bands(database, tariff_id, "peak", "off-peak")
    await database.fetch("UPDATE tariffs SET time_zone = 'America/New_York' WHERE tariff_id = $1", tariff_id)
    header = "prefix,price,origin,band,effective_from,effective_to,minimum_charge,extras,status"
    rows = [
        "79,0.1,,,,,0.05,,",
        '79,0.1,,peak,,,,"{""surcharge_after"":60,""tiers"":[{""seconds"":60,""price"":""0.5""}]}",',
        "79,0.2,,,2199-11-03 00:30,2199-11-03T01:30:00.123456-04:00,,,",
        "79,0.3,49,off-peak,2020-01-01,9999-12-31 23:59:59,,,",
        "79,0.3,4915,,,2199-07-01,,,",
        "7901,,,peak,2199-01-01,,,,blocked",
    ]
    report = await import_deck(database_url, write_deck(tmp_path, rows, header), "retail")
    assert (report.taken, report.rejected) == (6, 0)
    path = tmp_path / f"exported.{suffix}"
    await export_deck(database, "retail", None, path)
    report = await import_deck(
        database_url, path, "retail", options=DeckFileOptions(time_zone="Asia/Tokyo"), currency="EUR"
    )
    assert (report.taken, report.rejected, report.ignored_columns) == (6, 0, ())
    assert await rows_of(database, 2) == await rows_of(database, 1)
    for at in (None, datetime(2199, 11, 3, 0, 45, tzinfo=UTC), datetime(2199, 8, 1, tzinfo=UTC)):
        _, _, found = await compare_versions(database, "retail", 1, 2, at=at, shown=1, by_percent=True)
        assert set(found.counts.values()) == {0}


async def test_a_deck_of_text_shows_its_dates_in_the_tariffs_time(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    tariff_id = await make_tariff(database)
    await database.fetch("UPDATE tariffs SET time_zone = 'Europe/Moscow' WHERE tariff_id = $1", tariff_id)
    deck = write_deck(tmp_path, ["79,0.1,", "79,0.2,2199-01-01"], "prefix,price,effective from")
    await import_deck(database_url, deck, "retail")
    await export_deck(database, "retail", None, tmp_path / "out.csv")
    assert "79,,,2199-01-01T00:00:00+03:00,,,0.2,0.2" in (tmp_path / "out.csv").read_text(encoding="utf-8-sig")


@pytest.mark.breaks_books  # all rates are removed by hand
async def test_an_earlier_version_is_exported_by_its_number_and_half_a_file_is_never_left(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1", "0.2")
    path = tmp_path / "old.csv"
    assert (await export_deck(database, "retail", 1, path)).version == 1
    assert "79,,,,,Russia,0.1,0.1,minute" in path.read_text(encoding="utf-8-sig")
    before = path.read_bytes()
    await database.fetch("DELETE FROM rates")
    with pytest.raises(NotFound, match="removed meanwhile"):
        await export_deck(database, "retail", 1, path)
    with pytest.raises(InvalidRequest, match=r"ends in neither \.csv nor \.xlsx"):
        await export_deck(database, "retail", 1, tmp_path / "old.txt")
    with pytest.raises(DeckFileError, match="cannot write"):
        await export_deck(database, "retail", 1, tmp_path / "none" / "old.csv")
    assert path.read_bytes() == before
    assert names_in(tmp_path) == ["deck.csv", "old.csv"]


async def test_the_history_of_a_prefix_says_what_a_call_matched_in_each_version(database: Database) -> None:
    tariff_id = await make_tariff(database)
    await replace_deck(database, tariff_id, {"7": "0.1"})
    await replace_deck(database, tariff_id, {"7": "0.1", "79": "0.3"})
    await replace_deck(database, tariff_id, {"7": "0.1", "7901": BLOCKED})
    await replace_deck(database, tariff_id, {"44": "0.1"})
    digits, found = await history(database, "retail", "+7901", international_prefix="")
    assert digits == "7901"
    matched = [(m.version.version, m.matched) for m in found]
    said = [(version, m and (m.prefix, m.blocked, m.rate and m.rate.price_1)) for version, m in matched]
    assert said == [
        (4, None),
        (3, ("7901", True, None)),
        (2, ("79", False, Decimal("0.3"))),
        (1, ("7", False, Decimal("0.1"))),
    ]
    with pytest.raises(NotFound, match="no tariff none"):
        await history(database, "none", "7901", international_prefix="")


async def test_the_history_of_a_prefix_has_every_rate_that_a_call_may_have(database: Database) -> None:
    tariff_id = await make_tariff(database)
    soon = datetime.now(UTC) + timedelta(days=1)
    rows = [
        DeckRow("7", "0.1"),
        DeckRow("79", "0.2", until=soon),
        DeckRow("79", "0.3", since=soon),
        DeckRow("79", "0.4", origin="49", band="peak"),
        DeckRow("44", "9"),
    ]
    await publish_rows(database, tariff_id, rows)
    await publish_rows(database, tariff_id, rows, effective_from=soon)
    _, found = await history(database, "retail", "7901", international_prefix="")
    for match in found:
        prices = {str(row.rate.price_1) for row in match.rows if row.rate is not None}
        assert [row.prefix for row in match.rows] == ["79", "79", "79", "7"]
        assert prices == {"0.1", "0.2", "0.3", "0.4"}
    matched = [(match.version.state, match.matched and match.matched.rate) for match in found]
    said = [(state, rate and str(rate.price_1.normalize())) for state, rate in matched]
    assert said == [("scheduled", "0.3"), ("in force", "0.2")]


async def test_a_replaced_version_is_asked_for_the_end_of_its_time(database: Database) -> None:
    tariff_id = await make_tariff(database)
    now = datetime.now(UTC)
    rows = [DeckRow("79", "0.1", until=now - timedelta(days=5)), DeckRow("79", "0.2", since=now - timedelta(days=5))]
    await publish_rows(database, tariff_id, rows, effective_from=now - timedelta(days=9))
    await publish_rows(database, tariff_id, rows, effective_from=now - timedelta(days=7))
    _, (second, first) = await history(database, "retail", "79", international_prefix="")
    assert first.at < now - timedelta(days=7) <= second.at
    prices = [match.matched and match.matched.rate and match.matched.rate.price_1 for match in (first, second)]
    assert prices == [Decimal("0.1"), Decimal("0.2")]


async def test_rates_are_compared_by_prefix_caller_and_band_as_they_count_at_an_instant(database: Database) -> None:
    tariff_id = await make_tariff(database)
    soon = datetime.now(UTC) + timedelta(days=1)
    await publish_rows(
        database, tariff_id, [DeckRow("79", "0.1"), DeckRow("79", "0.2", band="peak"), DeckRow("79", "1", origin="49")]
    )
    await publish_rows(
        database,
        tariff_id,
        [
            DeckRow("79", "0.1"),
            DeckRow("79", "0.2", since=soon),
            DeckRow("79", "0.3", band="peak"),
            DeckRow("44", "1", since=soon),
        ],
    )
    _, _, found = await compare_versions(database, "retail", 1, 2, shown=9, by_percent=True)
    rises = [(row.prefix, row.origin, row.band, row.new_minute) for row in found.worst[Kind.RISE]]
    assert rises == [("79", "", "peak", Decimal("0.3"))]
    assert [(row.prefix, row.origin) for row in found.worst[Kind.GONE]] == [("79", "49")]
    assert (found.later.rates, found.later.first, found.counts[Kind.NEW]) == (2, soon, 0)
    _, _, found = await compare_versions(database, "retail", 1, 2, at=soon, shown=9, by_percent=True)
    rises = [(row.prefix, row.origin, row.band, row.new_minute) for row in found.worst[Kind.RISE]]
    assert rises == [("79", "", "", Decimal("0.2")), ("79", "", "peak", Decimal("0.3"))]
    assert (found.later.rates, found.counts[Kind.NEW]) == (0, 1)


OLD = {"1": "0.1", "2": "0.1", "3": "0.1", "4": "0.1", "5": "0", "6": BLOCKED, "7": "0.1", "8": "0.1", "9": "10"}
NEW = {"1": "0.1", "2": "0.2", "3": "0.05", "5": "0.01", "6": "0.1", "7": BLOCKED, "8": "0.25", "9": "12", "10": "1"}


def prefixes_of(found: DeckDifference) -> dict[str, list[str]]:
    return {kind.value: [row.prefix for row in rows] for kind, rows in found.worst.items() if rows}


async def test_a_diff_counts_every_kind_of_change_and_shows_the_largest_first(database: Database) -> None:
    tariff_id = await make_tariff(database)
    await replace_deck(database, tariff_id, OLD)
    await replace_deck(database, tariff_id, NEW)
    await database.fetch("UPDATE rates SET connect_fee = 1 FROM rate_decks d WHERE version = 2 AND prefix = '1'")
    await database.fetch("UPDATE rates SET connect_fee = 0 FROM rate_decks d WHERE rates.deck_id = 1")
    _, _, by_percent = await compare_versions(database, "retail", 1, 2, shown=10, by_percent=True)
    expected = {"fall": ["3"], "new": ["10"], "gone": ["4"], "blocked": ["7"], "unblocked": ["6"], "terms": ["1"]}
    assert prefixes_of(by_percent) == {"rise": ["5", "8", "2", "9"], **expected}
    _, _, by_price = await compare_versions(database, "retail", 1, 2, shown=2, by_percent=False)
    assert prefixes_of(by_price) == {"rise": ["9", "8"], **expected}
    assert by_price.counts == by_percent.counts == {kind: 4 if kind is Kind.RISE else 1 for kind in Kind}
    _, _, none = await compare_versions(database, "retail", None, 2, shown=2, by_percent=True)
    assert set(none.counts.values()) == {0}


async def test_prices_of_an_interval_are_compared_by_the_minute(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    header = "prefix,price_1,price_unit,interval_1,interval_n"
    await import_deck(database_url, write_deck(tmp_path, ["79,0.6,minute,1,1", "44,0.6,minute,1,1"], header), "retail")
    path = write_deck(tmp_path, ["79,0.01,interval,1,1", "44,0.1,interval,6,6"], header)
    _, found, _ = await compare_file(database_url, path, "retail", None, shown=9, by_percent=True)
    assert prefixes_of(found) == {"rise": ["44"], "terms": ["79"]}
    assert found.worst[Kind.RISE][0].new_minute == 1


async def test_a_file_is_compared_as_it_would_be_imported_and_nothing_of_it_stays(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await publish(database_url, tmp_path, "0.1", "0.2")
    path = write_deck(tmp_path, ["79,Russia,0.3", "7901-7902,New,1", "7x,Bad,1", "79,Again,1"], name="next.csv")
    old, found, rejected = await compare_file(database_url, path, "retail", None, shown=9, by_percent=True)
    assert (old.version, rejected, prefixes_of(found)) == (2, 2, {"rise": ["79"], "new": ["7901", "7902"]})
    old, found, _ = await compare_file(database_url, path, "retail", 1, shown=9, by_percent=True)
    assert (old.version, found.worst[Kind.RISE][0].old_minute) == (1, Decimal("0.1"))
    assert await versions_of(database) == [(2, "in force"), (1, "replaced")]
    assert await database.fetchval("SELECT count(*) FROM rates") == 2
    assert await database.fetchval("SELECT count(*) FROM directions WHERE code = 'New'") == 0
    with pytest.raises(NotFound, match="no tariff other"):
        await compare_file(database_url, path, "other", None, shown=9, by_percent=True)
    assert await database.fetchval("SELECT count(*) FROM tariffs") == 1
