"""Rates with dates, callers and times of day in whole decks: which rows are taken, and what calls cost then."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.decks.file import repeats
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.importing import DeckFileOptions, ImportReport, import_deck
from rating_engine.storage.decks import deck_staging
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import give_bands, make_tariff, price_at, write_deck

NOW = datetime.now(UTC).replace(microsecond=0)
SOON, LATER, LATEST = (NOW + timedelta(days=days) for days in (10, 20, 30))
DATED = "prefix,price,effective from,effective to"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


def iso(*instants: datetime | None) -> str:
    return ",".join("" if instant is None else instant.isoformat() for instant in instants)


async def taken(database_url: str, directory: Path, rows: list[str], header: str = DATED) -> ImportReport:
    return await import_deck(database_url, write_deck(directory, rows, header), "retail")


def reasons(directory: Path) -> dict[int, str]:
    """Why rows were rejected, by their line."""
    with (directory / "deck.rejected.csv").open(encoding="utf-8-sig", newline="") as file:
        return {int(row["rejected_line"]): row["rejected_reason"] for row in csv.DictReader(file)}


@pytest.fixture(params=[1, repeats.MIN_SLOTS], ids=["every row suspected", "few rows suspected"])
def slots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many rows come by way of the staging table; what is published does not depend on it."""
    monkeypatch.setattr(repeats, "MIN_SLOTS", request.param)
    monkeypatch.setattr(repeats, "MAX_SLOTS", request.param)


@pytest.mark.usefixtures("slots")
async def test_a_price_counts_from_its_date_on_and_gives_way_to_the_next_one_at_the_instant(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = [f"79,0.3,{iso(LATER, None)}", "79,0.1,,", f"79,0.2,{iso(SOON, None)}"]
    report = await taken(database_url, tmp_path, rows)
    assert (report.taken, report.rejected) == (3, 0)
    tick = timedelta(microseconds=1)
    instants = (datetime.now(UTC), SOON - tick, SOON, LATER - tick, LATER)
    assert [await price_at(database, at) for at in instants] == ["0.1", "0.1", "0.2", "0.2", "0.3"]


@pytest.mark.usefixtures("slots")
async def test_a_price_that_says_its_end_gives_back_to_the_one_that_says_none(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await taken(database_url, tmp_path, ["79,0.1,,", f"79,0.05,{iso(SOON, LATER)}"])
    ends = LATER - timedelta(microseconds=1)
    assert [await price_at(database, at) for at in (SOON, ends, LATER)] == ["0.05", "0.05", "0.1"]


@pytest.mark.usefixtures("slots")
async def test_rows_that_count_at_the_same_time_are_rejected_with_the_line_that_they_overlap(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = [
        f"79,0.1,{iso(None, LATER)}",  # line 2
        f"79,0.2,{iso(SOON, None)}",
        f"79,0.2,{iso(LATER, LATEST)}",
        f"79,0.2,{iso(LATER, LATEST)}",
        f"79,0.3,{iso(LATER, LATEST)}",
        f"79,0.2,{iso(LATER, None)}",
        f"79,0.2,{iso(SOON + timedelta(days=1), LATER + timedelta(days=1))}",
        f"44,0.2,{iso(SOON, LATER)}",
        "44,0.2,,",
    ]
    report = await taken(database_url, tmp_path, rows)
    assert (report.taken, report.repeated, report.rejected) == (4, 1, 4)
    overlaps = "overlaps line {}: one of them must end where the other begins"
    assert reasons(tmp_path) == {
        3: overlaps.format(2),
        6: "the prefix stands in line 4 already, with other terms",
        7: "the prefix stands in line 4 already, with other terms",
        8: overlaps.format(2),
    }
    assert [await price_at(database, at) for at in (SOON, LATER, LATEST)] == ["0.1", "0.2", None]


@pytest.mark.usefixtures("slots")
async def test_of_equal_windows_another_caller_or_band_is_another_rate(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await give_bands(database, await make_tariff(database), "peak", "off-peak")
    rows = ["79,0.1,,", "79,0.2,49,", "79,0.3,,peak", "79,0.4,49,peak", "79,0.5,49,peak", "79,0.2,4915,"]
    report = await taken(database_url, tmp_path, rows, "prefix,price,origin,band")
    assert (report.taken, report.rejected) == (5, 1)
    assert reasons(tmp_path) == {6: "the prefix stands in line 5 already, with other terms"}
    at = datetime.now(UTC)
    calls = [("", ""), ("4930", ""), ("", "peak"), ("4930", "peak"), ("4930", "off-peak"), ("4915", "peak")]
    assert [await price_at(database, at, origin=origin, band=band) for origin, band in calls] == [
        *("0.1", "0.2", "0.3", "0.4", "0.2", "0.2")
    ]


async def test_a_row_of_several_codes_and_bands_loses_only_the_rates_that_overlap(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await give_bands(database, await make_tariff(database), "peak", "off-peak")
    rows = ["7901,,0.3,0.1", '"7901,7902",,0.4,0.1', '"7901,7902",,0.4,0.1']
    report = await taken(database_url, tmp_path, rows, "prefix,price,peak rate,off-peak rate")
    assert (report.taken, report.repeated, report.rejected) == (4, 4, 2)
    said = (
        "1 of its 4 codes stand in earlier lines with other terms, such as 7901 in line 2; its other codes were taken"
    )
    assert reasons(tmp_path) == {3: said, 4: said}


async def test_a_band_that_the_tariff_lacks_refuses_the_file(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await give_bands(database, await make_tariff(database), "peak")
    assert (await taken(database_url, tmp_path, ["79,0.1,peak", "79,0.2,"], "prefix,price,band")).taken == 2
    with pytest.raises(InvalidRequest, match="the file has rates of night, and the tariff has no such time of day"):
        await taken(database_url, tmp_path, ["79,0.1,peak", "79,0.2,", "44,0.1,night"], "prefix,price,band")


async def test_closed_rows_are_counted_and_not_in_the_deck(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    rows = ["79,0.1,active,", "44,,closed,", '"45,46",0.1,deleted,', "47,0.1,,2020-01-01"]
    report = await taken(database_url, tmp_path, rows, "prefix,price,status,effective to")
    assert (report.taken, report.left_out, report.rejected) == (1, 3, 0)
    assert await price_at(database, datetime.now(UTC), "451") is None


async def test_dates_without_an_offset_are_of_the_tariffs_time_zone_or_of_the_one_that_is_said(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    tariff_id = await make_tariff(database)
    await database.fetch("UPDATE tariffs SET time_zone = 'Asia/Tokyo' WHERE tariff_id = $1", tariff_id)
    path = write_deck(tmp_path, ["79,0.1,", "79,0.2,2199-01-02"], "prefix,price,effective from")
    for options, hour in ((DeckFileOptions(), 15), (DeckFileOptions(time_zone="UTC"), 24)):
        await import_deck(database_url, path, "retail", options=options)
        switch = datetime(2199, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        assert await price_at(database, switch - timedelta(seconds=1)) == "0.1"
        assert await price_at(database, switch) == "0.2"


async def test_date_cells_of_a_workbook_are_dates(database: Database, database_url: str, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["Code", "Rate", "Effective Date", "End Date"])
    book.active.append([79, 0.1, None, None])
    book.active.append([79, 0.2, datetime(2199, 1, 2), datetime(2199, 1, 3, 12, 30)])  # noqa: DTZ001  # as Excel has it
    book.save(tmp_path / "deck.xlsx")
    report = await import_deck(database_url, tmp_path / "deck.xlsx", "retail")
    assert report.rejected == 0
    at = datetime(2199, 1, 2, tzinfo=UTC)
    end = datetime(2199, 1, 3, 12, 30, tzinfo=UTC)
    assert [await price_at(database, when) for when in (at, end)] == ["0.2", "0.1"]


async def test_codes_that_have_no_price_yet_are_told(database: Database, database_url: str, tmp_path: Path) -> None:
    rows = ["79,0.1,,", f"79,0.2,{iso(LATER, None)}", f"7901,0.2,{iso(LATER, None)}", f"44,0.3,{iso(SOON, None)}"]
    report = await taken(database_url, tmp_path, rows)
    assert report.ahead is not None
    assert (report.ahead.keys, report.ahead.first, report.ahead.prefix) == (2, SOON, "44")


async def test_a_deck_of_which_nothing_counts_yet_is_refused_and_says_what_to_do(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    await taken(database_url, tmp_path, ["79,0.1"], "prefix,price")
    with pytest.raises(InvalidRequest, match=f"^effective_from: no rate .* begins at {SOON.date()}"):
        await taken(database_url, tmp_path, [f"79,0.2,{iso(SOON, None)}", f"44,0.3,{iso(LATER, None)}"])
    assert await price_at(database, datetime.now(UTC)) == "0.1"
    options = DeckFileOptions(effective_from=SOON)
    report = await import_deck(database_url, tmp_path / "deck.csv", "retail", options=options)
    assert (report.version, report.effective_from) == (2, SOON)


async def test_more_rates_of_one_prefix_than_can_be_compared_are_refused(
    database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deck_staging, "MAX_WINDOWS", 20)
    rows = [f"79,0.1,{iso(SOON + timedelta(hours=hour), SOON + timedelta(hours=hour + 1))}" for hour in range(22)]
    with pytest.raises(DeckFileError, match="the prefix 79 has more than"):
        await taken(database_url, tmp_path, ["79,0.1,,", *rows])
