"""Rate sheets as carriers send them: read for what they say, or refused; never a wrong price without a word.

Each file of samples/ is a small copy of one that was met; the kinds are proved where the code stands.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.decks.checking import HeldBack
from rating_engine.services.decks.file.dates import DateOrder
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.importing import DeckFileOptions, EmptyDeck, ImportReport, import_deck
from rating_engine.services.decks.versions import Kind
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import load_named_tariff
from tests.support.sheet_reading import read_sheet
from tests.support.sheet_writing import write_some_way

SAMPLES = Path(__file__).with_name("samples")


class Sheets:
    """A tariff, and the files that are imported into it."""

    def __init__(self, url: str, database: Database, directory: Path) -> None:
        self._url = url
        self._database = database
        self._directory = directory

    async def take(self, name: str, *, currency: str | None = None, **options: object) -> ImportReport:
        """Import a sample, or a text that is a file of itself."""
        path = self._directory / (name if name.endswith((".csv", ".xlsx")) else "deck.csv")
        if path.suffix == ".xlsx" or (SAMPLES / name).is_file():
            shutil.copy(SAMPLES / name, path)
        else:
            path.write_text(name)
        return await import_deck(
            self._url,
            path,
            "carrier",
            currency=currency,
            options=DeckFileOptions(**options),  # type: ignore[arg-type]
        )

    async def take_file(self, path: Path) -> ImportReport:
        """Import a file as it stands."""
        options = DeckFileOptions(time_zone="UTC", effective_from=None, force=True)
        return await import_deck(self._url, path, "carrier", options=options)

    async def rows(self) -> list[Any]:
        """The rates of the newest deck."""
        return await self._database.fetch("SELECT * FROM rates WHERE deck_id = (SELECT max(deck_id) FROM rate_decks)")

    async def price(self, number: str, *, at: str | None = None, caller: str = "") -> Decimal | None:
        """Of a minute of a call to a number that starts at `at` (None: now); None: it is declined."""
        instant = datetime.now(UTC) if at is None else datetime.fromisoformat(at).replace(tzinfo=UTC)
        tariff = await load_named_tariff(self._database, "carrier", instant)
        if tariff is None:
            return None
        match = await RateDecks(self._database).match_rate(tariff, number, at=instant, origin=caller)
        return None if match is None else match.rate.price_n

    async def have_called(self, numbers: Mapping[str, str], is_carrier: bool) -> None:
        """Calls of an hour ago, by prefix: of the tariff, or of another one over a route that it is the cost of."""
        await self._database.fetch(
            "INSERT INTO routes (name, position, cost_tariff_id) SELECT 'r', 1, tariff_id FROM tariffs"
        )
        await self._database.fetch(
            """INSERT INTO call_records (bucket, call_key, account_id, subscriber_id, state, source, exchange, attempt,
                   callerid, destination, direction, prefix, tariff_id, deck_id, route_name, currency, granted, seconds,
                   billed_seconds, cost, disposition, cause, prepared_at, ended_at, margin)
               SELECT 0, prefix, 1, 1, 'settled', 'finish', 'test', 1, '', number, '', prefix,
                      (SELECT tariff_id FROM tariffs) + $3, 1, CASE WHEN $3 = 0 THEN '' ELSE 'r' END, 'EUR', 0, 60, 60,
                      1, 'ANSWER', 16, now(), now() - interval '1 hour', NULL
               FROM unnest($1::text[], $2::text[]) AS called(prefix, number)""",
            list(numbers),
            list(numbers.values()),
            int(is_carrier),
        )

    async def prefixes(self) -> list[str]:
        """The prefixes of the newest deck that have a price."""
        rows = await self._database.fetch(
            "SELECT prefix FROM rates WHERE NOT blocked AND deck_id = (SELECT max(deck_id) FROM rate_decks)"
        )
        return [row["prefix"] for row in rows]


@pytest.fixture
async def sheets(database_url: str, tmp_path: Path) -> AsyncIterator[Sheets]:
    database = Database(database_url)
    await database.open()
    yield Sheets(database_url, database, tmp_path)
    await database.close()


PRICES = {
    "range-of-country-and-area.csv": {
        "34911234567": "0.012",
        "49891234567": "0.010",
        "49301234567": "0.008",
        "355422123456": "0.15",
        "77012345678": "0.11",
        "20212345678": "0.10",
        "44201234567": "0.006",
        "35840123456": "0.09",
        "380441234567": "0.18",
        "34600123456": None,
        "79161234567": None,
    },
    "shortened-list.csv": {
        "2348021234567": "0.09",
        "2348031234567": "0.09",
        "2348051234567": "0.09",
        "93701234567": "0.25",
        "93711234567": "0.25",
        "93721234567": "0.25",
        "71234567890": "0.05",
        "72345678901": "0.05",
        "49301234567": "0.01",
        "2351234567": None,
    },
    "unit-cents.csv": {"44201234567": "0.025"},
    "unit-minutes-and-cents.csv": {"44201234567": "0.02"},
    "status-words.csv": {
        "44201234567": "0.006",
        "447012345678": "0.30",
        "49301234567": "0.01",
        "491512345678": "0.20",
        "98211234567": None,
    },
    "no-price.csv": {"44201234567": "0.006", "447012345678": None},
    "any-time-words.csv": {
        "44901234567": "0.02",
        "44101234567": "0.02",
        "44301234567": "0.02",
        "44501234567": "0.02",
    },
    "codes-with-00.csv": {"44201234567": "0.02", "447012345678": "0.09", "49301234567": "0.01"},
    "area-with-trunk-zero.csv": {"44201234567": "0.01", "44301234567": "0.03"},
    "header-in-row-33.csv": {"44201234567": "0.02", "447012345678": "0.09"},
    "full-country-1.csv": {"44201234567": "0.006", "447012345678": "0.04", "98211234567": "0.15"},
}


@pytest.mark.parametrize("name", PRICES)
async def test_calls_have_the_prices_that_the_sheet_says(sheets: Sheets, name: str) -> None:
    report = await sheets.take(name)
    assert report.rejected == 0
    found = {number: await sheets.price(number) for number in PRICES[name]}
    assert found == {number: None if price is None else Decimal(price) for number, price in PRICES[name].items()}


async def test_a_price_in_us_dollars_is_for_a_tariff_in_us_dollars(sheets: Sheets) -> None:
    for name in ("header-words-and-dates.csv", "unit-currency.csv", "unit-ppm.csv"):
        with pytest.raises(InvalidRequest, match="currency: the price column"):
            await sheets.take(name, currency="EUR")
    await sheets.take("header-words-and-dates.csv", currency="USD")
    assert [await sheets.price(number) for number in ("44201", "447012", "34911")] == [
        Decimal("0.02"),
        Decimal("0.09"),
        Decimal("0.01"),
    ]


async def test_pence_a_minute_are_of_a_tariff_in_pounds(sheets: Sheets) -> None:
    report = await sheets.take("unit-ppm.csv", currency="GBP")
    assert await sheets.price("44201") == Decimal("0.025")
    assert [(one.name, one.factor) for one in report.columns if one.factor] == [("ppm", "0.01")]


@pytest.mark.parametrize("name", ["peak-and-off-peak.csv", "two-row-merged-header.xlsx"])
async def test_a_band_that_the_tariff_lacks_refuses_the_file_and_leaves_the_deck(sheets: Sheets, name: str) -> None:
    await sheets.take("Code,Rate (USD)\n44,0.5\n", currency="USD")
    with pytest.raises(InvalidRequest, match="has no such time of day"):
        await sheets.take(name)
    assert await sheets.price("44201") == Decimal("0.5")


async def test_a_decimal_comma_between_commas_makes_no_free_calls(sheets: Sheets) -> None:
    with pytest.raises(EmptyDeck, match="every code in it is blocked"):
        await sheets.take("decimal-comma-in-comma-file.csv")
    with pytest.raises(EmptyDeck, match="every code in it is blocked"):
        await sheets.take("Code,Rate,\n44,0,02\n")


async def test_days_and_months_have_the_order_that_one_of_them_shows(sheets: Sheets) -> None:
    report = await sheets.take("day-first-two-digit-years.csv")
    assert report.date_order is DateOrder.DMY
    assert report.rejected == 0
    assert [await sheets.price(number) for number in ("4930", "4915", "4917")] == [
        Decimal(price) for price in ("0.01", "0.02", "0.03")
    ]


async def test_dates_of_both_orders_refuse_the_file_unless_one_is_said(sheets: Sheets) -> None:
    text = "Code,Rate,Effective\n44,1,13/10/2026\n49,2,10/13/2026\n7,3,05/06/2026\n"
    with pytest.raises(DeckFileError, match="no one order of day and month"):
        await sheets.take(text)
    report = await sheets.take(text, date_order=DateOrder.DMY)
    assert (report.rejected, await sheets.price("4930")) == (1, None)


async def test_a_deck_by_jurisdiction_has_the_indeterminate_price_for_unknown_callers(sheets: Sheets) -> None:
    await sheets.take("us-jurisdiction.csv")
    assert [await sheets.price(number) for number in ("12012001234", "12012011234", "2012001234")] == [
        Decimal("0.0061"),
        Decimal("0.0065"),
        None,
    ]


async def test_a_coming_price_keeps_the_present_one_until_then(sheets: Sheets) -> None:
    await sheets.take("full-country-1.csv")
    report = await sheets.take("full-country-2.csv")
    assert await sheets.price("447012345678") == Decimal("0.04")
    assert report.effect.changes is not None
    assert report.effect.changes[Kind.GONE] == 1


async def test_a_full_country_replaces_the_codes_of_the_countries_that_it_names(sheets: Sheets) -> None:
    await sheets.take("full-country-1.csv")
    report = await sheets.take("full-country-2.csv", full_country=True)
    assert [await sheets.price(number) for number in ("44201", "447012", "98211")] == [
        Decimal("0.006"),
        Decimal("0.04"),  # until its new price begins
        Decimal("0.15"),
    ]
    assert report.effect.changes is not None
    assert not any(report.effect.changes.values())
    assert await sheets.price("447012", at="2027-01-16") == Decimal("0.05")


OLD = """Code,Rate
44,0.02
447,0.03
4477,0.035
98,0.15
9821,0.2
1,0.01
1907,0.1
1416,0.02
1242,0.3
77,0.2
7,0.1
"""


@pytest.mark.parametrize(
    ("rows", "gone"),
    [
        ("44,0.02\n4477,0.03\n", {"447"}),
        ("98,0.15\n", {"9821"}),
        ("1212,0.01\n", {"1", "1907"}),  # the United States, and neither Canada nor the Bahamas
        ("1416,0.02\n1242,0.3\n", set()),
        ("7495,0.1\n", {"7"}),  # Russia, and not Kazakhstan
        ("49,0.01\n", set()),
        ("44,N/A\n", {"44", "447", "4477"}),  # blocked, with all of its codes
    ],
)
async def test_what_a_named_country_has_no_more_is_gone_and_nothing_else(
    sheets: Sheets, rows: str, gone: set[str]
) -> None:
    await sheets.take(OLD)
    await sheets.take(f"Code,Rate\n{rows}", full_country=True, force=True)
    rated = set(await sheets.prefixes())
    named = {row.split(",")[0] for row in rows.split() if "N/A" not in row}
    assert rated == ({line.split(",")[0] for line in OLD.split()[1:]} | named) - gone


async def test_a_code_that_is_gone_is_so_from_the_day_on_which_its_country_changes(sheets: Sheets) -> None:
    await sheets.take(OLD)
    await sheets.take("Code,Rate,Effective\n44,0.025,2027-01-15\n4477,0.04,2027-01-20\n", full_country=True)
    for at, prices in (
        ("2026-12-01", ("0.02", "0.03", "0.035")),
        ("2027-01-16", ("0.025", "0.025", "0.035")),
        ("2027-01-21", ("0.025", "0.025", "0.04")),
    ):
        found = [await sheets.price(number, at=at) for number in ("44201", "44701", "447701")]
        assert found == [Decimal(price) for price in prices], at


async def test_a_closed_code_alone_names_no_country(sheets: Sheets) -> None:
    await sheets.take(OLD)
    await sheets.take("Code,Rate,Status\n447,,closed\n49,0.01,new\n", full_country=True)
    assert await sheets.price("44701") == Decimal("0.02")
    assert await sheets.price("447701") == Decimal("0.035")


async def test_a_full_country_is_no_delta(sheets: Sheets) -> None:
    await sheets.take(OLD)
    with pytest.raises(InvalidRequest, match="full_country: is another kind of file than a delta"):
        await sheets.take("Code,Rate\n44,0.02\n", full_country=True, delta=True)


async def test_a_deck_that_would_sell_a_gone_code_too_cheap_waits(sheets: Sheets) -> None:
    await sheets.take("Code,Rate\n44,0.006\n447,0.04\n")
    with pytest.raises(HeldBack, match=r"1 codes are gone .* such as 447 at 0.04 by 44 at 0.006"):
        await sheets.take("Code,Rate\n44,0.006\n")
    assert await sheets.price("447012345678") == Decimal("0.04")
    await sheets.take("Code,Rate\n44,0.006\n", force=True)
    assert await sheets.price("447012345678") == Decimal("0.006")


@pytest.mark.parametrize(
    ("text", "is_held"),
    [
        ("Code,Rate\n44,0.006\n447,0.03\n", False),
        ("Code,Rate\n44,0.021\n", False),  # 447 at more than half of its price
        ("Code,Rate\n44,0.006\n", True),
        ("Code,Rate\n44,0.006\n447,N/A\n", False),
        ("Code,Rate\n44,0.006\n" + "".join(f"447{digit},0.04\n" for digit in range(10)), False),  # all longer ones
        ("Code,Rate\n44,0.006\n" + "".join(f"447{digit},0.04\n" for digit in range(9)), True),
        ("Code,Rate,Valid until\n44,0.006,\n447,0.04,01.11.2026\n", True),  # it is over
        ("Code,Origin,Rate\n44,,0.006\n447,49,0.04\n", True),  # for others than German callers it is gone
        ("Code,Rate,Effective\n44,0.006,\n447,0.04,15.01.2027\n", False),  # the present one is kept until then
    ],
)
async def test_a_code_that_would_be_sold_too_cheap_holds_the_deck(sheets: Sheets, text: str, is_held: bool) -> None:
    await sheets.take("Code,Rate\n44,0.006\n447,0.04\n")
    if is_held:
        with pytest.raises(HeldBack, match=r"447 at 0\.04 by 44 at 0\.006"):
            await sheets.take(text)
        assert await sheets.price("447012") == Decimal("0.04")
    await sheets.take(text, force=is_held)


@pytest.mark.breaks_books  # CDRs are written as no call would
@pytest.mark.parametrize("is_carrier", [False, True])
async def test_called_prefixes_without_a_rate_hold_the_deck(sheets: Sheets, is_carrier: bool) -> None:
    old = "Code,Rate\n44,0.006\n447,0.007\n49,0.01\n98,0.1\n7,0.1\n33,0.1\n"
    await sheets.take(old)
    await sheets.have_called({"44": "44201", "447": "447012", "49": "4930", "98": "9821", "7": "7495"}, is_carrier)
    for text, without in (
        (old, None),
        ("Code,Rate\n44,0.006\n447,0.007\n49,0.01\n98,0.1\n7,0.1\n", None),  # nobody called 33
        ("Code,Rate\n44,0.007\n49,0.01\n982,0.1\n7,0.1\n", None),  # 447 by 44, 9821 by 982
        ("Code,Rate\n44,0.006\n447,N/A\n49,0.01\n98,0.1\n7,0.1\n", "447"),
        ("Code,Rate\n44,0.006\n447,0.007\n49,0.01\n983,0.1\n7,0.1\n", "98"),
        ("Code,Rate,Effective\n44,0.006,\n447,0.007,\n49,0.01,\n98,0.1,\n", "7"),
    ):
        if without is not None:
            with pytest.raises(HeldBack, match=f"1 of the 5 prefixes called within a day .* such as {without};"):
                await sheets.take(text, unserved_percent=19)
        await sheets.take(text, unserved_percent=20, dry_run=True)
        await sheets.take(text, unserved_percent=0, force=True, dry_run=True)


@pytest.mark.parametrize("seed", [0, 2, 6, 12, 13, 22, 33])
async def test_what_is_stored_of_a_sheet_is_what_was_read(sheets: Sheets, tmp_path: Path, seed: int) -> None:
    (tmp_path / "sent").mkdir()
    sent = write_some_way(Random(seed), tmp_path / "sent")
    assert sent.certain
    read = read_sheet(sent.path)
    await sheets.take_file(sent.path)
    stored = {row["prefix"]: (row["price_n"], row["blocked"]) for row in await sheets.rows()}
    assert stored == {code: (Decimal(row["price_n"]), row["blocked"] == "t") for (code, _), row in read.rows.items()}


async def test_whole_prices_of_which_some_are_nothing_are_rather_halves_of_prices(sheets: Sheets) -> None:
    text = "Code,Rate,Interval\n44,0,25\n447,1,30\n"
    with pytest.raises(HeldBack, match="no price of the file has decimals, and 1 are 0"):
        await sheets.take(text)
    assert await sheets.price("44201") is None
    await sheets.take(text, force=True)
    await sheets.take("Code,Rate,Interval\n44,0,25\n447,1.5,30\n")
    await sheets.take("Code;Rate;Interval\n44;0;25\n447;1;30\n")


async def test_a_row_that_cannot_be_read_is_not_sold_at_a_shorter_price(sheets: Sheets) -> None:
    report = await sheets.take("Code,Rate,Status\n44,0.006,new\n447,0.3,see note\n4477,zero,new\n")
    assert (report.rejected, report.blocked_instead) == (2, 2)
    assert [await sheets.price(number) for number in ("44201", "447012", "447701")] == [Decimal("0.006"), None, None]


async def test_many_rejected_rows_hold_a_deck_that_would_replace_one(sheets: Sheets) -> None:
    await sheets.take("Code,Rate\n44,0.006\n")
    with pytest.raises(HeldBack, match="1 of 2 rows could not be taken"):
        await sheets.take("Code,Rate\n44,0.006\n49,?\n")
    await sheets.take("Code,Rate\n44,0.007\n49,?\n", force=True)
    assert await sheets.price("44201") == Decimal("0.007")


async def test_a_deck_that_rates_nothing_replaces_none(sheets: Sheets) -> None:
    await sheets.take("Code,Rate\n44,0.006\n")
    with pytest.raises(EmptyDeck):
        await sheets.take("Code,Rate\n44,N/A\n", force=True)
    assert await sheets.price("44201") == Decimal("0.006")


async def test_a_dry_run_says_what_an_import_says_and_changes_nothing(sheets: Sheets) -> None:
    await sheets.take("Code,Rate\n44,0.006\n")
    tried = await sheets.take("Code,Rate\n44,0.007\n0049,0\n", dry_run=True)
    assert await sheets.price("44201") == Decimal("0.006")
    done = await sheets.take("Code,Rate\n44,0.007\n0049,0\n")
    assert await sheets.price("44201") == Decimal("0.007")
    for report in (tried, done):
        assert report.effect.changes is not None
        assert {kind: count for kind, count in report.effect.changes.items() if count} == {Kind.RISE: 1, Kind.NEW: 1}
        assert report.effect.counts.free == 1
        assert report.notes == (("international prefixes were dropped", 1, "0049 is 49"),)
        assert [(one.column.value, one.name) for one in report.columns] == [("prefix", "Code"), ("price", "Rate")]


@pytest.mark.parametrize(
    "text",
    [
        "Code,Rate\n0044,0.006\n",
        "Code,Rate\n44,0.0123456789\n",
        "Code,price_1\n44,0.006\n",
        "Code,Rate,Effective\n44,1,13/10/2026\n49,2,05/06/2026\n",
        "Code,Rate\n44,1\n49,?\n",
    ],
)
async def test_strict_refuses_what_had_to_be_guessed(sheets: Sheets, text: str) -> None:
    with pytest.raises(DeckFileError, match="this had to be guessed"):
        await sheets.take(text, strict=True)
    assert await sheets.price("44201") is None
    await sheets.take(text)
